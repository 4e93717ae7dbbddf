"""Contents are shown for keys that are named, whole and streamed, and for nobody else."""

from __future__ import annotations

import asyncio
import json

import pytest
from http_client import Client
from streams import MESSAGE, STREAM, encode

from anthropic_bedrock_proxy.gateway.exchange import Exchange
from anthropic_bedrock_proxy.http.anthropic.content import ShownEvents

BODY = {
    "model": "claude-haiku-4-5",
    "max_tokens": 10,
    "messages": [{"role": "user", "content": "hi"}],
}


class Shown:
    def __init__(self, keys):
        self.keys, self.requests, self.answers = keys, [], []

    def wants(self, exchange):
        return exchange.key_id in self.keys

    def request(self, exchange, body):
        self.requests.append((exchange.key_id, bytes(body)))

    def answer(self, exchange, answer):
        self.answers.append((exchange.key_id, answer))


def ask(proxy, secret, step, *, stream):
    proxy.upstream.script.append(step)
    body = encode({**BODY, "stream": stream})
    client = Client(proxy.app, "POST", "/v1/messages", headers={"x-api-key": secret}, body=body)
    return asyncio.run(client.send())


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_contents_of_named_keys_are_shown(make_proxy, message, stream):
    shown, also = Shown([]), Shown([])
    proxy = make_proxy(content=[shown, also])
    named, other = proxy.add_key(), proxy.add_key()
    key_id = f"key_{named[-6:]}"
    shown.keys.append(key_id)
    also.keys.append(key_id)
    step = [STREAM] if stream else message
    plain = ask(proxy, other, step, stream=stream)
    answer = ask(proxy, named, step, stream=stream)
    assert answer.status == plain.status == 200
    assert answer.body == plain.body
    assert shown.requests == [(key_id, encode({**BODY, "stream": stream}))]
    ((told, content),) = shown.answers
    assert told == key_id
    if stream:
        assert [name for name, _ in content][:: len(content) - 1] == [
            b"message_start",
            b"message_stop",
        ]
    else:
        assert json.loads(content)["id"] == MESSAGE["id"]
    assert also.answers == shown.answers


def test_of_a_stream_that_does_not_end_its_beginning_is_kept():
    class Endless:
        done = False

        async def read(self):
            return [(b"content_block_delta", b"x" * 1024)]

        def close(self):
            pass

    async def main():
        events = ShownEvents(Endless(), Exchange("req_1", 0.0, 0, key_id="a"), [shown])
        for _ in range(1000):
            await events.read()
        events.close()
        events.close()

    shown = Shown(["a"])
    asyncio.run(main())
    ((_, kept),) = shown.answers
    assert len(kept) == 256
