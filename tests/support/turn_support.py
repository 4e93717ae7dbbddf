"""Scripted model calls, and who judges what the turn makes of them."""

from __future__ import annotations

import asyncio
import tomllib
from functools import cache
from pathlib import Path

import msgspec
from working import outcome, search_tools

import anthropic_bedrock_proxy
from anthropic_bedrock_proxy.models.betas import BetaRules
from anthropic_bedrock_proxy.models.table import capabilities_on, parse_table
from anthropic_bedrock_proxy.protocol.adapt.adapt import adapt
from anthropic_bedrock_proxy.protocol.answer.events import explode
from anthropic_bedrock_proxy.protocol.converse.request.request import to_converse
from anthropic_bedrock_proxy.protocol.request.messages import parse_request
from anthropic_bedrock_proxy.protocol.request.policy import DEFAULT_POLICY
from anthropic_bedrock_proxy.sim.converse.validation import validate
from anthropic_bedrock_proxy.sim.models.lookup import resolve
from anthropic_bedrock_proxy.tools.calls import RequestContext
from anthropic_bedrock_proxy.turn.actions import CallModel, CallOutcome, End, RunCall, Tell
from anthropic_bedrock_proxy.turn.loop import Turn
from anthropic_bedrock_proxy.turn.request import prepare

REGEX, BM25 = "tool_search_tool_regex", "tool_search_tool_bm25"
SEARCH = {"type": f"{REGEX}_20251119", "name": REGEX}
SEARCH_BM25 = {"type": BM25, "name": BM25}


def tool(name, description="", deferred=True, **properties):
    schema = {
        "type": "object",
        "properties": {key: {"type": "string", "description": v} for key, v in properties.items()},
    }
    definition = {"name": name, "description": description, "input_schema": schema}
    return definition | ({"defer_loading": True} if deferred else {})


WEATHER = tool("get_weather", "The weather of a place", city="where")
MAIL = tool("sendMail", "Sends an e-mail", recipient="address")
RUN = tool("run", "Runs a command", deferred=False)
TOOLS = [SEARCH, SEARCH_BM25, RUN, WEATHER, MAIL]
ASKED = {"role": "user", "content": "hello"}
USAGE = {"input_tokens": 10, "output_tokens": 5}


def request(messages=(ASKED,), tools=TOOLS, **fields):
    body = {"model": "m", "max_tokens": 100, "messages": list(messages), "tools": tools}
    body |= fields
    body = {key: value for key, value in body.items() if value is not None}
    return parse_request(msgspec.json.encode(body), "2023-06-01")


def text(words):
    return {"type": "text", "text": words}


def call(name, identifier="tooluse_1", /, **given):
    return {"type": "tool_use", "id": identifier, "name": name, "input": given}


def search(identifier, pattern="weather", name=REGEX):
    argument = "pattern" if name == REGEX else "query"
    return {
        "type": "server_tool_use",
        "id": identifier,
        "name": name,
        "input": {argument: pattern},
    }


def found(identifier, *names):
    references = [{"type": "tool_reference", "tool_name": name} for name in names]
    content = {"type": "tool_search_tool_search_result", "tool_references": references}
    return {"type": "tool_search_tool_result", "tool_use_id": identifier, "content": content}


def result(identifier, words="done"):
    return {"type": "tool_result", "tool_use_id": identifier, "content": words}


def user(*blocks):
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks):
    return {"role": "assistant", "content": list(blocks)}


def answer(*content, stop=None, usage=USAGE, **fields):
    """The events of one model call."""
    calls = any(block["type"] == "tool_use" for block in content)
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": list(content),
        "stop_reason": stop or ("tool_use" if calls else "end_turn"),
        "stop_sequence": None,
        "usage": usage,
    }
    return list(explode(message | fields))


