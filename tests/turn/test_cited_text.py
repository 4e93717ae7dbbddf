"""Markers of the model become citations, however its text is cut."""

from __future__ import annotations

import json
from itertools import pairwise
from time import process_time

import msgspec
import pytest
from anthropic import NOT_GIVEN
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import RawMessageStreamEvent
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from anthropic_bedrock_proxy.protocol.answer.events import PING, explode, fold
from anthropic_bedrock_proxy.tools.passages import Passages
from anthropic_bedrock_proxy.turn.cited_text import (
    LONGEST_MARKER,
    CitedAnswer,
    wants_json,
    with_markers,
)
from anthropic_bedrock_proxy.turn.client_answer import ClientAnswer

SDK_EVENT = TypeAdapter(RawMessageStreamEvent)
KNOWN = ("w3k9x-1", "w3k9x-2", "zz0aa-7")
A, B, C = KNOWN
MESSAGE_START = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}


def citation(index):
    location = {
        "encrypted_index": index,
        "cited_text": "x < y",
        "title": "T",
        "url": "https://a.test",
    }
    return {"type": "web_search_result_location", **location}


def passages():
    known = Passages()
    for index in KNOWN:
        known.add(index, lambda index=index: citation(index))
    return known


def event(name, **fields):
    return name.encode(), json.dumps({"type": name, **fields}, separators=(",", ":")).encode()


def text_delta(text, index=0):
    return event("content_block_delta", index=index, delta={"type": "text_delta", "text": text})


def begin_block(index=0, **fields):
    block = {"type": "text", "text": ""} | fields
    return event("content_block_start", index=index, content_block=block)


def stop_block(index=0):
    return event("content_block_stop", index=index)


def answer_of(*events):
    """A whole answer: of the events of its blocks."""
    usage = {"output_tokens": 5}
    return [
        event("message_start", message=MESSAGE_START),
        *events,
        event("message_delta", delta={"stop_reason": "end_turn"}, usage=usage),
        event("message_stop"),
    ]


def told(events):
    """What the client is told, in the client's numbers, and what it makes of it."""
    cited, client = CitedAnswer(passages()), ClientAnswer()
    for one in events:
        for other in cited.feed(one):
            client.add(other)
    shown = client.release()
    return shown, fold(shown)["content"]


def shown_of(*pieces):
    """The content of an answer with one text block, which comes in these pieces."""
    block = [begin_block(), *map(text_delta, pieces), stop_block()]
    return told(answer_of(*block))[1]


def brief(content):
    """Each block as its text and the indexes of its citations."""
    return [
        (block["text"], *(one["encrypted_index"] for one in block.get("citations") or ()))
        for block in content
    ]


def around(text, *indexes, quote='"', comma=","):
    return f"<cited index={quote}{comma.join(indexes)}{quote}>{text}</cited>"


def void(*indexes):
    return f'<cited index="{",".join(indexes)}"/>'


