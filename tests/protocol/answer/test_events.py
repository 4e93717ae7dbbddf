"""fold, explode and the grammar, with the official SDK's accumulator as the oracle."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from anthropic import NOT_GIVEN
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import RawMessageStreamEvent
from anthropic.types.beta import BetaRawContentBlockDelta, BetaRawMessageDeltaEvent
from anthropic.types.beta.beta_raw_message_delta_event import Delta
from hypothesis import given
from pydantic import TypeAdapter
from streams import EVENTS, MESSAGE, decode, encode, messages

from anthropic_bedrock_proxy.protocol.answer.events import (
    DELTA_KEYS,
    END_KEYS,
    PING,
    Grammar,
    GrammarError,
    explode,
    fold,
)

_sdk_event: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)


@given(messages)
def test_fold_undoes_explode(message):
    assert fold(explode(message)) == message


@given(messages)
def test_exploded_streams_satisfy_the_grammar(message):
    grammar = Grammar()
    for event in explode(message):
        grammar.feed(event)
    grammar.end()


def test_fold_agrees_with_the_official_accumulator():
    snapshot, buffers = None, {}
    for _, data in EVENTS:
        event = _sdk_event.validate_json(data)
        snapshot = accumulate_event(
            event=event, current_snapshot=snapshot, json_bufs=buffers, output_format=NOT_GIVEN
        )
    assert snapshot is not None
    theirs = snapshot.to_dict(mode="json")
    ours = fold(EVENTS)
    assert ours["content"] == theirs["content"]
    assert ours["stop_reason"] == theirs["stop_reason"]
    assert ours["usage"]["output_tokens"] == theirs["usage"]["output_tokens"]


def test_every_delta_and_every_field_of_the_end_is_known():
    """A release of the official SDK that knows more fails here."""
    (union,) = (arg for arg in get_args(BetaRawContentBlockDelta) if get_args(arg))
    kinds = {get_args(one.model_fields["type"].annotation)[0] for one in get_args(union)}
    assert kinds == {
        *("text_delta", "input_json_delta", "citations_delta", "thinking_delta"),
        *("signature_delta", "compaction_delta"),
    }
    assert set(Delta.model_fields) <= set(DELTA_KEYS)
    extras = set(BetaRawMessageDeltaEvent.model_fields) - {"type", "delta", "usage"}
    assert extras == set(END_KEYS)


def test_pings_change_nothing():
    spaced = [event for pair in EVENTS for event in (PING, pair)]
    assert fold(spaced) == MESSAGE


def test_usage_of_message_delta_wins_but_null_keeps_what_was():
    delta = encode(
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 9, "input_tokens": None},
        }
    )
    folded = fold([*EVENTS[:-2], (b"message_delta", delta), EVENTS[-1]])
    assert folded["usage"]["output_tokens"] == 9
    assert folded["usage"]["input_tokens"] == 12


def test_compaction_blocks_fold():
    start = {"type": "compaction", "content": None}
    delta = {"type": "compaction_delta", "content": "summary"}
    events = [
        EVENTS[0],
        event("content_block_start", index=0, content_block=start),
        event("content_block_delta", index=0, delta=delta),
        event("content_block_stop", index=0),
        *EVENTS[-2:],
    ]
    assert fold(events)["content"] == [{"type": "compaction", "content": "summary"}]


def test_empty_and_null_citations_survive():
    for citations in ([], None):
        message = {**MESSAGE, "content": [{"type": "text", "text": "a", "citations": citations}]}
        assert fold(explode(message))["content"][0]["citations"] in (citations, None, [])


def event(name: str, **fields: Any) -> tuple[bytes, bytes]:
    return name.encode(), encode({"type": name, **fields})


START, STOP = EVENTS[0], EVENTS[-1]
TEXT = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
DELTA = event("content_block_delta", index=0, delta={"type": "text_delta", "text": "a"})
END = event("content_block_stop", index=0)
SIGNATURE = event(
    "content_block_delta", index=0, delta={"type": "signature_delta", "signature": "s"}
)
THOUGHT = event("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "t"})


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([], id="nothing"),
        pytest.param([START], id="unfinished"),
        pytest.param([DELTA], id="delta first"),
        pytest.param([START, START], id="two starts"),
        pytest.param([START, DELTA], id="delta without a block"),
        pytest.param([START, TEXT, TEXT], id="blocks interleaved"),
        pytest.param([START, TEXT, END, TEXT], id="index used twice"),
        pytest.param([START, TEXT, event("content_block_stop", index=1)], id="wrong stop"),
        pytest.param(
            [START, TEXT, event("content_block_delta", index=1, delta={"type": "text_delta"})],
            id="wrong delta",
        ),
        pytest.param([START, TEXT, SIGNATURE, SIGNATURE], id="two signatures"),
        pytest.param([START, TEXT, SIGNATURE, THOUGHT], id="thinking after its signature"),
        pytest.param([START, STOP], id="no message_delta"),
        pytest.param([START, TEXT, *EVENTS[-2:]], id="block left open"),
        pytest.param([*EVENTS, STOP], id="after the end"),
        pytest.param([*EVENTS, PING], id="ping after the end"),
        pytest.param([START, event("surprise")], id="unknown event"),
        pytest.param([(b"ping", b'{"type":"pong"}')], id="name and data differ"),
        pytest.param(
            [START, event("message_delta", delta={}, usage={})], id="delta without output_tokens"
        ),
        pytest.param([event("message_start", message=MESSAGE)], id="start with content"),
        pytest.param(
            [START, event("error", error={"type": "api_error", "message": "x"})], id="error"
        ),
        pytest.param(
            [START, TEXT, event("content_block_delta", index=0, delta={"type": "new_delta"})],
            id="unknown delta",
        ),
    ],
)
def test_what_is_no_whole_stream_does_not_fold(events):
    with pytest.raises(GrammarError):
        fold(events)


def test_an_error_event_may_end_a_stream_anywhere():
    for length in range(len(EVENTS)):
        grammar = Grammar()
        for one in EVENTS[:length]:
            grammar.feed(one)
        grammar.feed(event("error", error={"type": "api_error", "message": "x"}))
        grammar.end()


def test_recorded_stream_is_what_it_should_be():
    assert [name.decode() for name, _ in EVENTS][:3] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
    ]
    assert decode(EVENTS[0][1])["message"]["content"] == []


def test_a_call_whose_input_came_as_nothing_has_the_input_that_it_began_with():
    block = {"type": "tool_use", "id": "toolu_1", "name": "t", "input": {}}
    delta = {"type": "input_json_delta", "partial_json": ""}
    start, stop = EVENTS[0], EVENTS[-2:]
    inner = [
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
    ]
    events = [start, *((tree["type"].encode(), encode(tree)) for tree in inner), *stop]
    assert fold(events)["content"] == [block]