class Played:
    """A turn on scripted model calls, whose tools run as soon as they are asked for."""

    def __init__(self, made, toolset):
        self.turn = Turn(made, toolset)
        self.told, self.requests, self.end = [], [], None
        self._perform(self.turn.begin())

    def feed(self, events):
        """The client's events for these of the model's."""
        before = len(self.told)
        self._perform(self.turn.feed(events))
        return self.told[before:]

    def _perform(self, actions):
        assert self.end is None or not actions
        for action in actions:
            match action:
                case Tell():
                    self.told += action.events
                case RunCall():
                    content = outcome(action.run(action.call))
                    self._perform(self.turn.feed(CallOutcome(action.call.id, content)))
                case CallModel():
                    self.requests.append(action.request)
                case End():
                    self.end = action


def begun(made, toolset=None):
    """A turn in whose history nothing is pending any more."""
    return Played(made, toolset or search_tools())


def prepared(made, toolset=None):
    """(the request for the model, the blocks that the client is owed)."""
    context = RequestContext("", made.fields)
    ready = prepare(made, toolset or search_tools(), context)
    for call in ready.pending:
        tool = call.tool.prepare(context, [call.asked])
        call.take(outcome(tool.run(call.asked)), context)
    return ready.made()[0], [block for call in ready.pending for block in call.told]


def play(turn, *calls):
    """(the client's events, the requests that the model was sent)."""
    events = []
    for number, call in enumerate(calls, start=1):
        assert len(turn.requests) == number, "more calls were scripted than made"
        events += turn.feed(call)
    assert turn.end is not None, "fewer calls were scripted than made"
    return events, turn.requests


class Stream:
    """An `AnswerStream` of scripted reads: events, an exception, or either behind a future."""

    upstream_request_id = "request-1"
    service_tier = "priority"

    def __init__(self, *reads, estimated=False):
        self.reads = list(reads)
        self.usage_estimated = estimated
        self.closed = 0

    async def read(self, timeout):
        if not self.reads:
            return None
        if isinstance(self.reads[0], tuple):
            await self.reads[0][0]
        one = self.reads.pop(0)
        if isinstance(one, tuple):
            _, one = one
        if isinstance(one, Exception):
            raise one
        return one

    def close(self):
        self.closed += 1


class Calls:
    """Opens the scripted streams; an exception is raised, a future awaited first."""

    def __init__(self, *script):
        self.script = list(script)
        self.requests = []
        self.cancelled = 0

    async def __call__(self, made):
        self.requests.append(made)
        one = self.script.pop(0)
        if isinstance(one, tuple):
            wait, one = one
            try:
                await wait
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        if isinstance(one, Exception):
            try:
                raise one
            finally:
                del one  # its traceback holds this frame
        return one


async def read_all(stream):
    """Events with the answers to silence in between."""
    events, silences = [], 0
    while (some := await stream.read(5)) is not None:
        silences += not some
        events += some
    return events, silences


def fields_of(made, *names):
    return [msgspec.json.decode(made.fields[name]) for name in names]


@cache
def _table():
    path = Path(anthropic_bedrock_proxy.__file__).parent / "models" / "models.toml"
    return parse_table(tomllib.loads(path.read_text()))


@cache
def rules():
    return BetaRules(needed_for=_table().betas.needed_for)


@cache
def capabilities(family, dialect="converse"):
    table = _table()
    generation = table.families[family]
    return capabilities_on(table.generation[generation], dialect)


# Prefix in models.toml -> a model of the simulator.
JUDGES = {"amazon.nova-": "amazon.nova-lite-v1:0", "qwen.": "qwen.qwen3-32b-v1:0"}


def converse(made, family):
    """What Bedrock is sent; the simulator refuses what Bedrock would."""
    known = capabilities(family)
    adapted = adapt(made, [], known, rules())
    body = to_converse(adapted.request, [], known, rules(), DEFAULT_POLICY, stream=True).body
    validate(resolve(JUDGES[family]).model, body, streams=True)
    return msgspec.json.decode(body)
