"""Programmatic tool calling with the official Python SDK, over real sandboxes.

One executor on TCP for each kind of walls, one proxy in front of it.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import anthropic
import pytest
from sandboxes import (
    MODELS,
    RunningSandboxd,
    Talk,
    code,
    dialects,
    function,
    plays,
    sandbox_tool,
    sent,
    text,
    writes,
)
from servers import start_proxy

GOLDEN = Path(__file__).parents[1] / "tools" / "code_execution" / "golden"
TOOLS = [
    sandbox_tool(),
    function("get_weather", "city"),
    function("get_people", "city"),
    function("double", "number"),
]
FUNCTIONS = {
    "get_weather": lambda city: f"rain in {city}",
    "get_people": lambda city: str(len(city)),
    "double": lambda number: str(2 * int(number)),
}
SEQUENTIAL = """
weather = await get_weather({"city": "Oslo"})
people = int(await get_people({"city": "Oslo"}))
print(weather, people, await double({"number": people}))
"""
GATHERED = """
import asyncio
print(*await asyncio.gather(
    get_weather({"city": "Oslo"}), get_people({"city": "Oslo"}), double({"number": 4})))
"""
LOOPED = """
total = 0
for number in range(25):
    total += int(await double({"number": number}))
print(total)
"""
CASES = {
    "sequential": (SEQUENTIAL, "rain in Oslo 4 8\n", [1, 1, 1]),
    "gathered": (GATHERED, "rain in Oslo 4 8\n", [3]),
    "looped": (LOOPED, "600\n", [1] * 25),
}
# A turn asks for events, whatever its client wants.
OPERATIONS = {
    "invoke": "InvokeModelWithResponseStream",
    "messages": "MessagesStream",
    "mantle": "MantleMessagesStream",
    "claude-converse": "ConverseStream",
    "converse": "ConverseStream",
    "nova": "ConverseStream",
}
KINDS = ("sandlock", "docker")


@pytest.fixture(scope="module", params=KINDS)
def executor(request, tmp_path_factory):
    with RunningSandboxd(tmp_path_factory.mktemp("executor"), request.param) as server:
        yield server
        assert server.stop() == 0, server.logged()


@pytest.fixture(scope="module")
def coded(executor, simulator, tmp_path_factory):
    """A proxy with sandboxes."""
    settings = {**executor.settings, **dialects(simulator)}
    with start_proxy(tmp_path_factory.mktemp("proxy"), simulator, **settings) as server:
        yield server
        assert server.stop() == 0, server.logged()


def talk(proxy, tools=TOOLS, **options):
    return Talk(proxy.url, proxy.key, tools, **options)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("dialect", MODELS)
@pytest.mark.parametrize("case", CASES)
def test_code_calls_three_tools(coded, sim, case, dialect, stream):
    program, printed, pauses = CASES[case]
    writes(sim, text("I write code."), code(program))
    one = talk(coded, model=MODELS[dialect], stream=stream)
    last = one.run(FUNCTIONS)
    first, *paused, end = one.steps
    assert end is last
    assert [block.type for block in first.content[:2]] == ["text", "server_tool_use"]
    call = first.content[1]
    assert call.id.startswith("srvtoolu_")
    assert call.input == {"code": program}
    counts = []
    for step in (first, *paused):
        assert step.stop_reason == "tool_use"
        assert step.container.id == one.container
        calls = [block for block in step.content if block.type == "tool_use"]
        counts.append(len(calls))
        for each in calls:
            assert each.id.startswith("toolu_")
            assert each.caller.to_dict() == {
                "type": "code_execution_20260120",
                "tool_id": call.id,
            }
    assert counts == pauses
    assert all(block.type == "tool_use" for step in paused for block in step.content)
    result, words = last.content
    assert (result.type, result.tool_use_id) == ("code_execution_tool_result", call.id)
    assert result.content.stdout == printed
    assert (result.content.stderr, result.content.return_code) == ("", 0)
    assert words.text == "Done."
    assert last.stop_reason == "end_turn"
    requests = sim.requests()
    assert len(requests) == 2  # the model slept while its code ran
    assert OPERATIONS[dialect] in {request["operation"] for request in requests}
    assert "rain in Oslo" not in str(sim.requests()[0])


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("dialect", ["invoke", "converse"])
def test_the_container_is_known_from_the_call_that_waits_in_it(coded, sim, dialect, stream):
    writes(sim, code(SEQUENTIAL))
    one = talk(coded, model=MODELS[dialect], stream=stream, container=False)
    assert one.run(FUNCTIONS).content[0].content.stdout == "rain in Oslo 4 8\n"
    assert len({step.container.id for step in one.steps}) == 1


class Shown:
    """What is made anew in each conversation, under the names of the golden files."""

    def __init__(self):
        self._calls = {}
        self._functions = {}

    def hide(self, value):
        if isinstance(value, list):
            return [self.hide(each) for each in value]
        if not isinstance(value, dict):
            return self._id(value)
        shown = {key: self.hide(each) for key, each in value.items()}
        if shown.get("type") == "message":
            shown |= {"id": "msg", "model": "m"}
            if not shown.get("container", True):
                del shown["container"]
        if "usage" in shown:
            counted = shown["usage"].get("server_tool_use")
            shown["usage"] = {"server_tool_use": counted} if counted else {}
        if "expires_at" in shown:
            shown["expires_at"] = "later"
        return shown

    def _id(self, value):
        text = str(value)
        if text.startswith("container_"):
            return "$container"
        if text.startswith("srvtoolu_"):
            return self._calls.setdefault(value, f"${chr(ord('A') + len(self._calls))}")
        if text.startswith("toolu_") and len(text) > len("toolu_123"):
            return self._functions.setdefault(value, f"toolu_{len(self._functions) + 1}")
        return value

    def real(self, shown):
        return {name: value for value, name in self._functions.items()}.get(shown, shown)


def joined(events):
    """Events with the pieces of a block's text put together, without pings."""
    whole = []
    for event in events:
        last = whole[-1] if whole else {}
        if event["type"] == "ping":
            continue
        if event["type"] == last.get("type") == "content_block_delta":
            (kind, piece), (_, other) = (
                next((key, each) for key, each in one["delta"].items() if key != "type")
                for one in (event, last)
            )
            last["delta"][kind] = other + piece
        else:
            whole.append(event)
    return whole


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("dialect", ["invoke", "messages", "mantle", "claude-converse", "converse"])
@pytest.mark.parametrize("name", ["sequential", "gathered", "mixed"])
def test_the_wire_of_each_step_is_that_of_the_golden_file(coded, sim, name, dialect, stream):
    case = json.loads((GOLDEN / f"{name}.json").read_text())
    plays(sim, *(blocks for step in case["steps"] for blocks in step["model"]))
    shown, container = Shown(), None
    messages = [{"role": "user", "content": "Go ahead."}]
    for step in case["steps"]:
        if "say" in step:
            content = [
                {**block, "tool_use_id": shown.real(block["tool_use_id"])} for block in step["say"]
            ]
            messages.append({"role": "user", "content": content})
        body = {"model": MODELS[dialect], "max_tokens": 1000, "tools": case["tools"],
                "messages": messages}  # fmt: skip
        if container:
            body["container"] = container
        golden = Shown()
        whole = sent(coded.url, coded.key, body) if not stream else None
        if stream:
            events = sent(coded.url, coded.key, {**body, "stream": True})
            assert joined(shown.hide(events)) == joined(golden.hide(step["events"]))
            whole = folded(events)
        else:
            assert shown.hide(whole) == golden.hide(step["message"])
        container = whole["container"]["id"]
        messages.append({"role": "assistant", "content": whole["content"]})


