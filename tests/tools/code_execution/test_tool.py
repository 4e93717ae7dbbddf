"""Code execution in a turn: what the model sees, what the client is told, what the sandbox runs."""

from __future__ import annotations

import json

import pytest
from conversation import KEY, Conversation
from fake_sandbox import EXPIRES_AT, printed, waiting
from turn_support import ASKED, assistant, call, fields_of, text, user

from anthropic_bedrock_proxy.errors import InvalidRequestError, UnavailableError
from anthropic_bedrock_proxy.sandbox.base import (
    BashCell,
    EditCell,
    Edited,
    Failed,
    FunctionResult,
    OutputFile,
    PythonCell,
    SandboxUnavailableError,
)
from anthropic_bedrock_proxy.tools.code_execution.options import CodeExecutionOptions
from anthropic_bedrock_proxy.turn.request import without_running

NEW, OLD, FIRST, LAST = (
    f"code_execution_{day}" for day in (20260120, 20250825, 20250522, 20260521)
)
WEATHER = {
    "name": "get-weather",
    "description": "Tells the weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
    "allowed_callers": [NEW],
}
DIRECT_TOO = WEATHER | {"name": "both", "allowed_callers": ["direct", NEW]}
PLAIN = {"name": "plain", "input_schema": {"type": "object"}}
CODE = "print(await get_weather({'city': 'Oslo'}))"


def tool(kind=NEW, **more):
    return {"type": kind, "name": "code_execution", **more}


def talking(*outcomes, tools=None, **more):
    return Conversation(*outcomes, tools=tools or [tool(), WEATHER, PLAIN], **more)


def python(code=CODE, identifier="t"):
    return call("code_execution", identifier, code=code)


def result(identifier, words):
    return {"type": "tool_result", "tool_use_id": identifier, "content": words}


def server_call(identifier, name="code_execution", **given):
    return {"type": "server_tool_use", "id": identifier, "name": name, "input": given}


def ran(identifier, stdout, stderr="", return_code=0, name="code_execution", files=()):
    content = {"type": f"{name}_result", "stdout": stdout, "stderr": stderr}
    content |= {"return_code": return_code}
    content["content"] = [{"type": f"{name}_output", "file_id": each} for each in files]
    return {"type": f"{name}_tool_result", "tool_use_id": identifier, "content": content}


def test_code_that_calls_no_tool_is_run_and_told_to_both_sides():
    talk = talking(printed("42\n"))
    message = talk.ask([text("a"), python("print(42)")], [text("b")])
    a, made, result_block, b = message["content"]
    assert (a, b) == (text("a"), text("b"))
    assert made == server_call(made["id"], code="print(42)")
    assert result_block == ran(made["id"], "42\n")
    container = message["container"]
    assert container == {"id": container["id"], "expires_at": EXPIRES_AT}
    assert made["id"].startswith("srvtoolu_" + container["id"].removeprefix("container_"))
    assert message["stop_reason"] == "end_turn"
    assert message["usage"]["server_tool_use"]["code_execution_requests"] == 1
    [(at, cell)] = talk.sandbox.ran
    assert (at.container, at.owner, at.cell) == (container["id"], KEY, made["id"])
    assert cell == PythonCell("print(42)", {"get_weather": "get-weather"})
    messages, _ = talk.seen(1)
    shown = "toolu_" + made["id"].removeprefix("srvtoolu_")
    assert messages[1:] == [
        assistant(text("a"), call("code_execution", shown, code="print(42)")),
        user(result(shown, "42\n")),
    ]


