"""Converse streams: any legal rendering, any split, any cut and any flipped bit.

The whole answer is the reference: whatever way AWS may stream it, the same message comes out.
"""

from __future__ import annotations

import gc
import weakref
from base64 import b64decode, b64encode
from typing import Any

import botocore.loaders
import pytest
from anthropic import NOT_GIVEN
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import RawMessageStreamEvent
from botocore.eventstream import EventStreamBuffer
from botocore.model import ServiceModel
from botocore.parsers import EventStreamJSONParser
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from streams import decode, encode, exception_frame, split

from anthropic_bedrock_proxy.aws_errors import UpstreamRefusal
from anthropic_bedrock_proxy.protocol.answer.events import Grammar, fold
from anthropic_bedrock_proxy.protocol.answer.metering import Meter
from anthropic_bedrock_proxy.protocol.aws.eventstream import encode_frame
from anthropic_bedrock_proxy.protocol.converse.answer.stream import ConverseStream
from anthropic_bedrock_proxy.protocol.converse.answer.whole import finish_converse

ALIAS = "nova-pro"
ID = "msg_01"
NAMES = {"short": "a_long_name"}
DEEP = b"[" * 100_000 + b"]" * 100_000
USAGE = {
    "inputTokens": 12,
    "outputTokens": 34,
    "totalTokens": 53,
    "cacheReadInputTokens": 4,
    "cacheWriteInputTokens": 3,
    "cacheDetails": [{"ttl": "1h", "inputTokens": 2}, {"ttl": "5m", "inputTokens": 1}],
}
METADATA = {"usage": USAGE, "metrics": {"latencyMs": 5}, "serviceTier": {"type": "priority"}}

_sdk_event: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
_SHAPE = ServiceModel(
    botocore.loaders.Loader().load_service_model("bedrock-runtime", "service-2")
).shape_for("ConverseStreamOutput")


# Events of the wire, as (name, payload).


def frame(event):
    name, payload = event
    headers = {
        ":event-type": name,
        ":content-type": "application/json",
        ":message-type": "event",
    }
    return encode_frame(headers, encode({**payload, "p": "abcdefgh"}))


def begin(index, **start):
    return "contentBlockStart", {"contentBlockIndex": index, "start": start}


def delta(index, **delta):
    return "contentBlockDelta", {"contentBlockIndex": index, "delta": delta}


def reason(index, **delta_):
    return delta(index, reasoningContent=delta_)


def close(index):
    return "contentBlockStop", {"contentBlockIndex": index}


def call(index, name="weather", **fields):
    return begin(index, toolUse={"toolUseId": f"tooluse_{index}", "name": name, **fields})


START = ("messageStart", {"role": "assistant"})
END = ("metadata", METADATA)


def stop(reason="end_turn", **fields):
    return "messageStop", {"stopReason": reason, **fields}


def frames(*events):
    return b"".join(map(frame, events))


def new_stream(**options):
    return ConverseStream(ALIAS, message_id=ID, tool_names=NAMES, **options)


def drive(stream, chunks):
    """(events, failure) as the upstream's reader would see them."""
    events = []
    for chunk in chunks:
        events += stream.receive(chunk)
        if stream.failure is not None:
            return events, stream.failure
    stream.end()
    events += stream.receive(b"")
    return events, stream.failure


def run(chunks, **options):
    return drive(new_stream(**options), chunks)


def answer(*events, **options):
    """The message that a whole stream of these block events folds to."""
    produced, failure = run([frames(START, *events, stop(), END)], **options)
    assert failure is None
    return fold(produced)


def content(*events):
    return answer(*events)["content"]


def text(words):
    return {"type": "text", "text": words}


def thinking(words, signature=""):
    return {"type": "thinking", "thinking": words, "signature": signature}


def tool(name, data, ident="tooluse_0"):
    return {"type": "tool_use", "id": ident, "name": name, "input": data}


# Generated answers: a block as Converse tells it whole, and the same as events of one index.

