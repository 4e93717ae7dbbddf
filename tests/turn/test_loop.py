"""The turn loop on scripted model calls: what the client sees, what the model is asked."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest
from anthropic import NOT_GIVEN
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import RawMessageStreamEvent
from hypothesis import given
from hypothesis import strategies as st
from probe import PROBE, Probe, finished, suspended
from pydantic import TypeAdapter
from turn_support import (
    ASKED,
    BM25,
    JUDGES,
    REGEX,
    SEARCH,
    answer,
    assistant,
    begun,
    call,
    converse,
    fields_of,
    found,
    play,
    request,
    result,
    search,
    text,
    user,
)
from working import search_tools

from anthropic_bedrock_proxy.protocol.answer.events import PING, GrammarError, fold
from anthropic_bedrock_proxy.tools.calls import Finished
from anthropic_bedrock_proxy.tools.toolset import MAX_MODEL_CALLS, Toolset
from anthropic_bedrock_proxy.turn.actions import CallModel, CallOutcome, End, RunCall, Tell
from anthropic_bedrock_proxy.turn.loop import Turn
from anthropic_bedrock_proxy.turn.usage import add_usage, merge_usage

THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
_sdk_event = TypeAdapter(RawMessageStreamEvent)


def kinds(message):
    return [block["type"] for block in message["content"]]


def test_a_turn_without_searches_is_passed_through():
    events = answer(THOUGHT, text("a"), call("run"))
    seen, (only,) = play(begun(request()), events)
    assert seen == events
    assert only.fields["messages"] == request().fields["messages"]


def test_a_search_and_then_an_answer():
    turn = begun(request(tool_choice={"type": "tool", "name": REGEX}))
    first = answer(THOUGHT, text("let me look"), call(REGEX, "tooluse_x-1", pattern="weather"))
    seen, (one, two) = play(turn, first, answer(text("b"), call("get_weather", "w")))
    message = fold(seen)
    identifier = message["content"][2]["id"]
    assert identifier.startswith("srvtoolu_")
    assert message["content"] == [
        THOUGHT,
        text("let me look"),
        search(identifier),
        found(identifier, "get_weather"),
        text("b"),
        call("get_weather", "w"),
    ]
    assert message["stop_reason"] == "tool_use"
    assert message["usage"] == {"input_tokens": 20, "output_tokens": 10}
    assert turn.end == End()
    said = call(REGEX, identifier.replace("srvtoolu", "toolu"), pattern="weather")
    reference = {"type": "tool_reference", "tool_name": "get_weather"}
    messages, choice = fields_of(two, "messages", "tool_choice")
    assert messages == [
        ASKED,
        assistant(THOUGHT, text("let me look"), said),
        user(result(said["id"], [reference])),
    ]
    assert choice == {"type": "auto"}
    assert fields_of(one, "tool_choice") == [{"type": "tool", "name": REGEX}]


def test_the_client_sees_the_input_stream():
    seen, _ = play(begun(request()), answer(call(REGEX, pattern="weather")), answer(text("b")))
    assert [name for name, _ in seen] == [
        b"message_start",
        b"content_block_start",
        b"content_block_delta",
        b"content_block_stop",
        b"content_block_start",
        b"content_block_stop",
        b"content_block_start",
        b"content_block_delta",
        b"content_block_stop",
        b"message_delta",
        b"message_stop",
    ]
    start, delta, result_start = (msgspec.json.decode(seen[i][1]) for i in (1, 2, 4))
    assert start["content_block"]["input"] == {}
    assert delta["delta"] == {"type": "input_json_delta", "partial_json": '{"pattern":"weather"}'}
    assert result_start["content_block"]["content"]["type"] == "tool_search_tool_search_result"


def test_a_search_beside_a_call_of_the_clients_ends_the_turn():
    events = answer(call("run", "c"), call(REGEX, "s", pattern="mail"), text("d"))
    seen, requests = play(begun(request()), events)
    message = fold(seen)
    identifier = message["content"][1]["id"]
    assert len(requests) == 1
    assert message["stop_reason"] == "tool_use"
    assert message["content"] == [
        call("run", "c"),
        search(identifier, "mail"),
        found(identifier, "sendMail"),
        text("d"),
    ]


@pytest.mark.parametrize("reason", ["max_tokens", "refusal", "end_turn", "stop_sequence", None])
def test_any_other_reason_ends_the_turn(reason):
    events = answer(call(REGEX, pattern="weather"))
    *rest, (name, data), stop = events
    tree = msgspec.json.decode(data)
    tree["delta"]["stop_reason"] = reason
    seen, requests = play(begun(request()), [*rest, (name, msgspec.json.encode(tree)), stop])
    assert len(requests) == 1
    message = fold(seen)
    assert message["stop_reason"] == reason
    assert kinds(message) == ["server_tool_use", "tool_search_tool_result"]


def test_a_call_that_was_cut_short_has_an_error_for_a_result():
    events = answer(call(REGEX, pattern="weather"), stop="max_tokens")
    delta = msgspec.json.decode(events[2][1])
    delta["delta"]["partial_json"] = '{"pattern":"wea'
    events[2] = (events[2][0], msgspec.json.encode(delta))
    seen, _ = play(begun(request()), events)
    content = msgspec.json.decode(seen[4][1])["content_block"]["content"]
    assert content["error_code"] == "invalid_tool_input"


def test_odd_inputs_go_back_to_the_model_as_errors():
    events = answer(call(REGEX))
    broken = answer(call(REGEX))
    for given_, partial_json in ((events, ""), (broken, "[1")):
        delta = msgspec.json.decode(given_[2][1])
        delta["delta"]["partial_json"] = partial_json
        given_[2] = (given_[2][0], msgspec.json.encode(delta))
    _, (_, *requests) = play(begun(request()), events, broken, answer(text("b")))
    (messages,) = fields_of(requests[-1], "messages")
    assert [message["role"] for message in messages] == ["user", "assistant"] * 2 + ["user"]
    for said, told in ((messages[1], messages[2]), (messages[3], messages[4])):
        assert said["content"][0]["input"] == {}
        assert told["content"][0]["is_error"] is True


def test_a_pending_search_is_told_first():
    turn = begun(request([ASKED, assistant(text("a"), search("srvtoolu_old"))]))
    seen, (made,) = play(turn, answer(text("b")))
    assert fold(seen)["content"] == [found("srvtoolu_old", "get_weather"), text("b")]
    assert fields_of(made, "messages")[0][-1]["role"] == "user"


def test_what_is_pending_is_told_in_its_order_before_the_model_speaks():
    pending = [search("srvtoolu_1"), search("srvtoolu_2", "mail")]
    asked = Turn(request([ASKED, assistant(*pending)]), search_tools()).begin()
    assert [type(action) for action in asked] == [RunCall, RunCall]  # and no model call before
    assert [action.call.id for action in asked] == ["srvtoolu_1", "srvtoolu_2"]
    seen, _ = play(begun(request([ASKED, assistant(*pending)])), answer(text("b")))
    assert fold(seen)["content"] == [
        found("srvtoolu_1", "get_weather"),
        found("srvtoolu_2", "sendMail"),
        text("b"),
    ]


def test_the_loop_runs_nothing_and_keeps_what_the_model_says_meanwhile():
    turn = Turn(request(), search_tools())
    turn.begin()
    events = answer(call("run", "c"), call(REGEX, "s", pattern="mail"), text("d"))
    before, asked = turn.feed(events[:-1])
    assert (asked.call.name, asked.call.input) == (REGEX, {"pattern": "mail"})
    assert before.events[-1][0] == b"content_block_stop"
    assert turn.feed([PING, events[-1]]) == []  # they wait their turn too
    content = {"type": "tool_search_tool_result_error", "error_code": "unavailable"}
    after, end = turn.feed(CallOutcome(asked.call.id, Finished(content)))
    assert end == End()
    assert after.events[-3:] == [PING, *events[-2:]]  # the end follows what it ends
    told = fold([*before.events, *after.events])["content"]
    assert told[2:] == [{**found(told[1]["id"]), "content": content}, text("d")]


def test_after_ten_calls_the_turn_pauses():
    calls = [answer(call(REGEX, pattern="weather")) for _ in range(MAX_MODEL_CALLS)]
    seen, requests = play(begun(request()), *calls)
    assert len(requests) == MAX_MODEL_CALLS == 10
    message = fold(seen)
    assert message["stop_reason"] == "pause_turn"
    assert kinds(message) == ["server_tool_use", "tool_search_tool_result"] * 10
    assert message["usage"]["input_tokens"] == 100
    assert len({block["id"] for block in message["content"][::2]}) == 10
    resumed = begun(request([ASKED, assistant(*message["content"])]))
    seen, (made,) = play(resumed, answer(text("at last")))
    assert fold(seen)["content"] == [text("at last")]
    assert len(converse(made, "qwen.")["messages"]) == 21


def test_usage_is_that_of_all_calls():
    creation = {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 2}
    usage = {
        "input_tokens": 10,
        "output_tokens": 5,
        "cache_creation_input_tokens": 3,
        "cache_read_input_tokens": None,
        "cache_creation": creation,
        "service_tier": "standard",
    }
    later = {**usage, "cache_read_input_tokens": 7, "service_tier": "priority", "new": 0.5}
    seen, _ = play(
        begun(request()),
        answer(call(REGEX, pattern="weather"), usage=usage),
        answer(text("b"), usage=later),
    )
    assert msgspec.json.decode(seen[0][1])["message"]["usage"] == {**usage, "output_tokens": 1}
    assert fold(seen)["usage"] == {
        "input_tokens": 20,
        "output_tokens": 10,
        "cache_creation_input_tokens": 6,
        "cache_read_input_tokens": 7,
        "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 4},
        "service_tier": "priority",
        "new": 0.5,
    }


def test_usage_arithmetic():
    assert merge_usage({"a": 1, "b": 2}, {"a": None, "b": 3}) == {"a": 1, "b": 3}
    assert add_usage({"a": [1], "b": 1, "c": "x"}, {"a": [2], "b": "y", "c": None}) == {
        "a": [1, 2],
        "b": "y",
        "c": "x",
    }


def test_what_was_spent_so_far():
    turn = begun(request())
    assert turn.turn.spent() == {}
    first = answer(call(REGEX, pattern="weather"), text("words " * 100))
    turn.feed(first[:-2])
    running = turn.turn.spent()
    assert running["input_tokens"] == 10
    assert running["output_tokens"] > 100
    turn.feed(first[-2:-1])
    assert turn.turn.spent() == {"input_tokens": 10, "output_tokens": 5}
    turn.feed(first[-1:])
    assert turn.turn.spent() == {"input_tokens": 10, "output_tokens": 5}
    turn.feed(answer(text("b"))[:1])
    assert turn.turn.spent() == {"input_tokens": 20, "output_tokens": 6}


def test_everything_else_passes():
    events = answer(text("b"))
    odd = [PING, (b"surprise", b'{"type":"surprise"}')]
    assert begun(request()).feed([*odd, *events]) == [*odd, *events]


def test_several_message_deltas():
    *rest, delta, stop = answer(text("b"))
    early = (b"message_delta", b'{"type":"message_delta","delta":{},"usage":{"output_tokens":2}}')
    first = answer(call(REGEX, pattern="weather"))
    seen, _ = play(begun(request()), [*first[:-2], early, *first[-2:]], [*rest, early, delta, stop])
    message = fold(seen)
    assert message["stop_reason"] == "end_turn"
    assert message["usage"] == {"input_tokens": 20, "output_tokens": 10}


def test_events_that_are_no_message_cannot_be_followed():
    turn = begun(request())
    first = answer(call(REGEX, pattern="weather"), text("b"))
    turn.feed(first[:-4])  # the text is never closed
    with pytest.raises(GrammarError):
        turn.feed(first[-2:])


_texts = st.text(min_size=1, max_size=8).filter(str.strip).map(text)
_searches = st.builds(
    lambda pattern, limit: call(REGEX, pattern=pattern, limit=limit),
    st.sampled_from(["weather", "mail|weather", "nothing", "("]),
    st.sampled_from([1, 5, 0]),
) | st.builds(lambda query: call(BM25, query=query), st.sampled_from(["mail", "", "a place"]))
_thoughts = st.lists(st.just(THOUGHT), max_size=1)
_search_calls = st.builds(
    lambda thought, words, calls: answer(*thought, *words, *_numbered(calls)),
    _thoughts,
    st.lists(_texts, max_size=1),
    st.lists(_searches, min_size=1, max_size=3),
)
_last_calls = st.builds(
    lambda thought, content, stop: answer(*thought, *_numbered(content), stop=stop),
    _thoughts,
    st.lists(_texts | _searches | st.builds(lambda: call("run", command="ls")), max_size=4),
    st.sampled_from([None, "max_tokens"]),
).filter(lambda events: not _goes_on(events))
scripts = st.tuples(st.lists(_search_calls, max_size=4), _last_calls).map(
    lambda script: [*script[0], script[1]]
)


def _numbered(blocks):
    """Some models count their calls from one in each answer."""
    return [
        {**block, "id": f"call_{i}"} if block["type"] == "tool_use" else block
        for i, block in enumerate(blocks)
    ]


def _goes_on(events):
    message = fold(events)
    calls = {block["name"] for block in message["content"] if block["type"] == "tool_use"}
    return message["stop_reason"] == "tool_use" and calls <= {REGEX, BM25}


@given(scripts)
def test_any_script_folds_to_a_message_whose_blocks_pair_up(script):
    seen, requests = play(begun(request()), *script)
    message = fold(seen)  # checks the grammar
    assert len(requests) == len(script)
    open_calls, ids = set(), []
    for block in message["content"]:
        if block["type"] == "server_tool_use":
            open_calls.add(block["id"])
            ids.append(block["id"])
        elif block["type"] == "tool_search_tool_result":
            open_calls.remove(block["tool_use_id"])
    assert not open_calls
    assert len(set(ids)) == len(ids)
    assert message["usage"]["output_tokens"] == 5 * len(script)


@given(scripts, st.lists(st.integers(0, 200), max_size=6))
def test_chunking_does_not_matter(script, cuts):
    whole, _ = play(begun(request()), *script)
    turn, pieces = begun(request()), []
    for events in script:
        for chunk in _cut(events, cuts):
            pieces += turn.feed(chunk)
    assert pieces == whole


_probe_answers = st.lists(
    st.lists(_texts | st.builds(lambda: call("probe")), min_size=1, max_size=5), max_size=3
).map(lambda script: [answer(*_with_numbers(blocks)) for blocks in [*script, [text("end")]]])


def _with_numbers(blocks):
    return [
        call("probe", f"call_{n}", n=n) if block["type"] == "tool_use" else block
        for n, block in enumerate(blocks)
    ]


def _outcome(number):
    return suspended(("x", "run", {})) if number == 4 else finished(str(number))


def _told(script, choose):
    """(the client's events, the end); `choose` picks an outcome of so many, or None: an event."""
    turn = Turn(request(tools=[PROBE]), Toolset([Probe().kind]))
    events, asked, left, answers = [], [], [], iter(script)
    actions = turn.begin()
    while True:
        for action in actions:
            match action:
                case Tell():
                    events += action.events
                case RunCall():
                    asked.append(action.call)
                case CallModel():
                    assert not asked
                    assert not left
                    left = list(next(answers))
                case End():
                    return events, action
        chosen = choose(len(asked)) if left else 0
        if asked and chosen is not None:
            one = asked.pop(chosen)
            actions = turn.feed(CallOutcome(one.id, _outcome(one.input["n"])))
        else:
            actions = turn.feed([left.pop(0)])


@given(_probe_answers, st.randoms(use_true_random=False))
def test_it_does_not_matter_when_outcomes_come(script, random):
    at_once = _told(script, lambda _: 0)
    assert _told(script, lambda count: random.choice([None, *range(count)])) == at_once
    assert _told(script, lambda _: None) == at_once
    fold(at_once[0])


def _cut(events, cuts):
    places = [0, *sorted(cut % (len(events) + 1) for cut in cuts), len(events)]
    return [events[a:b] for a, b in pairwise(places)]


@pytest.mark.parametrize("family", JUDGES)
@given(script=scripts, words=_texts)
def test_every_request_is_one_that_bedrock_takes(family, script, words):
    seen, requests = play(begun(request()), *script)
    for made in requests:
        converse(made, family)
    message = fold(seen)
    answers = [result(b["id"]) for b in message["content"] if b["type"] == "tool_use"]
    history = [ASKED, assistant(*message["content"]), user(*answers, words)]
    _, (made,) = play(begun(request(history)), answer(text("b")))
    body = converse(made, family)
    roles = [one["role"] for one in body["messages"]]
    assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]


@given(scripts)
def test_the_official_accumulator_agrees(script):
    seen, _ = play(begun(request()), *script)
    snapshot, buffers = None, {}
    for _, data in seen:
        snapshot = accumulate_event(
            event=_sdk_event.validate_json(data),
            current_snapshot=snapshot,
            json_bufs=buffers,
            output_format=NOT_GIVEN,
        )
    theirs = msgspec.json.decode(snapshot.to_json())
    ours = fold(seen)
    assert theirs["content"] == ours["content"]
    assert theirs["stop_reason"] == ours["stop_reason"]
    assert theirs["usage"]["input_tokens"] == ours["usage"]["input_tokens"]


def test_only_the_tools_of_the_request_are_the_proxys():
    events = answer(call(BM25, query="weather"))
    seen, requests = play(begun(request(tools=[SEARCH])), events)
    assert seen == events
    assert len(requests) == 1
