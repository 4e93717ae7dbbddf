"""Code execution of all versions over real sandboxes: Python, bash, files, and what goes wrong."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import anthropic
import pytest
from sandboxes import (
    MODELS,
    OLD_BETA,
    RunningSandboxd,
    Talk,
    bash,
    code,
    dialects,
    edit,
    function,
    plays,
    sandbox_tool,
    text,
    writes,
)
from servers import start_proxy, wait_for

REPL = ("code_execution_20260120", "code_execution_20260521")
KINDS = ("sandlock", "docker")


@pytest.fixture(scope="module", params=KINDS)
def executor(request, tmp_path_factory):
    """Its clocks are short: calls are waited for 3 s, Python runs for 2 s, bash for 1 s."""
    folder = tmp_path_factory.mktemp("executor")
    clocks = {"PTC_SESSION_TIMEOUT": "3", "PTC_EXECUTION_TIMEOUT": "2",
              "STANDALONE_BASH_TIMEOUT": "1", "SANDBOX_IDLE_SECONDS": "8"}  # fmt: skip
    with RunningSandboxd(folder, request.param, **clocks) as server:
        yield server
        assert server.stop() == 0, server.logged()


@pytest.fixture(scope="module")
def coded(executor, simulator, tmp_path_factory):
    """A proxy with sandboxes."""
    settings = {**executor.settings, **dialects(simulator)}
    with start_proxy(tmp_path_factory.mktemp("proxy"), simulator, **settings) as server:
        yield server
        assert server.stop() == 0, server.logged()


def talk(proxy, kind=REPL[0], *functions, **options):
    return Talk(proxy.url, proxy.key, [sandbox_tool(kind), *functions], **options)


def results(message):
    return [block for block in message.content if block.type.endswith("_tool_result")]


def printed(message):
    return [block.content.stdout for block in results(message)]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("kind", ["code_execution_20250522", *REPL])
def test_python_keeps_its_names_from_cell_to_cell(coded, sim, kind, stream):
    plays(sim, [text("First."), code("x = 20 + 1")], [code("print(2 * x)")], [text("42.")])
    message = talk(coded, kind, stream=stream).ask()
    assert [block.type for block in message.content] == [
        "text",
        "server_tool_use",
        "code_execution_tool_result",
        "server_tool_use",
        "code_execution_tool_result",
        "text",
    ]
    assert printed(message) == ["", "42\n"]
    assert message.stop_reason == "end_turn"
    assert message.usage.server_tool_use.to_dict()["code_execution_requests"] == 2
    billed = sim.stats()["billed"]["finished"]
    assert message.usage.input_tokens == billed["input_tokens"]
    assert message.usage.output_tokens == billed["output_tokens"]


@pytest.mark.parametrize("dialect", MODELS)
@pytest.mark.parametrize("kind", ["code_execution_20250825", *REPL])
def test_bash_and_the_text_editor_share_a_folder(coded, sim, kind, dialect):
    plays(
        sim,
        [edit(command="create", path="notes.txt", file_text="one\ntwo\n")],
        [bash("cat notes.txt; echo oops >&2; exit 3")],
        [edit(command="str_replace", path="notes.txt", old_str="two", new_str="three")],
        [edit(command="view", path="notes.txt")],
        [text("Done.")],
    )
    created, shown, _, viewed = results(talk(coded, kind, model=MODELS[dialect]).ask())
    assert created.type == "text_editor_code_execution_tool_result"
    assert created.content.to_dict() == {
        "type": "text_editor_code_execution_create_result",
        "is_file_update": False,
    }
    assert shown.type == "bash_code_execution_tool_result"
    assert (shown.content.stdout, shown.content.stderr) == ("one\ntwo\n", "oops\n")
    assert shown.content.return_code == 3
    assert "three" in viewed.content.content
    assert "two" not in viewed.content.content


def test_a_file_that_is_not_there_is_an_error_of_the_text_editor(coded, sim):
    plays(sim, [edit(command="view", path="missing.txt")], [text("Hm.")])
    (result,) = results(talk(coded).ask())
    assert result.content.type == "text_editor_code_execution_tool_result_error"
    assert result.content.error_code == "file_not_found"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_turn_that_computes_too_often_pauses_and_goes_on(coded, sim, stream):
    plays(sim, *([code(f"n = {n}; print(n)")] for n in range(10)), [code("print(n + 1)")],
          [text("Enough.")])  # fmt: skip
    one = talk(coded, stream=stream)
    paused = one.ask()
    assert paused.stop_reason == "pause_turn"
    rest = one.ask()
    assert rest.stop_reason == "end_turn"
    assert printed(paused) + printed(rest) == [f"{n}\n" for n in range(11)]
    assert rest.container.id == paused.container.id


def test_an_error_of_the_code_is_told_with_its_traceback(coded, sim):
    plays(sim, [code("print('before')\n1 / 0")], [text("Oh.")])
    (result,) = results(talk(coded).ask())
    assert result.content.stdout == "before\n"
    assert result.content.return_code == 1
    assert "ZeroDivisionError: division by zero" in result.content.stderr
    assert "ZeroDivisionError" in str(sim.requests()[-1]["body"])


def test_an_error_between_two_calls_ends_the_code(coded, sim):
    writes(sim, code("a = await f({})\nraise ValueError(a)"))
    one = talk(coded, REPL[0], function("f"))
    last = one.run({"f": lambda: "told by the client"})
    (result,) = results(last)
    assert "ValueError: told by the client" in result.content.stderr
    assert result.content.return_code == 1


def test_code_that_takes_too_long_is_ended_as_its_version_says(coded, sim):
    for kind in REPL:
        plays(sim, [code("print('so far', flush=True)\nwhile True: pass")], [text("Oh.")])
        (result,) = results(talk(coded, kind).ask())
        if kind == REPL[0]:
            assert result.content.error_code == "execution_time_exceeded"
        else:
            assert result.content.stdout == "so far\n"
            assert result.content.return_code != 0
            assert "detection_timeout" in result.content.stderr
    plays(sim, [bash("sleep 30")], [text("Oh.")])
    (result,) = results(talk(coded, "code_execution_20250825").ask())
    assert result.content.error_code == "execution_time_exceeded"


def test_a_call_that_nobody_answers_is_a_timeout_error_in_the_code(coded, sim):
    first_try = "try:\n    await f({})\nexcept TimeoutError as e:\n    print('caught', e)\n"
    writes(sim, code(first_try + "await f({'n': '2'})"))
    one = talk(coded, REPL[0], function("f", "n"))
    first = one.ask()
    assert first.stop_reason == "tool_use"
    time.sleep(3.5)  # the client thinks for longer than the executor waits
    last = one.answer({"f": lambda **_: "late"})
    (call,) = last.content  # the code has caught it, and calls anew
    assert (call.type, call.input) == ("tool_use", {"n": "2"})
    time.sleep(3.5)
    (result,) = results(one.answer({"f": lambda **_: "late"}))
    assert "caught Calling tool ['f'] timed out (no response after 3s)." in result.content.stdout
    assert "TimeoutError: Calling tool ['f'] timed out" in result.content.stderr
    assert result.content.return_code == 1


def test_a_container_is_used_again_by_the_next_request(coded, sim):
    plays(sim, [code("kept = 7\nopen('kept.txt', 'w').write('file')")], [text("Kept.")])
    first = talk(coded).ask()
    plays(sim, [code("print(kept, open('kept.txt').read())")], [text("There.")])
    second = talk(coded, container=True)
    message = second.ask(container=first.container.id)
    assert printed(message) == ["7 file\n"]
    assert message.container.id == first.container.id
    lives = message.container.expires_at - datetime.now(UTC)
    assert 0 < lives.total_seconds() <= 8
    plays(sim, [code("print(kept)")], [text("Not there.")])
    (result,) = results(talk(coded).ask())  # a new one
    assert "NameError" in result.content.stderr


def test_the_container_of_another_key_is_not_found(coded, sim):
    plays(sim, [code("secret = 1")], [text("Kept.")])
    mine = talk(coded).ask().container.id
    _, other = coded.create_key("another")
    stranger = Talk(coded.url, other, [sandbox_tool()])
    with pytest.raises(anthropic.BadRequestError, match="not found or has expired"):
        stranger.ask(container=mine)
    plays(sim, [code("print(secret)")], [text("Mine.")])
    assert printed(talk(coded).ask(container=mine)) == ["1\n"]


def test_a_foreign_key_cannot_answer_for_the_code_of_another(coded, sim):
    writes(sim, code("print(await f({}))"))
    mine = talk(coded, REPL[0], function("f"))
    mine.ask()
    _, other = coded.create_key("another")
    for container in (True, False):
        stranger = Talk(coded.url, other, mine.fields["tools"], container=container)
        stranger.messages, stranger.steps = [*mine.messages], [*mine.steps]
        stranger.container = mine.container
        with pytest.raises(anthropic.BadRequestError, match="not found or has expired"):
            stranger.answer({"f": lambda: "forged"})
    assert printed(mine.answer({"f": lambda: "mine"})) == ["mine\n"]


def test_an_expired_container_is_not_found(coded, executor, sim):
    plays(sim, [code("1")], [text("Kept.")])
    gone = talk(coded).ask().container.id
    wait_for(lambda: executor.state()["containers"] == 0, "it has expired", 25)
    with pytest.raises(anthropic.BadRequestError, match="send the request without it"):
        talk(coded).ask(container=gone)


@pytest.mark.parametrize("name", ["container_1", "container_" + "0" * 24, "../x", "x" * 5000])
def test_a_container_that_never_was_is_not_found(coded, sim, name):
    with pytest.raises(anthropic.BadRequestError, match="not found or has expired"):
        talk(coded).ask(container=name)
    assert sim.requests() == []


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("version", ["code_execution_20250825", *REPL])
@pytest.mark.parametrize("caller", ["code_execution_20250825", *REPL])
def test_every_caller_goes_with_every_version(coded, sim, version, caller, stream):
    writes(sim, code("print(await f({}))"))
    one = talk(coded, version, function("f", kind=caller), stream=stream, extra_headers=OLD_BETA)
    last = one.run({"f": lambda: "called"})
    assert printed(last) == ["called\n"]
    (call,) = (block for block in one.steps[0].content if block.type == "tool_use")
    told = "code_execution_20250825" if version == "code_execution_20250825" else REPL[0]
    assert call.caller.type == told


def test_a_turn_with_code_is_one_row_of_usage(start, executor, sim):
    proxy = start(**executor.settings)
    plays(sim, [code("print(1)")], [text("One.")])
    message = talk(proxy).ask()
    proxy.stop()
    total = proxy.command("usage")["total"]
    assert total["requests"] == 1
    assert total["input_tokens"] == message.usage.input_tokens
    assert total["output_tokens"] == message.usage.output_tokens


@pytest.mark.parametrize("dialect", ["invoke", "messages", "converse"])
def test_a_stream_shows_the_code_while_it_runs(coded, sim, dialect):
    plays(sim, [text("Wait."), code("import time\ntime.sleep(1)\nprint('woke')")], [text("Done.")])
    seen = {}
    body = {"model": MODELS[dialect], "max_tokens": 500, "tools": [sandbox_tool()],
            "messages": [{"role": "user", "content": "Go ahead."}]}  # fmt: skip
    with (
        anthropic.Anthropic(base_url=coded.url, api_key=coded.key, max_retries=0) as client,
        client.messages.create(stream=True, **body) as events,
    ):
        for event in events:
            if event.type == "content_block_start":
                seen.setdefault(event.content_block.type, time.monotonic())
            elif event.type == "content_block_stop":
                seen[f"stop {event.index}"] = time.monotonic()
    assert seen["code_execution_tool_result"] - seen["stop 1"] > 0.8


def test_a_client_that_leaves_while_its_code_runs_can_come_back(coded, sim):
    plays(sim, [code("import time\nkept = 'kept'\ntime.sleep(1)")], [text("Done.")])
    one = talk(coded)
    body = {**one.fields, "messages": one.messages}
    with anthropic.Anthropic(base_url=coded.url, api_key=coded.key, max_retries=0) as client:
        first = client.messages.create(**body)
        plays(sim, [code("import time\ntime.sleep(1.2)\nkept += ' on'")], [text("Done.")])
        with pytest.raises(anthropic.APITimeoutError):
            client.messages.create(container=first.container.id, timeout=0.5, **body)
        sim.reset()
        plays(sim, [code("print(kept)")], [text("Done.")])
        last = client.messages.create(container=first.container.id, **body)
    assert printed(last)[0] in {"kept\n", "kept on\n"}
