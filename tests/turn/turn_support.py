"""Scripted model calls, and who judges what the turn makes of them."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

import msgspec
from working import no_pause, outcome

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


def begun(made, **given):
    """A turn in whose history nothing is pending any more."""
    turn = Turn(made, no_pause, **given)
    assert not run_pending(turn)
    return turn


def run_pending(turn):
    """Runs what the turn waits for, as the driver does; returns the client's events."""
    events = []
    while (asked := turn.pending) is not None:
        events += turn.answer(outcome(asked.run(asked.name, asked.input)))
    return events


def prepared(made):
    """(the request for the model, the result blocks that are owed)."""
    ready = prepare(made, no_pause)
    owed = []
    for pending in ready.pending:
        _, run = ready.runs[pending.name]
        owed.append(pending.answer(outcome(run(pending.name, pending.input))))
    return ready.made()[0], owed


def fed(turn, events):
    """The client's events for these of the model's, with the results of what they call."""
    return turn.feed(events) + run_pending(turn)


def play(turn, *calls):
    """(the client's events, the requests that the model was sent)."""
    events, requests = [], []
    script = iter(calls)
    while (made := turn.next_request()) is not None:
        requests.append(made)
        events += fed(turn, next(script))
    assert next(script, None) is None, "more calls were scripted than made"
    return events, requests


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