_words = st.text(max_size=12)
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | _words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words, inner, max_size=3),
    max_leaves=5,
)
_ids = st.text("abz019_-.:", min_size=1, max_size=12)
_citations = st.builds(
    lambda title, quote, location: {
        "title": title,
        "source": "library",
        "sourceContent": [{"text": quote}],
        "location": location,
    },
    _words,
    _words,
    st.sampled_from(
        [
            {"documentChar": {"documentIndex": 0, "start": 1, "end": 5}},
            {"documentPage": {"documentIndex": 1, "start": 1, "end": 2}},
            {"documentChunk": {"documentIndex": 2, "start": 0, "end": 1}},
            {"searchResultLocation": {"searchResultIndex": 0, "start": 0, "end": 1}},
            {"web": {"url": "https://example.org", "domain": "example.org"}},
        ]
    ),
)


def pieces(draw, whole):
    """`whole` in pieces, some of them empty; at least one."""
    return split(whole, draw(st.lists(st.integers(0, 50), max_size=3)))


@st.composite
def text_blocks(draw):
    words = draw(_words)
    deltas = [{"text": piece} for piece in pieces(draw, words)]
    return "text", {"text": words}, draw(st.sampled_from([None, {}])), deltas


@st.composite
def cited_blocks(draw):
    words, citations = draw(_words), draw(st.lists(_citations, max_size=3))
    deltas: list[Any] = [{"text": piece} for piece in pieces(draw, words)]
    place = 0
    for citation in citations:
        place = draw(st.integers(place, len(deltas)))
        deltas.insert(place, {"citation": citation})
        place += 1
    block = {"citationsContent": {"content": [{"text": words}], "citations": citations}}
    return "text", block, None, deltas


@st.composite
def thinking_blocks(draw):
    words, signature = draw(_words), draw(st.none() | _words)
    whole = {"text": words} if signature is None else {"text": words, "signature": signature}
    deltas = [{"reasoningContent": {"text": piece}} for piece in pieces(draw, words)]
    if signature is not None:
        deltas += [{"reasoningContent": {"signature": s}} for s in pieces(draw, signature)]
    return "thinking", {"reasoningContent": {"reasoningText": whole}}, None, deltas


@st.composite
def redacted_blocks(draw):
    data = draw(st.binary(max_size=12))
    deltas = [
        {"reasoningContent": {"redactedContent": b64encode(piece).decode()}}
        for piece in pieces(draw, data)
    ]
    block = {"reasoningContent": {"redactedContent": b64encode(data).decode()}}
    return "redacted", block, None, deltas


@st.composite
def tool_blocks(draw, kind=None):
    data = draw(st.dictionaries(_words, _json, max_size=3))
    head = {"toolUseId": draw(_ids), "name": draw(st.sampled_from(["weather", "short"]))}
    if kind is not None:
        head["type"] = kind
    written = encode(data).decode()
    parts = [] if not data and draw(st.booleans()) else pieces(draw, written)
    deltas = [{"toolUse": {"input": piece}} for piece in parts]
    return "tool", {"toolUse": {**head, "input": data}}, {"toolUse": head}, deltas


@st.composite
def result_blocks(draw):
    parts = draw(
        st.lists(st.builds(lambda t: {"text": t}, _words) | st.just({"json": {"n": 2}}), max_size=3)
    )
    head = {"toolUseId": "tooluse_1", "type": "nova_grounding_result", "status": "success"}
    block = {"toolResult": {**head, "content": parts}}
    return "result", block, {"toolResult": head}, [{"toolResult": [part]} for part in parts]


@st.composite
def image_blocks(draw):
    source = {"source": {"bytes": "aGk="}}
    deltas = [{"image": source}] * draw(st.integers(1, 2))
    start = draw(st.sampled_from([None, {"image": {"format": "png"}}]))
    return "image", {"image": {"format": "png", **source}}, start, deltas


_blocks = st.one_of(
    text_blocks(),
    cited_blocks(),
    thinking_blocks(),
    redacted_blocks(),
    tool_blocks(),
    tool_blocks("server_tool_use"),
    result_blocks(),
    image_blocks(),
)