def test_text_in_a_marker_is_a_block_with_its_citations():
    text = f"Python came out {around('in October', A, B)}, I think."
    shown, content = told(answer_of(begin_block(), text_delta(text), stop_block()))
    assert content == [
        {"type": "text", "text": "Python came out "},
        {"type": "text", "text": "in October", "citations": [citation(A), citation(B)]},
        {"type": "text", "text": ", I think."},
    ]
    starts = [json.loads(data) for name, data in shown if name == b"content_block_start"]
    assert [start["content_block"].get("citations") for start in starts] == [None, [], None]
    names = [json.loads(data).get("delta", {}).get("type") for _, data in shown]
    assert names.index("citations_delta") > names.index("text_delta")


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("", [("",)]),
        ("plain", [("plain",)]),
        (around("all", A), [("all", A)]),
        (around("all", A, A, B), [("all", A, B)]),
        (around("x", A, B, quote="'"), [("x", A, B)]),
        (around("x", A, B, quote=""), [("x", A, B)]),
        (around("x", A, B, comma=" , "), [("x", A, B)]),
        (around("x", A, B, comma=" "), [("x", A, B)]),
        (f'<cited  \n index = " {A} " >x</cited >', [("x", A)]),
        (f"<cited index={A} >x</cited>", [("x", A)]),
        (f"x<cited index= {A} / >", [("x", A)]),
        # The void form: for the text before it.
        (f"It is so.{void(A)} Or not.", [("It is so.", A), (" Or not.",)]),
        (f"It is so.{void(A)}{void(B, A)}", [("It is so.", A, B)]),
        (f"It is so.<cited index={A}/>", [("It is so.", A)]),
        (f"{void(A)}Nothing before.", [("Nothing before.",)]),
        (void(A), []),
        (f"One{void(A)}two{void(B)}", [("One", A), ("two", B)]),
        (f"{around('x', A)}{void(B)}y", [("x", A, B), ("y",)]),
        (f"So.{around('', A)}", [("So.", A)]),
        (f"So.{around('', A)}{around('', A)}", [("So.", A)]),
        (around("", A), []),
        # Side by side.
        (around("x", A) + around("y", B), [("x", A), ("y", B)]),
        (around("x", A) + around("y", A), [("x", A), ("y", A)]),
        # No such passage: the marker goes, the text stays with its neighbours.
        (f"a {around('b', 'nope-1')} c", [("a b c",)]),
        (around("b", ""), [("b",)]),
        (around("b", "nope-1", A), [("b", A)]),
        (f"a{void('nope-1')}b", [("ab",)]),
        (around("", "nope-1"), []),
        # Inside of each other.
        (around(f"x{around('y', B)}z", A), [("xyz", A, B)]),
        (around(f"x{void(B)}z", A), [("xz", A, B)]),
        (around(f"x{around('y', 'no-1')}z", A), [("xyz", A)]),
        (around(f"x{around('y', A)}z", "no-1"), [("x",), ("y", A), ("z",)]),
        (around(f"x{void(A)}z", "no-1"), [("x", A), ("z",)]),
        # Without an end, and without a beginning.
        (f'a<cited index="{A}">b', [("a",), ("b", A)]),
        (f'a<cited index="{A}">', [("a", A)]),
        ('a<cited index="no-1">b', [("ab",)]),
        ("a</cited>b", [("ab",)]),
        (f"{around('x', A)}</cited>b", [("x", A), ("b",)]),
        (f'a<cited index="{A}"', [("a",)]),
        ("a</cited", [("a",)]),
        ("a<cite", [("a<cite",)]),
        (f'<cited title="t" index="{A}" x>b</cited>', [("b", A)]),
        ("a<cited/>b", [("ab",)]),
        ("a<", [("a<",)]),
        # Without an index, and HTML, and what only looks like a marker.
        ("<cited>Hamlet</cited>", [("Hamlet",)]),
        ('<cited class="index">x</cited>', [("x",)]),
        ("<cite>Hamlet</cite>", [("<cite>Hamlet</cite>",)]),
        ("<citedindex=1>", [("<citedindex=1>",)]),
        ("1 < 2 <<cite", [("1 < 2 <<cite",)]),
        (f'<cited index="{around("x", A)}', [('<cited index="',), ("x", A)]),
    ],
)
def test_markers_and_what_becomes_of_them(text, blocks):
    assert brief(shown_of(text)) == blocks
    assert brief(shown_of(*text)) == blocks


WHOLE = (
    f"Ünd {around('im Oktober', A, B)} {around('z', 'no-1')}(1 < 2).{void(C)} \U0001f600</cited>"
)


def test_every_cut_of_a_text_gives_the_same():
    expected = shown_of(WHOLE)
    assert [block["text"] for block in expected] == [
        "Ünd ",
        "im Oktober",
        " z(1 < 2).",
        " \U0001f600",
    ]
    for first in range(len(WHOLE) + 1):
        assert shown_of(WHOLE[:first], WHOLE[first:]) == expected
        for second in range(first, len(WHOLE) + 1):
            assert shown_of(WHOLE[:first], WHOLE[first:second], WHOLE[second:]) == expected


@pytest.mark.parametrize("quote", ['"', "'", ""])
@pytest.mark.parametrize("end", ["/>", " / >", ">y</cited>", " >y</cited  >"])
def test_every_beginning_of_a_marker_is_held_back(quote, end):
    marker = f"<cited  index = {quote}{A}, {B}{quote}{end}"
    for cut in range(1, len(marker)):
        cited = CitedAnswer(passages())
        cited.feed(begin_block())
        seen = [json.loads(data) for _, data in cited.feed(text_delta(f"a{marker[:cut]}"))]
        texts = [one["delta"]["text"] for one in seen if "delta" in one and "text" in one["delta"]]
        assert "".join(texts).removeprefix("a") == ("y" if "y" in marker[:cut] else "")


def test_a_marker_is_as_long_as_it_may_be_and_no_longer():
    spare = LONGEST_MARKER - len(void(A))
    longest = void(A + " " * spare)
    assert len(longest) == LONGEST_MARKER
    too_long = void(A + " " * (spare + 1))
    for cut in range(1, LONGEST_MARKER + 1):
        assert brief(shown_of("a", longest[:cut], longest[cut:])) == [("a", A)]
        assert brief(shown_of("a", too_long[:cut], too_long[cut:])) == [(f"a{too_long}",)]
    cited = CitedAnswer(passages())
    cited.feed(begin_block())
    assert cited.feed(text_delta(too_long[: LONGEST_MARKER - 1])) == []
    assert cited.feed(text_delta(" ")) != []


