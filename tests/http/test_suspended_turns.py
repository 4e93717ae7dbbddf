"""A turn over three requests: its call waits twice for a tool of the client's."""

from __future__ import annotations

import asyncio

import pytest
from http_client import Client
from probe import CONTAINER, PROBE, Probe, finished, suspended
from streams import chunk_frame, decode, encode

from anthropic_bedrock_proxy.protocol.answer.events import explode, fold
from anthropic_bedrock_proxy.tools.base import PreparedTool
from anthropic_bedrock_proxy.tools.toolset import Toolset

MODEL = "claude-opus-4-1"
BODY = {
    "model": MODEL,
    "max_tokens": 1000,
    "messages": [{"role": "user", "content": "How many files are there?"}],
    "tools": [PROBE, {"name": "run", "input_schema": {"type": "object"}}],
}
CALLING = {"type": "tool_use", "id": "toolu_1", "name": "probe", "input": {"n": 1}}
ANSWER = {"type": "text", "text": "Two."}


class Prepared(Probe):
    """Its calls have these outcomes, one after the other."""

    def __init__(self, *outcomes):
        super().__init__()
        self.outcomes = list(outcomes)

    def prepare(self, context, pending):
        async def run(call):
            self.started.append(call)
            return self.outcomes.pop(0)

        return PreparedTool(run)


def model_answer(block, stop):
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": [block],
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {"input_tokens": 700, "output_tokens": 100},
    }
    return [chunk_frame(data) for _, data in explode(message)]


def events_of(body):
    for lines in body.decode().strip().split("\n\n"):
        name, data = lines.split("\n")
        yield name.removeprefix("event: ").encode(), data.removeprefix("data: ").encode()


@pytest.mark.parametrize("stream", [True, False])
def test_a_turn_over_three_requests(make_proxy, stream):
    waits = [suspended((name, "run", {"command": "ls"})) for name in ("x", "y")]
    probe = Prepared(*waits, finished("two"))
    proxy = make_proxy(toolset=Toolset([probe.kind]))
    secret = proxy.add_key()
    proxy.upstream.script += [model_answer(CALLING, "tool_use"), model_answer(ANSWER, "end_turn")]
    history = list(BODY["messages"])

    def ask():
        body = {**BODY, "stream": stream, "messages": history, "container": CONTAINER.id}
        client = Client(proxy.app, headers={"x-api-key": secret}, body=body)
        reply = asyncio.run(client.send())
        assert reply.status == 200
        return fold(events_of(reply.body)) if stream else decode(reply.body)

    for name, calls in (("x", 1), ("y", 1)):
        message = ask()
        assert message["stop_reason"] == "tool_use"
        assert message["container"]["id"] == CONTAINER.id
        assert message["content"][-1]["id"] == name
        assert len(proxy.upstream.calls) == calls  # the second answer needs no model
        result = {"type": "tool_result", "tool_use_id": name, "content": f"of {name}"}
        history.append({"role": "assistant", "content": message["content"]})
        history.append({"role": "user", "content": [result]})
    message = ask()
    assert [block["type"] for block in message["content"]] == ["probe_tool_result", "text"]
    assert message["stop_reason"] == "end_turn"
    assert [[one["content"] for one in call.results] for call in probe.started] == [
        *([], ["of x"], ["of y"])
    ]
    assert b"of x" not in encode(decode(proxy.upstream.calls[-1].body))
    # Where no model was called, there is nothing to pay.
    assert [record.input_tokens for record in proxy.records] == [700, 700]