def events_of(index, block):
    _, _, start, deltas = block
    first = [] if start is None else [begin(index, **start)]
    return [*first, *(delta(index, **d) for d in deltas)]


def is_sign_of_life(event):
    """Whether a block has begun for certain; one that is empty so far may yet come to nothing."""
    name, payload = event
    if name == "contentBlockStart":
        return "toolUse" in payload["start"] or "image" in payload["start"]
    if name == "contentBlockStop":
        return False
    grown = next(iter(payload["delta"].values()))
    parts = grown if isinstance(grown, list) else [grown]
    values = [v for p in parts for v in (p.values() if isinstance(p, dict) else [p])]
    return any(value not in ("", b"") for value in values)


def begins_after(block, following):
    """Whether one can tell where `following` begins without a stop between the two."""
    if following[2] is not None:
        return True
    return block[0] != following[0] and any(map(is_sign_of_life, events_of(0, following)))


@st.composite
def in_sequence(draw, blocks):
    """Rising indexes with gaps, or one index used again and again; some stops are missing."""
    again = draw(st.booleans())
    events, index = [], 0
    for number, block in enumerate(blocks):
        events += events_of(index, block)
        told_apart = again and any(begins_after(block, b) for b in blocks[number + 1 :][:1])
        if not told_apart or draw(st.booleans()):
            events.append(close(index))
        index += 0 if again else draw(st.integers(1, 3))
    return events


@st.composite
def interleaved(draw, blocks):
    """Blocks that grow at the same time, having begun in their order; the last stop is missing."""
    indexes = draw(st.permutations(range(len(blocks))))
    queues = [
        [*events_of(index, block), close(index)]
        for index, block in zip(indexes, blocks, strict=True)
    ]
    events, begun = [], 0
    while any(queues):
        able = [n for n, queue in enumerate(queues) if queue and n <= begun]
        chosen = draw(st.sampled_from(able))
        event = queues[chosen].pop(0)
        events.append(event)
        if chosen == begun and (is_sign_of_life(event) or not queues[chosen]):
            begun += 1
    return events[:-1]


@st.composite
def answers(draw):
    """(the body of Converse, the same as the events of ConverseStream)."""
    blocks = draw(st.lists(_blocks, max_size=5))
    middle = draw(in_sequence(blocks) | interleaved(blocks))
    why = {
        "stopReason": draw(
            st.sampled_from(["end_turn", "tool_use", "max_tokens", "content_filtered", "bored"])
        )
    }
    if draw(st.booleans()):
        why["additionalModelResponseFields"] = {"stop_sequence": "END"}
    ending = [("messageStop", why), END]
    if draw(st.booleans()):
        ending.reverse()
    body = {
        "output": {"message": {"role": "assistant", "content": [block[1] for block in blocks]}},
        **why,
        **METADATA,
    }
    return body, [START, *middle, *ending]


@given(answers(), st.lists(st.integers(0)))
def test_a_stream_and_a_whole_answer_agree(pair, cuts):
    body, events = pair
    produced, failure = run(split(frames(*events), cuts))
    assert failure is None
    finished = finish_converse(encode(body), ALIAS, message_id=ID, tool_names=NAMES)
    assert fold(produced) == decode(finished)


@given(answers())
def test_one_byte_at_a_time(pair):
    data = frames(*pair[1])
    assert run([data[i : i + 1] for i in range(len(data))]) == run([data])


@given(answers())
def test_fold_agrees_with_the_official_accumulator(pair):
    produced, _ = run([frames(*pair[1])])
    snapshot, buffers = None, {}
    for _, data in produced:
        event = _sdk_event.validate_json(data)
        snapshot = accumulate_event(
            event=event, current_snapshot=snapshot, json_bufs=buffers, output_format=NOT_GIVEN
        )
    assert snapshot is not None
    theirs, ours = snapshot.to_dict(mode="json"), fold(produced)
    for name in ("id", "model", "content", "stop_reason", "stop_sequence"):
        assert theirs[name] == ours[name]
    assert theirs["stop_details"] == ours.get("stop_details")
    counts = [name for name in ours["usage"] if name.endswith("_tokens")]
    assert len(counts) == 4
    assert all(theirs["usage"][name] == ours["usage"][name] for name in counts)


