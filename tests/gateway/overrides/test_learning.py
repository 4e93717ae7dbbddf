"""Refusals on their way through whole requests: tried once more, and what others have of it."""

from __future__ import annotations

import asyncio

import pytest
from factories import make_counters, make_messages
from streams import MESSAGE, STREAM, decode, encode

from anthropic_bedrock_proxy.app.models import load_model_table
from anthropic_bedrock_proxy.aws_errors import UpstreamRefusal
from anthropic_bedrock_proxy.errors import InvalidRequestError
from anthropic_bedrock_proxy.gateway.exchange import Exchange
from anthropic_bedrock_proxy.gateway.overrides.overrides import KEEP_SECONDS, Overrides
from anthropic_bedrock_proxy.models.registry import DEFAULT_PROVIDER, Registry, RoutingOptions
from anthropic_bedrock_proxy.upstream.fake import FakeUpstream

REGISTRY = Registry(load_model_table(), RoutingOptions(region="us-east-1"))
TOOL = {"name": "t", "input_schema": {"type": "object"}, "strict": True}
BODY = {
    "model": "claude-sonnet-4-5",
    "max_tokens": 10,
    "messages": [{"role": "user", "content": "Hello"}],
    "tools": [TOOL],
}
ANSWER = encode(MESSAGE)


def refusal(message):
    return UpstreamRefusal("ValidationException", message, status=400)


STRICT = refusal("tools.0.custom.strict: Extra inputs are not permitted")


class World:
    """Messages on one scripted upstream."""

    def __init__(self, *script):
        self.now, self.records, self.heard = 1_000_000.0, [], []
        self.upstream = FakeUpstream(script)
        self.overrides = Overrides(
            REGISTRY.betas.needed_for, learned=self.heard.append, now=lambda: self.now
        )
        self.messages = make_messages(
            {DEFAULT_PROVIDER: self.upstream},
            REGISTRY,
            make_counters(self, REGISTRY, monotonic=lambda: self.now),
            monotonic=lambda: self.now,
            overrides=self.overrides,
        )

    def append(self, record):
        self.records.append(record)

    def ask(self, key, body=None, **change):
        """How many calls it took, and the body of the last."""
        before = len(self.upstream.calls)

        async def main():
            exchange = Exchange("req_1", started=self.now, at_ms=0, version="2023-06-01")
            exchange.key_id = key
            reply = await self.messages.handle(exchange, body or encode({**BODY, **change}))
            if change.get("stream"):
                while await reply.read() is not None:
                    pass

        asyncio.run(main())
        calls = self.upstream.calls[before:]
        return len(calls), calls[-1].body


@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_costs_each_of_two_keys_one_attempt_and_others_none(stream):
    answer = [STREAM] if stream else ANSWER
    world = World(STRICT, answer, answer, STRICT, answer, answer)
    attempts = [world.ask(key, stream=stream)[0] for key in ("a", "a", "b", "c")]
    assert attempts == [2, 1, 2, 1]
    assert [record.error for record in world.records] == [None] * 4
    assert [override.witnesses for override in world.heard] == [("a",), ("a", "b")]


def test_what_a_client_provokes_with_mistakes_of_its_own_changes_nothing_for_others():
    mistakes = ("context_management", "defer_loading", "input_examples")
    refusals = [refusal(f"messages.0.{name}: Extra inputs are not permitted") for name in mistakes]
    world = World(*refusals, ANSWER)
    for name in mistakes:
        message = {"role": "user", "content": "Hello", name: {}}
        with pytest.raises(InvalidRequestError, match=name):
            world.ask("a", messages=[message])
    edits = {"edits": [{"type": "clear_tool_uses_20250919"}]}
    _, sent = world.ask("b", context_management=edits)
    assert decode(sent)["context_management"] == edits
    assert not world.heard


def test_a_refusal_that_the_next_attempt_meets_too_teaches_nothing():
    other = refusal("messages: roles must alternate")
    world = World(STRICT, other, STRICT, other, ANSWER)
    for key in "ab":
        with pytest.raises(InvalidRequestError, match="roles"):
            world.ask(key)
    attempts, sent = world.ask("c")
    assert (attempts, decode(sent)["tools"][0]["strict"]) == (1, True)


def test_numbers_of_any_length_are_sent_as_they_are():
    """With one stored override they gave 500."""
    world = World(STRICT, ANSWER, STRICT, ANSWER, ANSWER)
    for key in "ab":
        world.ask(key)
    digits = b"9" * 5000
    body = encode(BODY)[:-1] + b',"future":' + digits + b"}"
    attempts, sent = world.ask("c", body)
    assert attempts == 1
    assert digits in sent
    assert b"strict" not in sent


def test_after_a_day_one_request_tries_again_and_is_served_either_way():
    world = World(STRICT, ANSWER, STRICT, ANSWER, STRICT, ANSWER, ANSWER, ANSWER, ANSWER)
    for key in "ab":
        world.ask(key)
    world.now += KEEP_SECONDS
    assert [world.ask(key)[0] for key in "cd"] == [2, 1]
    world.now += KEEP_SECONDS
    attempts, sent = world.ask("e")
    assert (attempts, decode(sent)["tools"][0]["strict"]) == (1, True)
    _, sent = world.ask("f")
    assert decode(sent)["tools"][0]["strict"] is True
    assert world.heard[-1].allowed


def test_calls_of_a_turn_that_the_proxy_makes_teach_as_well():
    """Tools are searched by the proxy here: an older model."""
    searcher = {"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"}
    deferred = {**TOOL, "name": "d", "defer_loading": True}
    change = {"model": "claude-3-5-haiku-20241022", "tools": [TOOL, searcher, deferred]}
    world = World(STRICT, [STREAM], [STREAM], STRICT, [STREAM], [STREAM])
    attempts = [world.ask(key, **change)[0] for key in ("a", "a", "b", "c")]
    assert attempts == [2, 1, 2, 1]
    assert [override.witnesses for override in world.heard] == [("a",), ("a", "b")]


def test_a_refusal_of_a_turn_s_first_call_that_teaches_nothing_is_the_answer():
    searcher = {"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"}
    deferred = {**TOOL, "name": "d", "defer_loading": True}
    world = World(refusal("messages: roles must alternate"))
    with pytest.raises(InvalidRequestError, match="roles"):
        world.ask("a", model="claude-3-5-haiku-20241022", tools=[TOOL, searcher, deferred])
