"""What the model is shown of a client's conversation with searches in it."""

from __future__ import annotations

import msgspec
import pytest
from turn_support import (
    ASKED,
    BM25,
    JUDGES,
    MAIL,
    REGEX,
    RUN,
    SEARCH,
    TOOLS,
    WEATHER,
    assistant,
    begun,
    call,
    converse,
    fields_of,
    found,
    prepared,
    request,
    result,
    search,
    text,
    user,
)
from working import search_tools

from anthropic_bedrock_proxy.errors import InvalidRequestError
from anthropic_bedrock_proxy.tools.calls import RequestContext
from anthropic_bedrock_proxy.turn.history import MAX_PENDING
from anthropic_bedrock_proxy.turn.offered_tools import MAX_TOOLS
from anthropic_bedrock_proxy.turn.request import prepare, without_running

THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
LATER = {"type": "thinking", "thinking": "ah", "signature": "c2ln"}
A, B = "srvtoolu_A", "srvtoolu_B"
FOUND = {"type": "tool_search_tool_search_result"}


def shown(*messages, **fields):
    """The messages after the first one."""
    ready, _ = prepared(request([ASKED, *messages], **fields))
    (made,) = fields_of(ready, "messages")
    assert made[0] == ASKED
    assert [message["role"] for message in made] == [view.role for view in ready.view.messages]
    return made[1:]


def asked(identifier, pattern="weather"):
    return call(REGEX, identifier, pattern=pattern)


def told(identifier, *names):
    return result(identifier, [{"type": "tool_reference", "tool_name": name} for name in names])


def test_without_searches_everything_stays_the_clients_own():
    made = request([ASKED, assistant(call("run", "c")), user(result("c"))], [RUN])
    ready, owed = prepared(made)
    assert ready.fields == made.fields
    assert ready.view == made.view
    assert owed == []


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        pytest.param(
            [assistant(THOUGHT, text("a"), search(A), found(A, "get_weather"), text("b")), ASKED],
            [
                assistant(THOUGHT, text("a"), asked("toolu_A")),
                user(told("toolu_A", "get_weather")),
                assistant(text("b")),
                ASKED,
            ],
            id="one search",
        ),
        pytest.param(
            [
                assistant(search(A), found(A), LATER, search(B), found(B, "run"), call("run", "c")),
                user(result("c"), text("go on")),
            ],
            [
                assistant(asked("toolu_A")),
                user(result("toolu_A", "No tool was found. Try a broader search.")),
                assistant(LATER, asked("toolu_B")),
                user(told("toolu_B", "run")),
                assistant(call("run", "c")),
                user(result("c"), text("go on")),
            ],
            id="search, search, then a tool of the client's",
        ),
        pytest.param(
            [assistant(search(A), search(B), found(A), found(B, "run"), text("b")), ASKED],
            [
                assistant(asked("toolu_A"), asked("toolu_B")),
                user(
                    result("toolu_A", "No tool was found. Try a broader search."),
                    told("toolu_B", "run"),
                ),
                assistant(text("b")),
                ASKED,
            ],
            id="searches side by side",
        ),
        pytest.param(
            [
                assistant(call("run", "c"), search(A), found(A, "run"), text("so")),
                user(text("here"), result("c")),
            ],
            [
                assistant(call("run", "c"), asked("toolu_A"), text("so")),
                user(told("toolu_A", "run"), text("here"), result("c")),
            ],
            id="a search after a call of the client's: answered together",
        ),
        pytest.param(
            [
                assistant(search(A), call("run", "c")),
                user(result("c")),
                assistant(found(A, "run"), text("thanks")),
                {"role": "user", "content": "ok"},
            ],
            [
                assistant(asked("toolu_A"), call("run", "c")),
                user(told("toolu_A", "run"), result("c")),
                assistant(text("thanks")),
                {"role": "user", "content": "ok"},
            ],
            id="the result came with the next answer",
        ),
        pytest.param(
            [
                assistant(search(A), search(B), call("run", "c")),
                user(result("c")),
                assistant(found(A, "run"), found(B, "run")),
                ASKED,
                assistant(text("b")),
                ASKED,
            ],
            [
                assistant(asked("toolu_A"), asked("toolu_B"), call("run", "c")),
                user(told("toolu_B", "run"), told("toolu_A", "run"), result("c")),
                ASKED,
                assistant(text("b")),
                ASKED,
            ],
            id="two results and nothing else came with the next answer",
        ),
        pytest.param(
            [assistant(search(A)), assistant(found(A, "run"), text("b")), ASKED],
            [
                assistant(asked("toolu_A")),
                user(told("toolu_A", "run")),
                assistant(text("b")),
                ASKED,
            ],
            id="pause_turn, then the rest",
        ),
        pytest.param(
            [assistant(search(A), found(A), text("b")), {"role": "assistant", "content": "c"}],
            [
                assistant(asked("toolu_A")),
                user(result("toolu_A", "No tool was found. Try a broader search.")),
                assistant(text("b")),
                assistant(text("c")),
            ],
            id="a prefill",
        ),
        pytest.param(
            [
                assistant(search(A), found(A, "run")),
                {"role": "system", "content": "be quick"},
                {"role": "assistant", "content": "ok"},
                ASKED,
            ],
            [
                assistant(asked("toolu_A")),
                user(told("toolu_A", "run")),
                {"role": "system", "content": "be quick"},
                {"role": "assistant", "content": "ok"},
                ASKED,
            ],
            id="a system message",
        ),
        pytest.param(
            [assistant(text("b"), search(A), found(A, "run")), {"role": "user", "content": "ok"}],
            [
                assistant(text("b"), asked("toolu_A")),
                user(told("toolu_A", "run"), text("ok")),
            ],
            id="an answer that ended in a result",
        ),
        pytest.param(
            [assistant({**search(A), "name": "web_search"}), ASKED],
            [assistant({**search(A), "name": "web_search"}), ASKED],
            id="other server tools are not touched",
        ),
    ],
)
def test_messages(messages, expected):
    assert shown(*messages) == expected


