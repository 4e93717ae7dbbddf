"""A client cannot tell by the answer which dialect it came by: one table, four dialects, two forms.

The whole application, as `serve` wires it, calls a server that plays Bedrock byte for byte.
"""

from __future__ import annotations

import asyncio
from typing import Any, get_args

import answer_rows
import error_rows
import pytest
from anthropic.types import StopReason, Usage
from anthropic.types.beta import BetaStopReason, BetaUsage
from anthropic.types.shared import ErrorType
from fakeserver import serving
from no_answers import KINDS, NO_ANSWERS
from streams import decode, encode
from wired import wired
from wording import (
    DIALECTS,
    Said,
    broken,
    http,
    http_stream,
    pieces,
    refusal,
    whole,
)
from wording import stream as streamed

from anthropic_bedrock_proxy.protocol.answer.events import fold

MODEL = "claude-opus-4-8"
BODY = {
    "model": MODEL,
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "Hello"}],
    "tools": [{"name": "get_weather", "input_schema": {"type": "object"}}],
    "stop_sequences": ["HALT", "STOP"],
}
COUNTERS = {
    "input_tokens": 12,
    "output_tokens": 34,
    "cache_read_input_tokens": 0,
    "cache_creation_input_tokens": 0,
    "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
    "service_tier": "standard",
    "bedrock_service_tier": None,
}
in_both_forms = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
in_each_dialect = pytest.mark.parametrize("dialect", DIALECTS)


def cells(rows):
    """Each row in each dialect that can say it."""
    return pytest.mark.parametrize(
        ("row", "dialect"),
        [
            pytest.param(row, dialect, id=f"{row.name}-{dialect}")
            for row in rows
            for dialect in DIALECTS
            if dialect not in row.not_on
        ],
    )


def ask(dialect: str, answer: bytes | None, **rest):
    """What a client gets where Bedrock answers so; None: it never answers."""
    return exchange(dialect, answer, **rest)[0]


def exchange(dialect, answer, *, stream, closes=False, body=BODY, **settings):
    """What a client gets, and what Bedrock was sent."""

    async def play(_, writer):
        if answer is None:
            await asyncio.Event().wait()
        writer.write(answer)
        await writer.drain()
        return closes

    async def main():
        async with serving(play) as bedrock:
            url = f"http://127.0.0.1:{bedrock.port}"
            environ = {
                "BEDROCK_ENDPOINT_URL": url,
                "BEDROCK_MANTLE_ENDPOINT_URL": url,
                "MODEL_DIALECTS": encode({"*": dialect}).decode(),
                "UPSTREAM_MAX_ATTEMPTS": "1",
            }
            async with wired(**environ | settings) as send:
                got = await send("POST", "/v1/messages", encode(body | {"stream": stream}))
            return got, bedrock.requests

    return asyncio.run(main())


def message_of(answer, *, stream: bool) -> dict[str, Any]:
    """The message that the client has in the end."""
    assert answer.status == 200, answer.body
    return fold(answer.events) if stream else answer.json


def check_error(answer, row, dialect):
    error = answer.json["error"]
    assert (answer.status, error["type"]) == (row.status, row.type), error
    assert error["message"].startswith(row.words(dialect))
    assert "123456789012" not in error["message"]
    assert "details" not in error
    assert answer.headers["x-should-retry"] == ("true" if row.retry else "false")
    assert answer.headers.get("retry-after") == (
        None if row.retry_after is None else str(row.retry_after)
    )
    assert answer.headers["request-id"] == answer.json["request_id"]


@cells(answer_rows.ROWS)
@in_both_forms
def test_an_answer(row, dialect, stream):
    make = streamed if stream else whole
    answer = ask(dialect, make(dialect, row.said), stream=stream, **row.settings)
    if dialect in row.refused_on:
        assert answer.status == 400
        assert "which this model's endpoint does not offer" in answer.json["error"]["message"]
        return
    message = message_of(answer, stream=stream)
    usage = {name: message["usage"].get(name) for name in COUNTERS}
    usage["service_tier"] = usage["service_tier"] or "standard"  # a null means the same
    assert usage == {**COUNTERS, **row.usage}
    told = {"stop_details": None, "stop_sequence": None, **row.told}
    assert {name: message.get(name) for name in told} == told
    assert message["content"] == list(row.said.content)
    assert (message["model"], message["type"], message["role"]) == (MODEL, "message", "assistant")
    assert not any(name.startswith("amazon") for name in message)
    assert message["id"].startswith("msg_")


@cells(error_rows.ROWS)
@in_both_forms
def test_a_refusal(row, dialect, stream):
    check_error(ask(dialect, refusal(dialect, row.failure), stream=stream), row, dialect)


@pytest.mark.parametrize(
    "row",
    [row for row in error_rows.ROWS if "messages" not in row.not_on],
    ids=lambda row: row.name,
)
@in_both_forms
def test_a_refusal_of_invoke_in_the_envelope_of_newer_models(row, stream):
    answer = ask("invoke", refusal("invoke", row.failure, enveloped=True), stream=stream)
    check_error(answer, row, "messages")


@cells([row for row in error_rows.ROWS if row.streams])
class TestInsideAStream:
    def test_as_its_first_event_it_has_the_status_of_a_refusal(self, row, dialect):
        answer = ask(dialect, http_stream(dialect, [broken(dialect, row.failure)]), stream=True)
        check_error(answer, row, dialect)

    def test_after_others_it_is_an_error_event_of_the_same_type(self, row, dialect):
        parts = [*pieces(dialect, Said())[:3], broken(dialect, row.failure)]
        answer = ask(dialect, http_stream(dialect, parts), stream=True)
        assert answer.status == 200
        check_event(answer, row.type, row.words(dialect))