def as_sent(parsed):
    """What botocore read, blobs as base64 again."""
    if isinstance(parsed, dict):
        return {name: as_sent(value) for name, value in parsed.items()}
    if isinstance(parsed, list):
        return [as_sent(value) for value in parsed]
    return b64encode(parsed).decode() if isinstance(parsed, bytes) else parsed


@given(answers())
def test_aws_s_own_parser_reads_these_streams(pair):
    _, events = pair
    buffer = EventStreamBuffer()
    buffer.add_data(frames(*events))
    for (name, payload), message in zip(events, buffer, strict=True):
        if payload.get("start") == {}:  # not AWS's, but other implementations of Converse send it
            continue
        parsed = EventStreamJSONParser().parse(message.to_response_dict(), _SHAPE)
        assert as_sent(parsed) == {name: payload}
        assert not ParamValidator().validate(parsed[name], _SHAPE.members[name]).has_errors()


WHOLE_EVENTS = [
    START,
    reason(0, text="Let me "),
    reason(0, text="see."),
    reason(0, signature="c2ln"),
    close(0),
    delta(1, text="It is 18 °C \U0001f324 in\n"),
    delta(1, text="Paris."),
    close(1),
    call(2),
    delta(2, toolUse={"input": '{"city":'}),
    delta(2, toolUse={"input": '"Paris"}'}),
    close(2),
    stop("tool_use"),
    END,
]
STREAM = frames(*WHOLE_EVENTS)
STOPPED = len(frames(*WHOLE_EVENTS[:-1]))  # everything but metadata
WHOLE, _ = run([STREAM])


def test_the_events_in_full():
    assert [(name, decode(data)["type"].encode()) for name, data in WHOLE] == [
        (name, name) for name, _ in WHOLE
    ]
    start = decode(WHOLE[0][1])["message"]
    assert start["content"] == []
    assert (start["usage"]["input_tokens"], start["usage"]["output_tokens"]) == (0, 1)
    assert fold(WHOLE)["content"] == [
        thinking("Let me see.", "c2ln"),
        text("It is 18 °C \U0001f324 in\nParis."),
        tool("weather", {"city": "Paris"}, "tooluse_2"),
    ]
    assert not any(b"\n" in data for _, data in WHOLE)


def test_a_cut_at_every_byte_gives_a_prefix_and_a_failure():
    for end in range(STOPPED):
        events, failure = run([STREAM[:end]])
        assert events == WHOLE[: len(events)]
        assert failure.code == "CutShort"


def test_a_cut_after_message_stop_is_a_whole_answer_with_an_estimate():
    for end in range(STOPPED, len(STREAM)):
        stream = new_stream(estimate_input=lambda: 9)
        events, failure = drive(stream, [STREAM[:end]])
        assert failure is None
        assert stream.finished
        assert stream.usage_estimated
        assert events[:-2] == WHOLE[:-2]
        usage = fold(events)["usage"]
        assert usage["input_tokens"] == 9
        assert 10 <= usage["output_tokens"] <= 25


def test_a_flipped_bit_in_every_byte_gives_a_prefix_and_a_failure():
    for position in range(len(STREAM)):
        broken = bytearray(STREAM)
        broken[position] ^= 1 << (position % 8)
        events, failure = run([bytes(broken)])
        assert events == WHOLE[: len(events)]
        assert isinstance(failure, UpstreamRefusal)