def test_errors_and_breakpoints_are_kept():
    control = {"type": "ephemeral"}
    content = {"type": "tool_search_tool_result_error", "error_code": "unavailable"}
    failed = {**found(A), "content": content, "cache_control": control}
    worded = {**found(B), "content": {**content, "error_message": "sorry"}}
    use = {**search(A), "cache_control": control, "caller": {"type": "direct"}}
    assert shown(assistant(use, failed, search(B), worded), ASKED) == [
        assistant({**asked("toolu_A"), "cache_control": control}),
        user({**result("toolu_A", "unavailable"), "is_error": True, "cache_control": control}),
        assistant(asked("toolu_B")),
        user({**result("toolu_B", "unavailable: sorry"), "is_error": True}, text("hello")),
    ]


def test_what_is_pending_is_run_and_owed():
    for messages, last in (
        ([assistant(text("b"), search(A))], [told("toolu_A", "get_weather")]),
        (
            [assistant(search(A), call("run", "c")), user(result("c"))],
            [told("toolu_A", "get_weather"), result("c")],
        ),
    ):
        ready, owed = prepared(request([ASKED, *messages], tool_choice={"type": "any"}))
        assert owed == [found(A, "get_weather")]
        made, choice = fields_of(ready, "messages", "tool_choice")
        assert made[-1] == user(*last)
        # An answer that goes on has made its forced call; an answer to results has not.
        assert choice == {"type": "auto" if len(messages) == 1 else "any"}