def test_a_whole_programmatic_conversation():
    talk = talking(
        waiting(toolu_1=("get-weather", {"city": "Oslo"}), toolu_2=("get-weather", {})),
        waiting(toolu_3=("get-weather", {"city": "Rome"})),
        printed("rain\nsun\nfog\n"),
    )
    message = talk.ask([text("a"), python()])
    _, made, one, two = message["content"]
    by = {"type": NEW, "tool_id": made["id"]}
    assert one == call("get-weather", "toolu_1", city="Oslo") | {"caller": by}
    assert two == call("get-weather", "toolu_2") | {"caller": by}
    assert message["stop_reason"] == "tool_use"
    container = message["container"]["id"]
    talk.say(result("toolu_1", "rain"), result("toolu_2", [text("s"), text("un")]))
    message = talk.ask(container=container)
    assert message["content"] == [call("get-weather", "toolu_3", city="Rome") | {"caller": by}]
    assert message["stop_reason"] == "tool_use"
    assert message["container"]["id"] == container
    assert message["usage"] == {"input_tokens": 0, "output_tokens": 0}
    talk.say({**result("toolu_3", "fog"), "is_error": True})
    message = talk.ask([text("b")], container={"id": container})
    assert message["content"] == [ran(made["id"], "rain\nsun\nfog\n"), text("b")]
    assert message["container"]["id"] == container
    assert "server_tool_use" not in message["usage"]  # it was counted when it began
    assert [results for _, results in talk.sandbox.resumed] == [
        [FunctionResult("toolu_1", "rain"), FunctionResult("toolu_2", "s\nun")],
        [FunctionResult("toolu_3", "fog")],
    ]
    messages, tools = talk.seen()
    shown = "toolu_" + made["id"].removeprefix("srvtoolu_")
    assert messages == [
        ASKED,
        assistant(text("a"), call("code_execution", shown, code=CODE)),
        user(result(shown, "rain\nsun\nfog\n")),
    ]
    names = [each["name"] for each in tools]
    assert names == [
        *("code_execution", "bash_code_execution", "text_editor_code_execution", "plain")
    ]


def test_the_pause_streams_as_anthropic_streams_it():
    talk = talking(waiting(toolu_1=("get-weather", {"city": "Oslo"})))
    events = [json.loads(data) for _, data in talk.events([python("x")])]
    kinds = [(each["type"], each.get("index")) for each in events]
    assert kinds == [
        ("message_start", None),
        *(("content_block_start", 0), ("content_block_delta", 0), ("content_block_stop", 0)),
        *(("content_block_start", 1), ("content_block_delta", 1), ("content_block_stop", 1)),
        ("message_delta", None),
        ("message_stop", None),
    ]
    start = events[4]["content_block"]
    assert start["input"] == {}
    assert start["caller"]["type"] == NEW
    assert json.loads(events[5]["delta"]["partial_json"]) == {"city": "Oslo"}
    assert events[7]["delta"]["stop_reason"] == "tool_use"
    assert events[7]["delta"]["container"]["expires_at"] == EXPIRES_AT


def test_the_container_is_known_by_the_id_of_the_call_that_waits_in_it():
    talk = talking(waiting(toolu_1=("get-weather", {})), printed("rain"), printed("more"))
    container = talk.ask([python()])["container"]["id"]
    talk.say(result("toolu_1", "rain"))
    message = talk.ask([python("again", "t2")], [text("b")])
    assert message["container"]["id"] == container
    assert [at.container for at, _ in talk.sandbox.ran] == [container, container]


def test_calls_of_the_model_and_of_code_stand_in_one_answer():
    talk = talking(waiting(toolu_1=("get-weather", {})), printed("rain"))
    message = talk.ask([python(), call("plain", "toolu_d")])
    made, by_code, direct = message["content"]
    assert by_code["caller"] == {"type": NEW, "tool_id": made["id"]}
    assert direct == call("plain", "toolu_d") | {"caller": {"type": "direct"}}
    talk.say(result("toolu_d", "done"), result("toolu_1", "rain"))
    message = talk.ask([text("b")])
    assert message["content"] == [ran(made["id"], "rain"), text("b")]
    messages, _ = talk.seen()
    shown = "toolu_" + made["id"].removeprefix("srvtoolu_")
    assert messages[2] == user(result(shown, "rain"), result("toolu_d", "done"))


def test_the_sandbox_knows_which_cells_a_request_still_cares_for():
    talk = talking(waiting(toolu_1=("get-weather", {})), waiting(), printed("a"), printed("b"))
    message = talk.ask([python(), python("2", "t2")])
    first, _, second = message["content"]
    assert message["stop_reason"] == "tool_use"
    talk.say(result("toolu_1", "rain"))
    message = talk.ask([text("c")])
    assert [block["type"] for block in message["content"]] == [
        *("code_execution_tool_result", "code_execution_tool_result", "text")
    ]
    assert talk.sandbox.beside == [[], [first["id"]]]
    assert [at.cell for at, _ in talk.sandbox.resumed] == [first["id"]]
    assert second["id"] in talk.sandbox.containers[message["container"]["id"]][1]