class TestBlocks:
    def test_indexes_are_contiguous_whatever_the_wire_says(self):
        said = [
            delta(5, text="a"),
            close(5),
            call(9),
            close(9),
            delta(5, text="b"),
            close(5),
            close(77),
        ]
        assert content(*said) == [text("a"), tool("weather", {}, "tooluse_9"), text("b")]

    def test_another_kind_on_the_same_index_is_another_block(self):
        said = [
            reason(0, text="Hm."),
            delta(0, text="Hi"),
            reason(0, redactedContent="eHg="),
            call(0),
            delta(0, toolUse={"input": "{}"}),
            delta(0, image={"source": {"bytes": "aGk="}}),
            delta(0, text="Bye"),
        ]
        kinds = [block["type"] for block in content(*said)]
        assert kinds == ["thinking", "text", "redacted_thinking", "tool_use", "text", "text"]

    def test_interleaved_tool_calls_come_one_after_the_other(self):
        said = [
            call(1),
            call(2),
            delta(2, toolUse={"input": '{"b"'}),
            delta(1, toolUse={"input": '{"a"'}),
            delta(2, toolUse={"input": ":2}"}),
            close(2),
            call(3),
            delta(2, toolUse={"input": "too late"}),
            delta(1, toolUse={"input": ":1}"}),
        ]
        assert [block["input"] for block in content(*said)] == [{"a": 1}, {"b": 2}, {}]

    def test_the_first_block_does_not_wait_for_its_end(self):
        stream = new_stream()
        assert len(stream.receive(frames(START, call(0)))) == 2
        assert len(stream.receive(frames(delta(0, toolUse={"input": "{"})))) == 1

    def test_empty_deltas_and_empty_blocks_produce_nothing(self):
        said = [
            delta(0, text=""),
            close(0),
            reason(1, text=""),
            reason(1, signature=""),
            reason(1, redactedContent=""),
            reason(1),
            close(1),
            begin(2),
            close(2),
            call(3),
            delta(3, toolUse={"input": ""}),
            delta(3, text=""),
            delta(3),
            delta(3, hologram={}),
            close(3),
        ]
        assert content(*said) == [tool("weather", {}, "tooluse_3")]

    def test_the_signature_is_sent_once_and_whole(self):
        said = [reason(0, text="Hm."), reason(0, signature="c2"), reason(0, signature="ln")]
        assert content(*said) == [thinking("Hm.", "c2ln")]

    def test_thinking_after_a_signature_is_the_next_thought(self):
        said = [
            reason(0, text="Hm."),
            reason(0, signature="c2ln"),
            reason(0, text="Aha."),
            reason(0, signature="bW9y"),
        ]
        assert content(*said) == [thinking("Hm.", "c2ln"), thinking("Aha.", "bW9y")]

    def test_thinking_that_is_only_a_signature_or_has_none(self):
        assert content(reason(0, signature="c2ln")) == [thinking("", "c2ln")]
        produced, _ = run([frames(START, reason(0, text="Hm."), stop(), END)])
        assert b'"signature_delta","signature":""' in produced[3][1]

    def test_redacted_data_is_joined(self):
        said = [reason(0, redactedContent=b64encode(part).decode()) for part in (b"a", b"bcd")]
        (block,) = content(*said)
        assert b64decode(block["data"]) == b"abcd"

    def test_input_without_a_call_is_left_out(self):
        said = [delta(0, toolUse={"input": "{}"}), delta(1, text="Hi")]
        assert content(*said, delta(1, toolUse={"input": "{}"})) == [text("Hi")]

    def test_input_that_is_cut_stays_as_the_model_said_it(self):
        said = [START, call(0), delta(0, toolUse={"input": '{"a":'}), stop("max_tokens"), END]
        produced, failure = run([frames(*said)])
        assert failure is None
        assert decode(produced[2][1])["delta"]["partial_json"] == '{"a":'

    def test_names_and_ids_are_the_client_s(self):
        (block,) = content(begin(0, toolUse={"toolUseId": "a.b:c", "name": "short"}))
        assert (block["id"], block["name"]) == ("a_b_c", "a_long_name")

    def test_a_citation_before_its_text(self):
        location = {"web": {"url": "https://example.org"}}
        citation = {"title": "t", "sourceContent": [{"text": "q"}], "location": location}
        (block,) = content(delta(0, citation=citation), delta(0, text="Hi"))
        assert (block["text"], len(block["citations"])) == ("Hi", 1)
        assert content(delta(0, citation=citation)) == []
        assert content(delta(0, citation={"title": "t"}), delta(0, text="Hi")) == [text("Hi")]

    def test_what_anthropic_has_no_block_for_is_told_of(self):
        image = {"image": {"source": {"bytes": "aGk="}}}
        said = [
            call(0, name="nova_grounding", type="server_tool_use"),
            delta(0, toolUse={"input": "{}"}),
            begin(1, toolResult={"toolUseId": "tooluse_0"}),
            delta(1, toolResult=[{"text": "two hits: "}, {"json": {"n": 2}}]),
            delta(1, toolResult=[{"text": ""}]),
            delta(1, toolResult=[]),
            begin(2, image={"format": "png"}),
            delta(2, **image),
            delta(2, **image),
            close(2),
            delta(2, **image),
        ]
        note, shown, image, another = content(*said)
        assert "nova_grounding" in note["text"]
        assert shown == text('two hits: {"n":2}')
        assert "image" in image["text"]
        assert image == another

    def test_a_citation_after_its_text(self):
        citation = {"title": "t", "location": {"web": {"url": "https://example.org"}}}
        (block,) = content(delta(0, text="Hi"), delta(0, citation=citation))
        assert (block["text"], len(block["citations"])) == ("Hi", 1)

    def test_numbers_stay_as_the_model_wrote_them(self):
        written = '{"a":1.10,"b":123456789012345678901234567890,"c":1e400}'
        produced, _ = run(
            [frames(START, call(0), delta(0, toolUse={"input": written}), stop(), END)]
        )
        assert decode(produced[2][1])["delta"]["partial_json"] == written