def test_what_cannot_be_a_marker_is_not_held_back():
    cited = CitedAnswer(passages())
    start = begin_block()
    assert cited.feed(start) == []
    delta = text_delta("It ")
    assert cited.feed(delta) == [start, delta]
    held = ("</ci", "<cited c", "<cited index==", "<")
    for text in (*held, "<b", "<citedx", "</citedx", "a > b"):
        (only,) = cited.feed(text_delta(text)) or [None]
        assert (only is None) == (text in held)
        if only is None:
            ((_, data),) = cited.feed(text_delta("<b"))
            assert json.loads(data)["delta"]["text"] == f"{text}<b"


def test_text_without_markers_passes_as_it_came():
    cited = CitedAnswer(passages())
    events = answer_of(
        event("content_block_start", index=0, content_block={"type": "thinking", "thinking": "<"}),
        event("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "<"}),
        stop_block(),
        begin_block(1),
        PING,
        text_delta("a", 1),
        text_delta("b", 1),
        stop_block(1),
    )
    came = [other for one in events for other in cited.feed(one)]
    held = events.index(PING) - 1  # the beginning of the block waits for its text
    assert came == [*events[:held], PING, events[held], *events[held + 2 :]]
    assert all(any(one is other for other in events) for one in came)


def test_a_block_that_begins_with_a_marker_begins_with_its_citations():
    cited = CitedAnswer(passages())
    assert cited.feed(begin_block()) == []
    (start, delta) = cited.feed(text_delta(f'<cited index="{A}">x'))
    assert start == begin_block(citations=[])
    assert delta == text_delta("x")


@pytest.mark.parametrize("text", ["a", void(A)])
def test_what_follows_a_text_block_passes_as_it_came(text):
    cited = CitedAnswer(passages())
    for one in (begin_block(), text_delta(text), stop_block()):
        cited.feed(one)
    call = {"type": "tool_use", "id": "toolu_1", "name": "t", "input": {}}
    piece = {"type": "input_json_delta", "partial_json": around("x", A)}
    for one in (
        event("content_block_start", index=1, content_block=call),
        event("content_block_delta", index=1, delta=piece),
        stop_block(1),
    ):
        (same,) = cited.feed(one)
        assert same is one


def test_an_empty_block_stays_empty_wherever_it_is():
    first = [begin_block(), text_delta("a <"), stop_block()]
    second = [begin_block(1), text_delta("", 1), stop_block(1)]
    assert brief(told(answer_of(*first, *second))[1]) == [("a <",), ("",)]


def test_an_escaped_marker_is_one():
    name, data = text_delta(f"a{void(A)}")
    escaped = name, data.replace(b"<", b"\\u003C")
    (block,) = told(answer_of(begin_block(), text_delta("b"), escaped, stop_block()))[1]
    assert brief([block]) == [("ba", A)]


def test_a_block_may_begin_with_text():
    events = answer_of(begin_block(text=f"x{void(A)}y"), text_delta("z"), stop_block())
    assert brief(told(events)[1]) == [("x", A), ("yz",)]


def test_citations_of_the_models_own_stay_with_their_text():
    own = {"type": "char_location", "encrypted_index": "own <1>", "cited_text": "x"}
    native = event(
        "content_block_delta", index=0, delta={"type": "citations_delta", "citation": own}
    )
    start = begin_block(citations=[])
    events = answer_of(start, text_delta("a"), native, stop_block())
    assert told(events)[0] == events
    assert brief(told(answer_of(start, native, stop_block()))[1]) == [("", "own <1>")]
    events = answer_of(start, text_delta(around("a", A)), native, stop_block())
    assert brief(told(events)[1]) == [("a", A, "own <1>")]


def test_each_block_and_each_answer_is_on_its_own():
    first = [begin_block(), text_delta(f'a<cited index="{A}">b<'), stop_block()]
    second = [begin_block(1), text_delta("c</cited>", 1), stop_block(1)]
    assert brief(told(answer_of(*first, *second))[1]) == [("a",), ("b<", A), ("c",)]


WORDS = st.sampled_from(
    ["a", " ", "b. ", "ü\U0001f600", "<", "<b>", "</", "<cited>", "<ci", '"', ">"]
)
INDEXES = st.lists(st.sampled_from([*KNOWN, "no-1"]), min_size=1, max_size=3)
TOKENS = st.lists(
    st.one_of(
        WORDS,
        INDEXES.map(lambda some: around("", *some).removesuffix("</cited>")),
        INDEXES.map(lambda some: void(*some)),
        st.just("</cited>"),
    ),
    max_size=12,
)


def without_markers(tokens):
    """The text that remains of tokens."""
    return "".join(token for token in tokens if not token.startswith(("<cited", "</cited")))


@given(TOKENS, st.data())
def test_markers_never_reach_the_client_and_all_else_does(tokens, data):
    whole = "".join(tokens)
    content = shown_of(whole)
    assert "".join(block["text"] for block in content) == without_markers(tokens)
    if whole:
        assert all(block["text"] for block in content)
    plain = [not block.get("citations") for block in content]
    assert not any(one and other for one, other in pairwise(plain))
    for block in brief(content):
        assert len(set(block[1:])) == len(block[1:])
        assert set(block[1:]) <= set(KNOWN)
    assert shown_of(*whole) == content
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert shown_of(*pieces) == content


@given(st.text(alphabet="<>/cite index='\"-1", max_size=60), st.data())
def test_whatever_is_nearly_a_marker_is_cut_alike(whole, data):
    cut = data.draw(st.integers(0, len(whole)))
    assert shown_of(whole[:cut], whole[cut:]) == shown_of(whole) == shown_of(*whole)


def test_hostile_text_costs_no_more_than_other():
    began = process_time()
    for hostile in (
        f"<cited index={' ' * 180}",
        f"<cited index='a'{' /' * 80}",
        f"<cited{' ' * 190}",
    ):
        whole = f"{hostile}<" * 200
        assert brief(shown_of(whole)) == [(whole,)]
    assert process_time() - began < 5, "a pattern tries all ways to divide the spaces"


def test_a_history_has_the_markers_of_the_model_again():
    block = {"type": "text", "text": "in October", "citations": [citation(A), citation(B)]}
    known = {A: "w3k9x-1", B: "w3k9x-2"}
    marked = with_markers(block, lambda one: known.get(one["encrypted_index"]))
    assert marked == {"type": "text", "text": around("in October", A, B)}
    assert brief(shown_of(marked["text"])) == [("in October", A, B)]
    del known[A]
    marked = with_markers(block, lambda one: known.get(one["encrypted_index"]))
    assert marked == {
        "type": "text",
        "text": around("in October", B),
        "citations": [citation(A)],  # it is another's
    }
    known.clear()
    assert with_markers(block, lambda one: known.get(one["encrypted_index"])) is block


def test_a_history_without_citations_stays_as_it_is():
    block = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
    assert with_markers(block, lambda _: A) is block
    assert with_markers({**block, "citations": None}, lambda _: A)["citations"] is None
    assert with_markers({"type": "text", "text": "", "citations": [{}]}, lambda _: A) == {
        "type": "text",
        "text": "",
    }


def test_it_folds_back_to_what_the_model_said_without_passages():
    message = {**MESSAGE_START, "content": [{"type": "text", "text": WHOLE}]}
    message |= {"stop_reason": "end_turn"}
    cited, client = CitedAnswer(Passages()), ClientAnswer()
    for one in explode(message):
        for other in cited.feed(one):
            client.add(other)
    (block,) = fold(client.release())["content"]
    assert block == {"type": "text", "text": "Ünd im Oktober z(1 < 2). \U0001f600"}


@given(
    st.lists(st.lists(st.sampled_from(["a", around("b", A), void(B), void("no-1")])), max_size=3)
)
def test_the_official_sdk_takes_the_stream(blocks):
    events = []
    for index, pieces in enumerate(blocks):
        events += [begin_block(index), *(text_delta(piece, index) for piece in pieces)]
        events.append(stop_block(index))
    shown, content = told(answer_of(*events))
    snapshot = None
    for _, data in shown:
        snapshot = accumulate_event(
            event=SDK_EVENT.validate_json(data),
            current_snapshot=snapshot,
            json_bufs={},
            output_format=NOT_GIVEN,
        )
    seen = json.loads(snapshot.to_json())["content"]
    assert seen == content


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({}, False),
        ({"output_config": {"effort": "low"}}, False),
        ({"output_config": {"format": None}, "output_format": None}, False),
        ({"output_config": [1]}, False),  # refused elsewhere
        ({"output_config": {"format": {"type": "json_schema"}}}, True),
        ({"output_format": {"type": "json_schema"}}, True),
    ],
)
def test_json_of_a_schema_is_wanted_by_either_field(fields, wanted):
    raws = {name: msgspec.Raw(json.dumps(value).encode()) for name, value in fields.items()}
    assert wants_json(raws) is wanted