def test_of_thousands_of_open_calls_few_reach_the_sandbox():
    # Each names all others to the executor, so the work would grow with the square of them.
    talk = talking(*[waiting() for _ in range(64)])
    talk.messages.append(assistant(*[server_call(f"srvtoolu_{n}", code="1") for n in range(3000)]))
    message = talk.ask()
    errors = [block["content"]["error_code"] for block in message["content"]]
    assert errors == ["too_many_requests"] * (3000 - 64)
    assert len(talk.sandbox.ran) == 64
    assert {len(beside) for beside in talk.sandbox.beside} == {63}


def test_cells_that_have_ended_are_not_counted():
    talk = talking(*[printed("x")] * 81)
    rounds = [[python("1", f"t{n}") for n in range(9)] for _ in range(9)]
    message = talk.ask(*rounds, [text("b")])
    assert message["stop_reason"] == "end_turn"
    assert len(talk.sandbox.ran) == 81


def test_without_functions_nobody_is_told_who_calls():
    talk = talking(tools=[tool(), PLAIN])
    message = talk.ask([call("plain", "toolu_d")])
    assert message["content"] == [call("plain", "toolu_d")]
    assert "container" not in message


def test_the_older_caller_keeps_its_name():
    tools = [tool(OLD), WEATHER | {"allowed_callers": [OLD]}]
    talk = talking(waiting(toolu_1=("get-weather", {})), tools=tools)
    message = talk.ask([python()])
    assert message["content"][1]["caller"]["type"] == OLD
    _, tools = talk.seen()
    names = [each["name"] for each in tools]
    assert names == ["code_execution", "bash_code_execution", "text_editor_code_execution"]


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (FIRST, ["code_execution"]),
        (OLD, ["bash_code_execution", "text_editor_code_execution"]),
        (NEW, ["code_execution", "bash_code_execution", "text_editor_code_execution"]),
        (LAST, ["code_execution", "bash_code_execution", "text_editor_code_execution"]),
    ],
)
def test_each_version_offers_what_it_has(kind, names):
    talk = talking(tools=[PLAIN, tool(kind, cache_control={"type": "ephemeral"})])
    made = without_running(talk.request(container="container_x"), talk.toolset)
    [tools] = fields_of(made, "tools")
    assert [each["name"] for each in tools] == ["plain", *names]
    assert ["cache_control" in each for each in tools] == [*[False] * len(names), True]
    assert "container" not in made.fields


def test_bash_and_the_text_editor_have_results_of_their_own():
    view = {"file_type": "text", "content": "a", "num_lines": 1, "start_line": 1, "total_lines": 1}
    replaced = {
        "lines": ["-a", "+b"],
        "old_start": 1,
        "old_lines": 1,
        "new_start": 1,
        "new_lines": 1,
    }
    talk = talking(
        printed("x", "oops", 3, files=[OutputFile("file_1", "a.txt", 1)]),
        Edited("view", view),
        Edited("create", {"is_file_update": False}),
        Edited("str_replace", replaced),
        Failed("file_not_found", "no such file: b"),
        tools=[tool(OLD)],
    )
    edits = [
        {"command": "view", "path": "a"},
        {"command": "create", "path": "b", "file_text": ""},
        {"command": "str_replace", "path": "a", "old_str": "a", "new_str": "b"},
        {"command": "view", "path": "b"},
    ]
    said = [call("bash_code_execution", "t0", command="x", restart=True)]
    said += [call("text_editor_code_execution", f"t{n}", **edit) for n, edit in enumerate(edits, 1)]
    message = talk.ask(said, [text("b")])
    blocks = message["content"]
    assert blocks[1] == ran(
        blocks[0]["id"], "x", "oops", 3, name="bash_code_execution", files=["file_1"]
    )
    prefix = "text_editor_code_execution"
    contents = [block["content"] for block in blocks[3:-1:2]]
    assert contents == [
        {"type": f"{prefix}_view_result", **view},
        {"type": f"{prefix}_create_result", "is_file_update": False},
        {"type": f"{prefix}_str_replace_result", **replaced},
        {
            "type": f"{prefix}_tool_result_error",
            "error_code": "file_not_found",
            "error_message": "no such file: b",
        },
    ]
    assert [cell for _, cell in talk.sandbox.ran] == [
        BashCell("x", restart=True),
        *map(EditCell, edits),
    ]
    messages, _ = talk.seen(1)
    assert [block["content"] for block in messages[-1]["content"]] == [
        "x\nstderr:\noops\nreturn code: 3\nfiles for the user: file_1",
        "a",
        "The file was created.",
        "-a\n+b",
        "file_not_found: no such file: b",
    ]
    assert message["usage"]["server_tool_use"]["code_execution_requests"] == 5


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (
            NEW,
            {"type": "code_execution_tool_result_error", "error_code": "execution_time_exceeded"},
        ),
        (LAST, ran("", "so far", "detection_timeout", 124)["content"]),
    ],
)
def test_a_time_out_is_an_error_or_a_result_as_the_version_has_it(kind, content):
    outcome = printed("so far", "detection_timeout", 124, timed_out=True)
    talk = talking(outcome, tools=[tool(kind)])
    message = talk.ask([python("while 1: pass")], [text("b")])
    assert message["content"][1]["content"] == content


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("code_execution", {}),
        ("code_execution", {"code": 5}),
        ("bash_code_execution", {"command": None}),
        ("bash_code_execution", {}),
    ],
)
def test_input_that_is_not_what_the_tool_asks_for_is_told_to_the_model(name, given):
    talk = talking()
    message = talk.ask([{"type": "tool_use", "id": "t", "name": name, "input": given}], [text("b")])
    assert message["content"][1]["content"] == {
        "type": f"{name}_tool_result_error",
        "error_code": "invalid_tool_input",
    }
    assert talk.sandbox.ran == []