@pytest.mark.parametrize("row", NO_ANSWERS, ids=lambda row: row.name)
@pytest.mark.parametrize("kind", KINDS)
@in_each_dialect
@in_both_forms
def test_a_200_that_is_no_answer(row, kind, dialect, stream):
    answer = ask(dialect, http(200, kind, row.body), stream=stream)
    assert (answer.status, answer.json["error"]["type"]) == (row.status, row.type), answer.json
    assert answer.headers["x-should-retry"] == ("true" if row.retry else "false")


@in_each_dialect
@in_both_forms
def test_a_forced_tool_is_asked_for_where_it_cannot_be_forced(dialect, stream):
    body = BODY | {
        "model": "claude-opus-5-5",
        "system": "Be brief.",
        "tool_choice": {"type": "tool", "name": "get_weather"},
    }
    make = streamed if stream else whole
    answer, (sent,) = exchange(dialect, make(dialect, Said()), stream=stream, body=body)
    assert message_of(answer, stream=stream)["stop_reason"] == "end_turn"
    system = decode(sent.partition(b"\r\n\r\n")[2])["system"]
    assert [block["text"] for block in system] == [
        "Be brief.",
        "Answer only by calling the tool get_weather.",
    ]
    assert "tool became auto" in answer.headers["x-proxy-warning"]


CHECKS = {"safeguards": [{"type": "dangerous_tool_use", "classifier_context": {"v": 1}}]}
PASSED = [{"type": "dangerous_tool_use", "status": {"type": "available", "tool_uses": {}}}]
NOT_RUN = [{"type": "dangerous_tool_use", "status": {"type": "unavailable", "reason": "disabled"}}]


@in_each_dialect
@in_both_forms
def test_checks_of_tool_calls_are_relayed_or_said_to_be_unavailable(dialect, stream):
    """Claude Code's auto mode: see the head of `protocol/adapt/safeguards.py`."""
    checked = dialect != "converse"
    said = Said(safeguard_results=PASSED if checked else None)
    make = streamed if stream else whole
    answer, (sent,) = exchange(dialect, make(dialect, said), stream=stream, body=BODY | CHECKS)
    message = message_of(answer, stream=stream)
    assert message["safeguard_results"] == (PASSED if checked else NOT_RUN)
    assert (b'"safeguards"' in sent) is checked
    assert (b"dangerous-tool-use-2026-09-03" in sent) is checked
    assert ("safeguards" in answer.headers.get("x-proxy-warning", "")) is not checked


class TestOfTheNewestSDK:
    """A release of the official SDK that knows more fails here."""

    def test_every_stop_reason_has_a_row(self):
        known = {*get_args(StopReason), *get_args(BetaStopReason)}
        assert known == {row.told["stop_reason"] for row in answer_rows.ROWS}

    def test_every_counter_of_usage_has_a_row_or_a_reason(self):
        known = {*Usage.model_fields, *BetaUsage.model_fields}
        assert known - set(COUNTERS) == answer_rows.OTHER_COUNTERS.keys()

    def test_every_type_of_error_has_a_row_or_a_reason(self):
        told = {row.type for row in error_rows.ROWS}
        assert set(get_args(ErrorType)) - told == error_rows.OTHER_TYPES.keys()


@in_each_dialect
class TestBrokenOff:
    def test_a_whole_answer_that_is_cut(self, dialect):
        answer = ask(dialect, whole(dialect, Said())[:-9], stream=False, closes=True)
        assert (answer.status, answer.json["error"]["type"]) == (503, "api_error")
        assert answer.headers["x-should-retry"] == "true"

    @pytest.mark.parametrize("ends", [True, False], ids=["in order", "by the connection"])
    def test_a_stream_that_is_cut(self, dialect, ends):
        parts = pieces(dialect, Said())[:3]
        cut = http_stream(dialect, parts, end=ends)
        answer = ask(dialect, cut, stream=True, closes=True)
        assert answer.status == 200
        check_event(answer, "api_error", "")

    @pytest.mark.parametrize("ends", [True, False], ids=["in order", "by the connection"])
    def test_a_stream_that_is_cut_before_its_first_event(self, dialect, ends):
        answer = ask(dialect, http_stream(dialect, [], end=ends), stream=True, closes=True)
        assert answer.status in {500, 503}
        assert answer.json["error"]["type"] == "api_error"
        assert answer.headers["x-should-retry"] == "true"

    def test_a_stream_that_is_cut_inside_an_event(self, dialect):
        parts = pieces(dialect, Said())
        parts = [*parts[:3], parts[3][: len(parts[3]) // 2]]
        answer = ask(dialect, http_stream(dialect, parts), stream=True)
        check_event(answer, "api_error", "")

    @in_both_forms
    def test_no_answer_in_time(self, dialect, stream):
        times = {"UPSTREAM_FIRST_BYTE_TIMEOUT": "0.1", "FAILOVER_ENABLED": "false"}
        answer = ask(dialect, None, stream=stream, **times)
        assert (answer.status, answer.json["error"]["type"]) == (504, "timeout_error")
        assert answer.headers["x-should-retry"] == "true"


def check_event(answer, kind, words):
    *before, (name, data) = answer.events
    assert [kind for kind, _ in before][:3] == [
        b"message_start",
        b"content_block_start",
        b"content_block_delta",
    ]
    tree = decode(data)
    assert (name, tree["type"], tree["error"]["type"]) == (b"error", "error", kind)
    assert tree["error"]["message"].startswith(words)
    assert tree["request_id"] == answer.headers["request-id"]