def folded(events):
    """Content and container as a client makes them of events."""
    content, pieces, container = [], "", None
    for event in events:
        match event["type"]:
            case "content_block_start":
                content.append(event["content_block"])
                pieces = ""
            case "content_block_delta":
                pieces += event["delta"].get("partial_json") or event["delta"].get("text", "")
            case "content_block_stop" if pieces:
                key = "text" if content[-1]["type"] == "text" else "input"
                content[-1][key] = pieces if key == "text" else json.loads(pieces)
            case "message_delta":
                container = event["delta"].get("container")
    return {"content": content, "container": container}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("case", CASES)
def test_the_tool_runner_of_the_sdk_brings_code_to_its_end(coded, sim, case, stream):
    """It does not send the container back."""
    program, printed, pauses = CASES[case]
    writes(sim, code(program))
    options = {"allowed_callers": ["code_execution_20260120"]}

    @anthropic.beta_tool(**options)
    def get_weather(city: str) -> str:
        return FUNCTIONS["get_weather"](city)

    @anthropic.beta_tool(**options)
    def get_people(city: str) -> str:
        return FUNCTIONS["get_people"](city)

    @anthropic.beta_tool(**options)
    def double(number: int) -> str:
        return FUNCTIONS["double"](number)

    with anthropic.Anthropic(base_url=coded.url, api_key=coded.key, max_retries=0) as client:
        runner = client.beta.messages.tool_runner(
            model=MODELS["invoke"],
            max_tokens=1000,
            tools=[sandbox_tool(), get_weather, get_people, double],
            messages=[{"role": "user", "content": "Go ahead."}],
            stream=stream,
        )
        steps = [events.get_final_message() for events in runner] if stream else list(runner)
    assert len(steps) == len(pauses) + 1
    assert steps[-1].content[0].content.stdout == printed
    assert len({step.container.id for step in steps}) == 1


def test_many_clients_talk_at_the_same_time(coded, sim):
    writes(sim, code(SEQUENTIAL))

    async def main():
        return await asyncio.gather(
            *(asyncio.to_thread(talk(coded, stream=n % 2).run, FUNCTIONS) for n in range(12))
        )

    answers = asyncio.run(main())
    assert {answer.content[0].content.stdout for answer in answers} == {"rain in Oslo 4 8\n"}
    assert len({answer.container.id for answer in answers}) == len(answers)