def test_bash_may_be_restarted_without_a_command():
    talk = talking(printed(""))
    talk.ask([call("bash_code_execution", "t", restart=True)], [text("b")])
    [(_, cell)] = talk.sandbox.ran
    assert cell == BashCell("", restart=True)
    messages, _ = talk.seen(1)
    assert messages[-1]["content"][0]["content"] == "(no output)"


@pytest.mark.parametrize("fault", [SandboxUnavailableError("secret"), LookupError("secret")])
def test_a_sandbox_that_breaks_is_unavailable_for_that_call(fault):
    talk = talking(fault)
    message = talk.ask([python()], [text("b")])
    error = {"type": "code_execution_tool_result_error", "error_code": "unavailable"}
    assert message["content"][1]["content"] == error
    assert message["stop_reason"] == "end_turn"


@pytest.mark.parametrize("soon", [True, False])
def test_without_a_sandbox_the_request_is_refused_before_the_model_is_called(soon):
    talk = talking()
    talk.sandbox.unavailable, talk.sandbox.soon = "no Docker; start it", soon
    message = r"cannot be run at the moment: no Docker; start it"
    with pytest.raises(UnavailableError, match=message) as refused:
        talk.ask([text("b")])
    assert refused.value.should_retry is soon
    assert refused.value.cause == "unavailable:executor"
    assert talk.calls.requests == []


GONE = "container: {} was not found or has expired; send the request without it to get a new one"


@pytest.mark.parametrize("named", ["container_" + 24 * "a", "mine", "container_" + 24 * "a" + "\n"])
def test_a_container_that_is_not_there_is_refused(named):
    talk = talking()
    with pytest.raises(InvalidRequestError) as refused:
        talk.ask([text("b")], container=named)
    assert refused.value.message == GONE.format(named)


def test_a_container_of_another_key_is_not_there():
    talk = talking(printed("1"))
    container = talk.ask([python()], [text("b")])["container"]["id"]
    talk.key = "key_2"
    talk.say(text("c"))
    with pytest.raises(InvalidRequestError) as refused:
        talk.ask([text("b")], container=container)
    assert refused.value.message == GONE.format(container)


@pytest.mark.parametrize("named", [True, False])
def test_results_for_code_that_is_gone_are_refused(named):
    talk = talking(waiting(toolu_1=("get-weather", {})))
    container = talk.ask([python()])["container"]["id"]
    talk.say(result("toolu_1", "rain"))
    talk.sandbox.containers = {} if not named else {container: (KEY, {})}
    with pytest.raises(InvalidRequestError) as refused:
        talk.ask([text("b")], **({"container": container} if named else {}))
    assert refused.value.message.startswith(
        "container: the code that waits for these results is gone: container container_0"
    )


