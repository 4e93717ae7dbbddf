"""`container_upload` in a turn: what the model sees, and what the executor is to bring in."""

from __future__ import annotations

import pytest
from conversation import KEY, Conversation
from fake_sandbox import printed
from turn_support import ASKED, assistant, call, fields_of, text, user

from anthropic_bedrock_proxy.errors import InvalidRequestError, UnavailableError
from anthropic_bedrock_proxy.sandbox.base import SandboxUnavailableError
from anthropic_bedrock_proxy.tools.code_execution.uploads import MAX_UPLOADS
from anthropic_bedrock_proxy.turn.request import without_running

TOOL = {"type": "code_execution_20260120", "name": "code_execution"}
PLAIN = {"name": "plain", "input_schema": {"type": "object"}}
FILE, OTHER = "file_a", "file_b"
SHOWN = 'The file "sales.csv" (2,048 bytes) lies in the working folder.'


def upload(name=FILE, **more):
    return {"type": "container_upload", "file_id": name, **more}


def python(code="1", identifier="t"):
    return call("code_execution", identifier, code=code)


def talking(*outcomes, files=(FILE,), tools=(TOOL,)):
    talk = Conversation(*outcomes, tools=list(tools))
    for name in files:
        talk.sandbox.keep(KEY, name)
    return talk


def test_the_model_is_told_of_the_file_and_the_next_cell_finds_it():
    talk = talking(printed("1"))
    talk.messages = [user(text("sum up"), upload(), text("please"))]
    talk.ask([python()], [text("b")])
    first, *_ = talk.seen()
    assert first == [user(text("sum up"), text(SHOWN), text("please"))]
    assert talk.seen(1)[0][0] == first[0]
    assert talk.sandbox.uploads == [[FILE]]


def test_a_mark_for_the_cache_stays():
    talk = talking()
    mark = {"type": "ephemeral"}
    talk.messages = [user(upload(cache_control=mark), upload(cache_control=None))]
    talk.ask([text("b")])
    assert talk.seen()[0] == [user(text(SHOWN) | {"cache_control": mark}, text(SHOWN))]


def test_a_new_container_gets_the_files_of_the_whole_conversation_each_once():
    talk = talking(printed("1"), printed("2"), files=(FILE, OTHER))
    talk.messages = [user(upload()), assistant(text("Yes?")), user(upload(OTHER), upload())]
    talk.ask([python()], [python(identifier="u")], [text("b")])
    assert talk.sandbox.uploads == [[OTHER, FILE]] * 2  # the later one last


def test_results_of_tools_and_files_may_come_together():
    talk = talking(printed("1"), printed("2"), tools=[TOOL, PLAIN])
    talk.ask([python(), call("plain", "toolu_1")])
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "rain"}
    talk.say(result, upload())
    talk.ask([python(identifier="u")], [text("b")])
    assert talk.seen()[0][-1] == user(result, text(SHOWN))
    assert talk.sandbox.uploads == [[], [FILE]]


def test_a_file_may_follow_a_result_of_code():
    talk = talking(printed("1"))
    talk.ask([python()], [text("b")])
    *_, said = talk.messages
    talk.messages = [ASKED, assistant(*said["content"][:2]), user(upload())]
    talk.ask([text("c")])
    result, shown = talk.seen()[0][-1]["content"]
    assert (result["type"], shown) == ("tool_result", text(SHOWN))


@pytest.mark.parametrize("name", ["file_unknown", "../../etc/passwd", "x" * 1000, "\0"])
def test_a_file_that_is_not_there_is_refused_before_the_model_is_called(name):
    talk = talking()
    talk.sandbox.keep("key_of_another", "file_unknown")
    talk.messages = [ASKED, assistant(text("a")), user(text("b"), upload(), upload(name))]
    with pytest.raises(InvalidRequestError) as refused:
        talk.ask([text("b")])
    assert refused.value.message == f"messages.2.content.2.file_id: File not found: {name[:60]}"
    assert talk.calls.requests == []
    assert talk.sandbox.ran == []


@pytest.mark.parametrize("name", [None, 7, "", ["file_a"], {}])
def test_what_is_no_id_is_refused(name):
    talk = talking()
    talk.messages = [user(upload(name))]
    for prepare in (talk.ask, lambda: without_running(talk.request(), talk.toolset)):
        with pytest.raises(
            InvalidRequestError, match=r"^messages\.0\.content\.0\.file_id: Expected"
        ):
            prepare()


def test_too_many_files_are_refused():
    names = [f"file_{number}" for number in range(MAX_UPLOADS + 1)]
    talk = talking(files=names)
    talk.messages = [user(*map(upload, names[1:]), upload(names[1]))]
    talk.ask([text("b")])
    talk.messages = [user(*map(upload, names))]
    with pytest.raises(InvalidRequestError, match="at most 100 files"):
        talk.ask([text("b")])


def test_counting_tokens_looks_up_nothing():
    talk = talking(files=())
    talk.sandbox.unavailable = "away"
    talk.messages = [user(text("sum up"), upload())]
    made = without_running(talk.request(), talk.toolset)
    [messages] = fields_of(made, "messages")
    assert messages[0]["content"][0] == text("sum up")
    assert messages[0]["content"][1]["text"].endswith("lies in the working folder.")


def test_an_executor_that_is_away_is_told_as_such():
    talk = talking()
    talk.messages = [user(upload())]

    async def away(owner, name):
        raise SandboxUnavailableError("start it")

    talk.sandbox.file = away
    with pytest.raises(UnavailableError, match="cannot be run at the moment: start it"):
        talk.ask([text("b")])


@pytest.mark.parametrize("message", [assistant(upload()), user({
    "type": "tool_result", "tool_use_id": "t", "content": [upload()]})])  # fmt: skip
def test_elsewhere_the_block_is_left_to_be_refused(message):
    talk = talking()
    talk.messages = [ASKED, assistant(call("plain", "t")), message]
    made = without_running(talk.request(), talk.toolset)
    assert b"container_upload" in bytes(made.fields["messages"])


def test_without_the_tool_the_block_is_left_to_be_refused():
    talk = talking(printed("1"))
    talk.ask([python()], [text("b")])
    talk.say(upload())
    made = without_running(talk.request(tools=[{"name": "a", "input_schema": {}}]), talk.toolset)
    assert b"container_upload" in bytes(made.fields["messages"])