def test_a_paused_answer_goes_on():
    paused = assistant(search(A), found(A, "run"), search(B), found(B, "run"))
    made = shown(paused)
    assert made[-1] == user(told("toolu_B", "run"))


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        pytest.param(
            [assistant(search(A)), ASKED],
            "messages.1: `tool_search_tool_regex` tool use with id `srvtoolu_A` was found without "
            "a corresponding `tool_search_tool_result` block",
            id="text after a pending call",
        ),
        pytest.param(
            [assistant(search(A)), user(), assistant(text("b"))],
            "messages.1: `tool_search_tool_regex` tool use",
            id="no result in the next answer",
        ),
        pytest.param(
            [assistant(search(A)), user(), ASKED],
            "messages.1: `tool_search_tool_regex` tool use",
            id="no result before the next user message",
        ),
        pytest.param(
            [assistant(search(A)), {"role": "system", "content": "b"}],
            "messages.1: `tool_search_tool_regex` tool use",
            id="no result before a system message",
        ),
        pytest.param(
            [assistant(text("b"), found(A))],
            "messages.1.content.1: unexpected `tool_use_id` found in `tool_search_tool_result` "
            "blocks: srvtoolu_A. Each `tool_search_tool_result` block must have a corresponding "
            "`server_tool_use` block before it.",
            id="a result of nothing",
        ),
        pytest.param(
            [assistant({**search(A), "name": BM25})],
            "messages.1: `tool_search_tool_bm25` tool use with id `srvtoolu_A` has no result yet, "
            "but no `tool_search_tool_bm25` tool was provided",
            id="no tool to run it with",
        ),
        pytest.param(
            [assistant({"type": "server_tool_use", "name": REGEX})],
            "The request body cannot be converted: one of its fields has an unexpected form",
            id="no id",
        ),
        pytest.param(
            [assistant(search(A), {**found(A), "content": "x"})],
            "messages.1.content.1.content: unexpected form of a `tool_search_tool_result` block's "
            "content",
            id="no object",
        ),
        pytest.param(
            [assistant(search(A), {**found(A), "content": {**FOUND, "tool_references": [{}]}})],
            "The request body cannot be converted: one of its fields has an unexpected form",
            id="a reference without a type",
        ),
    ],
)
def test_refused(messages, message):
    with pytest.raises(InvalidRequestError) as refused:
        prepared(request([ASKED, *messages], [SEARCH, RUN, WEATHER]))
    assert refused.value.message.startswith(message)


def test_tools():
    ready, _ = prepared(request())
    (made,) = fields_of(ready, "tools")
    assert [(one["name"], one.get("type")) for one in made] == [
        *((REGEX, None), (BM25, None), ("run", None), ("get_weather", None), ("sendMail", None))
    ]
    assert made[2:] == TOOLS[2:]
    assert [view.type for view in ready.view.tools] == [None] * 5


@pytest.mark.parametrize(
    ("choice", "after"),
    [
        (None, None),
        ({"type": "auto"}, {"type": "auto"}),
        ({"type": "none"}, {"type": "none"}),
        ("none", "none"),
        ("any", {"type": "auto"}),
        (
            {"type": "tool", "name": REGEX, "disable_parallel_tool_use": True},
            {"type": "auto", "disable_parallel_tool_use": True},
        ),
    ],
)
def test_a_forced_call_is_forced_once(choice, after):
    messages = [ASKED, assistant(search(A))]
    made, _ = prepared(request(messages, tool_choice=choice))
    raw = made.fields.get("tool_choice")
    assert (None if raw is None else msgspec.json.decode(raw)) == after


def offered(made, family="qwen."):
    return [
        spec["toolSpec"]["name"]
        for spec in converse(made, family)["toolConfig"]["tools"]
        if "toolSpec" in spec
    ]


@pytest.mark.parametrize("family", JUDGES)
def test_what_was_found_is_loaded_the_rest_is_not(family):
    first, _ = prepared(request())
    assert offered(first, family) == [REGEX, BM25, "run"]
    referring = user(
        {**result("c"), "content": [{"type": "tool_reference", "tool_name": "sendMail"}]}
    )
    for messages, loaded in (
        ([assistant(search(A), found(A, "get_weather"), text("b")), ASKED], ["get_weather"]),
        ([assistant(search(A))], ["get_weather"]),
        ([assistant(call("run", "c")), referring], ["sendMail"]),
    ):
        made, _ = prepared(request([ASKED, *messages]))
        assert offered(made, family) == [REGEX, BM25, "run", *loaded]
        assert "now available" in str(converse(made, family)["messages"])