def test_a_call_that_never_ran_runs_in_a_new_container_if_its_own_is_gone():
    talk = talking(printed("1"), waiting(toolu_1=("get-weather", {})), printed("2"))
    made = server_call("srvtoolu_" + 44 * "a", code="print(1)")
    talk.messages.append(assistant(made))
    message = talk.ask([python()])
    result_block, again, _ = message["content"]
    assert result_block == ran(made["id"], "1")
    container = message["container"]["id"]
    assert [at.container for at, _ in talk.sandbox.ran] == [container, container]
    # So a client that sends no container is still understood.
    assert again["id"].startswith("srvtoolu_" + container.removeprefix("container_"))
    talk.say(result("toolu_1", "rain"))
    assert talk.ask([text("b")])["content"] == [ran(again["id"], "2"), text("b")]


def test_results_for_code_of_which_nobody_says_where_it_waits_are_refused():
    talk = talking(printed("1"))
    made = server_call("srvtoolu_of_another_house", code=CODE)
    by = {"type": NEW, "tool_id": made["id"]}
    talk.messages.append(assistant(made, call("get-weather", "toolu_1") | {"caller": by}))
    talk.say(result("toolu_1", "rain"))
    with pytest.raises(InvalidRequestError) as refused:
        talk.ask([text("b")])
    assert refused.value.message == (
        "container_id is required when there are pending tool uses generated by code execution "
        "with tools."
    )


def test_a_container_that_goes_in_a_turn_is_not_made_anew_in_silence():
    talk = talking(printed("1"), printed("2"))

    class Forgetting(type(talk.sandbox)):
        async def run(self, at, cell, **more):
            reply = await super().run(at, cell, **more)
            self.containers.clear()
            return reply

    talk.sandbox.__class__ = Forgetting
    message = talk.ask([python("a = 1")], [python("print(a)", "t2")], [text("b")])
    error = {"type": "code_execution_tool_result_error", "error_code": "unavailable"}
    assert message["content"][3]["content"] == error


@pytest.mark.parametrize(
    "result",
    [
        {"type": "image", "source": {"type": "url", "url": "https://example.com"}},
        {"file_type": "text", "content": [{"type": "image"}]},
        {"file_type": "image", "content": {"type": "url"}},
    ],
)
def test_an_edit_says_nothing_but_text(result):
    talk = talking(Edited("view", result))
    edit = call("text_editor_code_execution", "t", command="view", path="a")
    message = talk.ask([edit], [text("b")])
    assert message["content"][1]["content"]["error_code"] == "unavailable"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"container": 5}, "container: Expected the id of a container"),
        (
            {"container": {"skills": [{"type": "anthropic"}]}},
            "container.skills: skills are not available on Amazon Bedrock; remove them",
        ),
        (
            {"tool_choice": {"type": "tool", "name": "get-weather"}},
            'tool_choice.name: only code may call get-weather; add "direct" to its allowed_callers',
        ),
        (
            {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
            "tool_choice.disable_parallel_tool_use: not supported with programmatic tool calling",
        ),
    ],
)
def test_fields_that_cannot_be(fields, message):
    talk = talking()
    with pytest.raises(InvalidRequestError) as refused:
        talk.ask([text("b")], **fields)
    assert refused.value.message == message


@pytest.mark.parametrize(
    "fields",
    [
        {"container": None},
        {"container": {}},
        {"tool_choice": {"type": "tool", "name": "both"}},
        {"tool_choice": "auto"},
    ],
)
def test_fields_that_can_be(fields):
    talk = talking(tools=[tool(), WEATHER, DIRECT_TOO])
    assert talk.ask([text("b")], **fields)["content"] == [text("b")]
    _, tools = talk.seen()
    assert [each["name"] for each in tools][-1] == "both"


@pytest.mark.parametrize(
    ("tools", "message"),
    [
        ([tool(name="mine")], "tools.0.name: Input should be 'code_execution'"),
        ([tool(NEW), tool(OLD)], "tools.0: only one code execution tool is allowed"),
        ([PLAIN, tool("code_execution_20990101")], "tools.1.type: expected one of code_execution_"),
        (
            [tool(), {"name": "bash_code_execution", "input_schema": {}}],
            "tools.1.name: bash_code_execution is the name of a server-side tool of this request",
        ),
    ],
)
def test_definitions_that_cannot_be(tools, message):
    with pytest.raises(InvalidRequestError) as refused:
        talking(tools=tools).ask([text("b")])
    assert refused.value.message.startswith(message)