class TestEnding:
    @pytest.mark.parametrize(
        ("said", "expected"),
        [
            ("end_turn", "end_turn"),
            ("tool_use", "tool_use"),
            ("max_tokens", "max_tokens"),
            ("stop_sequence", "stop_sequence"),
            ("model_context_window_exceeded", "model_context_window_exceeded"),
            ("guardrail_intervened", "refusal"),
            ("content_filtered", "refusal"),
            ("malformed_model_output", "end_turn"),
            ("malformed_tool_use", "end_turn"),
            ("bored", "end_turn"),
        ],
    )
    def test_each_reason(self, said, expected):
        produced, _ = run([frames(START, delta(0, text="Hi"), stop(said), END)])
        message = fold(produced)
        assert message["stop_reason"] == expected
        assert ("stop_details" in message) == (expected == "refusal")

    def test_malformed_output_of_which_nothing_is_left_is_a_refusal(self):
        _, failure = run([frames(START, stop("malformed_model_output"), END)])
        assert failure.code == "ModelErrorException"

    def test_a_tool_call_must_be_answered_though_the_model_forgets_to_say_so(self):
        assert answer(call(0))["stop_reason"] == "tool_use"

    def test_the_matched_stop_sequence(self):
        fields = {"stop_sequence": "STOP"}
        said = stop("stop_sequence", additionalModelResponseFields=fields)
        produced, _ = run([frames(START, said, END)], stop_sequences=["END", "STOP"])
        assert fold(produced)["stop_sequence"] == "STOP"
        produced, _ = run([frames(START, stop("stop_sequence"), END)], stop_sequences=["END"])
        assert fold(produced)["stop_sequence"] == "END"


EXPECTED_USAGE = {
    "input_tokens": 12,
    "cache_creation_input_tokens": 3,
    "cache_read_input_tokens": 4,
    "cache_creation": {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 2},
    "output_tokens": 34,
    "service_tier": "priority",
}


