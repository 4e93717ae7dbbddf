"""Contents are shown for keys that are named, whole and streamed, and for nobody else."""

from __future__ import annotations

import asyncio

import pytest
from http_client import Client
from streams import MESSAGE, STREAM, encode

BODY = {
    "model": "claude-haiku-4-5",
    "max_tokens": 10,
    "messages": [{"role": "user", "content": "hi"}],
}


class Shown:
    def __init__(self, keys):
        self.keys, self.requests, self.answers = keys, [], []

    def wants(self, key_id):
        return key_id in self.keys

    def request(self, exchange, body):
        self.requests.append((exchange.key_id, bytes(body)))

    def answer(self, exchange, body):
        self.answers.append((exchange.key_id, body))


def ask(proxy, secret, step, *, stream):
    proxy.upstream.script.append(step)
    body = encode({**BODY, "stream": stream})
    client = Client(proxy.app, "POST", "/v1/messages", headers={"x-api-key": secret}, body=body)
    return asyncio.run(client.send())


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_contents_of_named_keys_are_shown(make_proxy, message, stream):
    proxy = make_proxy(content=(shown := Shown([])))
    named, other = proxy.add_key(), proxy.add_key()
    key_id = f"key_{named[-6:]}"
    shown.keys.append(key_id)
    step = [STREAM] if stream else message
    plain = ask(proxy, other, step, stream=stream)
    answer = ask(proxy, named, step, stream=stream)
    assert answer.status == plain.status == 200
    assert answer.body == plain.body
    assert shown.requests == [(key_id, encode({**BODY, "stream": stream}))]
    ((told, content),) = shown.answers
    assert told == key_id
    assert MESSAGE["id"].encode() in content
    assert b"message_stop" in content or not stream