def test_either_use_can_be_switched_off():
    no_functions = CodeExecutionOptions(programmatic=False)
    with pytest.raises(InvalidRequestError, match=r"^tools\.0: programmatic tool calling is switc"):
        talking(options=no_functions).ask([text("b")])
    assert talking(options=no_functions, tools=[tool()]).ask([text("b")])
    only_functions = CodeExecutionOptions(standalone=False)
    with pytest.raises(InvalidRequestError, match=r"^tools\.0: code execution is switched off"):
        talking(options=only_functions, tools=[tool()]).ask([text("b")])
    talk = talking(options=only_functions)
    talk.ask([text("b")])
    _, tools = talk.seen()
    assert [each["name"] for each in tools] == ["code_execution", "plain"]


def test_ten_model_calls_are_enough():
    talk = talking(*[printed(str(n)) for n in range(10)])
    message = talk.ask(*[[python(f"print({n})", f"t{n}")] for n in range(10)])
    assert message["stop_reason"] == "pause_turn"
    assert message["usage"]["server_tool_use"]["code_execution_requests"] == 10
    assert message["usage"]["input_tokens"] == 100
    assert len({at.container for at, _ in talk.sandbox.ran}) == 1
    more = talk.ask([text("b")], container=message["container"]["id"])
    assert more["content"] == [text("b")]


def shown(block_type, content):
    """What the model is shown for a result that the client sends back."""
    name = block_type.removesuffix("_tool_result")
    talk = talking(tools=[tool()])
    made = server_call("srvtoolu_" + 44 * "a", name, command="view")
    block = {"type": block_type, "tool_use_id": made["id"], "content": content}
    talk.messages += [assistant(made, block, text("so")), user(text("go on"))]
    talk.ask([text("b")])
    messages, _ = talk.seen()
    (answered,) = messages[2]["content"]
    return answered


EDITED = "text_editor_code_execution"


@pytest.mark.parametrize(
    ("kind", "content", "expected"),
    [
        (
            EDITED,
            {"type": f"{EDITED}_view_result", "file_type": "image", "content": "iVBORw0"},
            [
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0"},
                }
            ],
        ),
        (
            EDITED,
            {"type": f"{EDITED}_view_result", "file_type": "pdf", "content": "JVBE"},
            "A pdf file, which cannot be shown.",
        ),
        (
            EDITED,
            {"type": f"{EDITED}_view_result", "file_type": "text", "content": ""},
            "(empty)",
        ),
        (
            EDITED,
            {"type": f"{EDITED}_create_result", "is_file_update": True},
            "The file was replaced.",
        ),
        (EDITED, {"type": f"{EDITED}_str_replace_result", "lines": None}, "The text was replaced."),
        (
            "code_execution",
            {"type": "encrypted_code_execution_result", "encrypted_stdout": "x"},
            "The output of this call cannot be shown again.",
        ),
        (
            "code_execution",
            {"type": "code_execution_tool_result_error", "error_code": "of_the_future"},
            "of_the_future",
        ),
    ],
)
def test_results_of_a_history_are_shown_to_the_model(kind, content, expected):
    answered = shown(f"{kind}_tool_result", content)
    assert answered["content"] == expected
    assert answered.get("is_error", False) is content["type"].endswith("_error")


def test_an_executor_that_does_not_answer_in_time_is_an_error_of_each_kind():
    made = talking().toolset.claiming(NEW)
    for name in ("code_execution", "bash_code_execution", EDITED):
        assert made.timed_out(name)["error_code"] == "execution_time_exceeded"


def test_too_many_open_calls_are_told_so():
    talk = talking(*[waiting(toolu_1=("get-weather", {})), *[waiting()] * 80])
    calls = [python(f"{n}", f"t{n}") for n in range(70)]
    message = talk.ask(calls)
    errors = [
        block["content"]["error_code"]
        for block in message["content"]
        if block["type"] == "code_execution_tool_result"
    ]
    assert errors == ["too_many_requests"] * 6