class TestUsage:
    @pytest.mark.parametrize(
        "chunks",
        [
            [[START, delta(0, text="Hi"), stop(), END]],
            [[START, delta(0, text="Hi"), stop()], [END]],
            [[START, delta(0, text="Hi")], [END], [stop()]],
            [[END], [START, delta(0, text="Hi"), stop()]],
        ],
        ids=["together", "alone", "before messageStop", "first of all"],
    )
    def test_it_does_not_matter_when_metadata_comes(self, chunks):
        # Nothing is estimated: a look through the body takes time before the answer.
        stream = new_stream(estimate_input=lambda: pytest.fail("AWS has told it"))
        produced, failure = drive(stream, [frames(*events) for events in chunks])
        assert failure is None
        assert stream.finished
        assert not stream.usage_estimated
        assert fold(produced)["usage"] == EXPECTED_USAGE

    def test_message_delta_waits_for_metadata(self):
        stream = new_stream()
        events = stream.receive(frames(START, delta(0, text="Hi"), stop()))
        assert events[-1][0] == b"content_block_stop"
        assert not stream.finished
        assert [name for name, _ in stream.receive(frames(END))] == [
            b"message_delta",
            b"message_stop",
        ]

    @pytest.mark.parametrize("usage", [None, [], {}, {"inputTokens": 5}, {"outputTokens": "7"}])
    def test_metadata_without_usage_is_an_estimate(self, usage):
        stream = new_stream(estimate_input=lambda: 9)
        metadata = ("metadata", {**METADATA, "usage": usage})
        produced, _ = drive(stream, [frames(START, delta(0, text="Hi " * 40), stop(), metadata)])
        assert stream.usage_estimated
        usage = fold(produced)["usage"]
        assert usage["input_tokens"] == 9
        assert 25 <= usage["output_tokens"] <= 30
        assert usage["service_tier"] == "priority"

    def test_an_answer_is_not_lost_over_its_bill(self):
        head = {":message-type": "event", ":event-type": "metadata"}
        produced, failure = run([STREAM[:STOPPED] + encode_frame(head, b"[]")])
        assert failure is None
        assert fold(produced)["content"] == fold(WHOLE)["content"]

    def test_an_empty_answer_without_usage_costs_something(self):
        produced, _ = run([frames(START, stop())])
        assert fold(produced)["usage"]["output_tokens"] == 1

    def test_the_meter_reads_it(self):
        meter = Meter()
        for event in WHOLE:
            meter.observe(event)
        assert (meter.usage.input_tokens, meter.output_tokens) == (12, 34)
        assert meter.usage.cache_creation.ephemeral_1h_input_tokens == 2
        assert meter.usage.service_tier == "priority"
        assert not meter.estimated


