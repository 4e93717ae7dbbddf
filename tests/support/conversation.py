"""A conversation with code execution: a client, a scripted model, one fake sandbox."""

from __future__ import annotations

import asyncio

import msgspec
from fake_sandbox import FakeSandbox
from turn_support import ASKED, Calls, Stream, answer, assistant, fields_of, user

from anthropic_bedrock_proxy.protocol.answer.events import fold
from anthropic_bedrock_proxy.protocol.request.messages import parse_request
from anthropic_bedrock_proxy.tools.code_execution.options import CodeExecutionOptions
from anthropic_bedrock_proxy.tools.kinds import code_execution
from anthropic_bedrock_proxy.tools.toolset import Toolset
from anthropic_bedrock_proxy.turn.driver import begin_turn, open_turn

KEY = "key_1"


class Conversation:
    """A client that appends what it is told to its history, with one sandbox behind the proxy."""

    def __init__(self, *outcomes, tools, options=None, key=KEY, kinds=(), code=True):
        self.sandbox = FakeSandbox(*outcomes)
        kind = code_execution(lambda: self.sandbox, options or CodeExecutionOptions(), asyncio.Lock)
        self.toolset = Toolset([kind, *kinds] if code else list(kinds))
        self.tools = tools
        self.messages = [ASKED]
        self.calls = None
        self.warnings = None
        self.ran = ()
        self.key = key
        self.numbers = 0

    def request(self, **fields):
        body = {"model": "m", "max_tokens": 100, "messages": self.messages, "tools": self.tools}
        return parse_request(msgspec.json.encode(body | fields), "2023-06-01")

    def ask(self, *answers, **fields):
        """Sends the conversation; returns the whole answer, which is appended."""
        return fold(self.events(*answers, **fields))

    def events(self, *answers, **fields):
        scripted = []
        for content in answers:
            self.numbers += 1
            scripted.append(Stream(answer(*content, id=f"msg_{self.numbers}")))
        self.calls = Calls(*scripted)

        async def main():
            begun = await begin_turn(self.request(**fields), self.toolset, self.key)
            self.warnings = begun.turn.warnings
            stream = await open_turn(begun, self.calls)
            events = []
            while (some := await stream.read(5)) is not None:
                events += some
            self.ran = begun.timeline.tools
            return events

        events = asyncio.run(main())
        assert not self.calls.script, "more answers were scripted than asked for"
        self.messages = [*self.messages, assistant(*fold(events)["content"])]
        return events

    def say(self, *blocks):
        self.messages = [*self.messages, user(*blocks)]

    def seen(self, number=0):
        """What the model was sent in one of its calls of the last answer."""
        return fields_of(self.calls.requests[number], "messages", "tools")