def test_adapting_refuses_in_the_clients_words():
    unknown = assistant(text("a"), search(A), found(A, "get_weather", "gone"), text("b"))
    turn = begun(request([ASKED, assistant(text("x")), ASKED, unknown, ASKED]))
    with pytest.raises(InvalidRequestError) as refused:
        converse(turn.requests[0], "qwen.")
    error = turn.turn.in_clients_words(refused.value)
    assert error.message == (
        "messages.3.content.2.content.1: Tool reference 'gone' not found in available tools"
    )
    assert error.error_code == "tool_reference_unresolved"
    with pytest.raises(InvalidRequestError, match="All tools cannot be deferred"):
        converse(prepared(request(tools=[WEATHER, MAIL]))[0], "qwen.")


def test_paths():
    turn = begun(
        request(
            [
                ASKED,
                assistant(text("a"), search(A), found(A, "run"), text("b"), call("run", "c")),
                user(result("c")),
                assistant(text("d")),
                ASKED,
            ]
        )
    )
    for theirs, ours in (
        ("messages.0.content.0: x", "messages.0.content.0: x"),
        ("messages.1.content.1.id: x", "messages.1.content.1.id: x"),
        ("messages.2.content.0: x", "messages.1.content.2: x"),
        ("messages.3: x", "messages.1: x"),
        ("messages.3.content.1.name: x", "messages.1.content.4.name: x"),
        ("messages.3.content.7: x", "messages.1: x"),
        ("messages.4.content.0: x", "messages.2.content.0: x"),
        ("messages.5.content.0: x", "messages.3.content.0: x"),
        ("messages.6: x", "messages.4: x"),
        ("messages.9.content.0: x", "messages.9.content.0: x"),
        ("tools.1: x", "tools.1: x"),
    ):
        assert turn.turn.in_clients_words(InvalidRequestError(theirs)).message == ours


def test_without_running_what_is_pending_has_an_empty_result():
    for messages, last in (
        ([assistant(text("b"), search(A))], []),
        ([assistant(search(A), call("run", "c")), user(result("c"))], [result("c")]),
    ):
        made = without_running(request([ASKED, *messages]), search_tools())
        (shown,) = fields_of(made, "messages")
        assert shown[-1] == user({"type": "tool_result", "tool_use_id": "toolu_A"}, *last)
        converse(made, "qwen.")


def test_calls_that_have_results_are_not_run_again():
    history = [assistant(search(A), found(A, "run"), search(B)), ASKED, assistant(search("srv_C"))]
    for messages in (history[:1], [assistant(search(A), found(A, "run"), text("b")), *history[1:]]):
        ready = prepare(request([ASKED, *messages]), search_tools(), RequestContext("", {}))
        assert len(ready.pending) == 1
        assert ready.pending[0].id != A


def test_more_calls_than_an_answer_has_are_not_run_at_once():
    many = [search(f"srvtoolu_{number}") for number in range(MAX_PENDING + 1)]
    assert len(prepared(request([ASKED, assistant(*many[1:])]))[1]) == MAX_PENDING
    with pytest.raises(
        InvalidRequestError, match=r"^messages\.1: .* is one of more than 4000 that"
    ):
        prepared(request([ASKED, assistant(*many)]))


def test_more_tools_than_can_be_searched_are_refused():
    many = [SEARCH, RUN, *({"name": f"t{i}", "defer_loading": True} for i in range(MAX_TOOLS - 2))]
    assert prepare(request(tools=many), search_tools(), RequestContext("", {})).tools
    with pytest.raises(InvalidRequestError, match=r"^tools: at most 10000"):
        prepare(request(tools=[*many, WEATHER]), search_tools(), RequestContext("", {}))