class TestFailures:
    @pytest.mark.parametrize(
        ("kind", "code"),
        [
            ("throttlingException", "ThrottlingException"),
            ("modelStreamErrorException", "ModelStreamErrorException"),
            ("internalServerException", "InternalServerException"),
            ("validationException", "ValidationException"),
            ("serviceUnavailableException", "ServiceUnavailableException"),
        ],
    )
    def test_an_exception_frame_is_a_refusal_after_the_events_before_it(self, kind, code):
        said = frames(START, delta(0, text="Hi")) + exception_frame(kind, "Slow down")
        events, failure = run([said])
        assert [name for name, _ in events][-1] == b"content_block_delta"
        assert (failure.code, failure.message) == (code, "Slow down")

    def test_nothing_comes_after_a_failure(self):
        stream = new_stream()
        stream.receive(exception_frame("throttlingException", "Slow down"))
        assert stream.receive(STREAM) == []
        stream.end()
        assert stream.failure.code == "ThrottlingException"

    def test_an_error_frame_is_a_refusal(self):
        head = {
            ":message-type": "error",
            ":error-code": "InternalFailure",
            ":error-message": "oops",
        }
        _, failure = run([encode_frame(head, b"")])
        assert (failure.code, failure.message) == ("InternalFailure", "oops")

    @pytest.mark.parametrize(("original", "code"), [(400, "ValidationException"), (500, "X")])
    def test_the_model_s_own_client_error_stays_one(self, original, code):
        head = {":message-type": "exception", ":exception-type": "x"}
        payload = encode({"message": "bad image", "originalStatusCode": original})
        assert run([encode_frame(head, payload)])[1].code == code

    @pytest.mark.parametrize("payload", [b"not json", b"[]", b'{"message":"\xff"}', DEEP])
    def test_an_exception_frame_without_json_is_still_one(self, payload):
        frame = encode_frame({":message-type": "exception", ":exception-type": "x"}, payload)
        assert run([frame])[1].code == "X"

    def test_nothing_comes_before_message_start(self):
        events, failure = run([frames(delta(0, text="Hi"))])
        assert events == []
        assert failure.code == "NotAnAnswer"

    def test_a_second_message_start_changes_nothing(self):
        assert run([frames(START) + STREAM]) == (WHOLE, None)

    def test_nothing_comes_after_message_stop(self):
        late = [delta(0, text="late"), call(8), stop("max_tokens"), START]
        said = [*WHOLE_EVENTS[:-1], *late, END, *late]
        assert run([frames(*said) + b"x" * 40, b"x"]) == (WHOLE, None)

    def test_event_kinds_of_the_future_are_skipped(self):
        assert run([frames(("novelty", {})) + STREAM]) == (WHOLE, None)

    @pytest.mark.parametrize(
        ("name", "payload"),
        [
            ("contentBlockDelta", b"not json"),
            ("contentBlockDelta", b"{}"),
            ("contentBlockDelta", b'{"contentBlockIndex":0,"delta":{"text":5}}'),
            ("contentBlockDelta", b'{"contentBlockIndex":0,"delta":{"text":"\xff"}}'),
            (
                "contentBlockDelta",
                b'{"contentBlockIndex":0,"delta":{"reasoningContent":{"redactedContent":"!"}}}',
            ),
            (
                "contentBlockDelta",
                b'{"contentBlockIndex":0,"delta":{"toolResult":[{"json":"\xff"}]}}',
            ),
            ("contentBlockStart", b"[]"),
            ("contentBlockStop", b"{}"),
            ("messageStop", b'{"additionalModelResponseFields":' + DEEP + b"}"),
        ],
    )
    def test_corrupt_payloads_break_the_stream(self, name, payload):
        head = {":message-type": "event", ":event-type": name}
        events, failure = run([frames(START) + encode_frame(head, payload)])
        assert events == WHOLE[:1]
        assert failure.code == "CutShort"

    @pytest.mark.parametrize(
        "data",
        [
            exception_frame("throttlingException", "slow"),
            STREAM[:-1] + b"x",
            b"x" * 40,
            frames(START, ("contentBlockDelta", {})),
            STREAM[: STOPPED - 1],
        ],
        ids=["exception frame", "bad checksum", "bad checksum first", "bad payload", "cut"],
    )
    def test_a_failure_keeps_nothing_alive(self, data):
        gc.disable()
        try:
            stream = new_stream()
            drive(stream, [data])
            assert stream.failure is not None
            assert stream.failure.__traceback__ is None
            watch = weakref.ref(stream)
            del stream
            assert watch() is None
        finally:
            gc.enable()

    @given(
        st.lists(
            st.tuples(
                st.sampled_from([name for name, _ in WHOLE_EVENTS]),
                st.fixed_dictionaries(
                    {},
                    optional={
                        "contentBlockIndex": st.integers(-1, 2) | _json,
                        "delta": st.dictionaries(
                            st.sampled_from(["text", "toolUse", "citation", "reasoningContent"]),
                            _json,
                            max_size=2,
                        ),
                        "start": _json,
                        "stopReason": _words | _json,
                        "usage": _json,
                    },
                ),
            ),
            max_size=8,
        )
    )
    def test_nonsense_never_raises_nor_breaks_the_grammar(self, events):
        produced, failure = run([frames(START, *events)])
        grammar = Grammar()
        for event in produced:
            grammar.feed(event)
        if failure is None:
            grammar.end()
