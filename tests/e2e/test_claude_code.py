"""Claude Code, the real one, finishing a task through the proxy: two shell commands, one answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import parts
import pytest
from claude_runs import run_claude
from servers import RunningProxy

TASK = "Write the word one into a.txt, then show me the file."
# Only the main loop offers tools; requests for titles, topics or quota probes do not.
MAIN_LOOP = '"name": ?"Bash"'


@pytest.fixture(scope="module")
def claude():
    return parts.claude()


@pytest.fixture
def run(claude, proxy, sim, tmp_path):
    """`run(model)` does the task in `tmp_path / "work"` and returns the result document."""

    def once(model: str | None = None, server: RunningProxy = proxy) -> dict[str, Any]:
        settings = {} if model is None else {"ANTHROPIC_MODEL": model}
        options = ("--output-format", "json")
        return json.loads(run_claude(claude, server, tmp_path, TASK, *options, **settings))

    return once


def thinks_and_runs(call_id: str, command: str) -> dict[str, Any]:
    tool_input = {"command": command, "description": "A step of the task"}
    return {
        "content": [
            {"type": "thinking", "thinking": "The next step."},
            {"type": "text", "text": "On it."},
            {"type": "tool_use", "id": call_id, "name": "Bash", "input": tool_input},
        ]
    }


def script_the_task(sim) -> None:
    """The last step first: each fits from the moment its tool result is in the history."""
    done = {"content": [{"type": "text", "text": "The file says: one"}]}
    sim.script(
        [
            {"match": {"body": '"tool_use_id": ?"toolu_second"'}, "reply": done},
            {
                "match": {"body": '"tool_use_id": ?"toolu_first"'},
                "reply": thinks_and_runs("toolu_second", "cat a.txt > b.txt && cat b.txt"),
            },
            {
                "match": {"body": MAIN_LOOP},
                "reply": thinks_and_runs("toolu_first", "echo one > a.txt"),
            },
        ]
    )


def assert_task_done(result: dict[str, Any], sim, work: Path) -> list[dict[str, Any]]:
    """Both commands ran, the answer arrived, and Bedrock saw their results; returns its log."""
    assert (result["subtype"], result["is_error"]) == ("success", False)
    assert result["result"] == "The file says: one"
    assert result["num_turns"] == 3
    assert (work / "a.txt").read_text() == (work / "b.txt").read_text() == "one\n"
    assert sim.queued() == []
    log = sim.requests()
    results = [
        block
        for message in log[-1]["body"]["messages"]
        for block in message["content"]
        if isinstance(block, dict) and block["type"] == "tool_result"
    ]
    assert [block["tool_use_id"] for block in results] == ["toolu_first", "toolu_second"]
    assert "one" in json.dumps(results[1]["content"])
    return log


@pytest.mark.parametrize(
    ("model", "bedrock_id"),
    [
        (None, "global.anthropic.claude-opus-5-5"),  # what Claude Code chooses itself
        ("claude-opus-4-6", "global.anthropic.claude-opus-4-6-v1"),
        ("claude-haiku-4-5", "global.anthropic.claude-haiku-4-5-20251001-v1:0"),
    ],
)
def test_task_with_two_commands(run, sim, tmp_path, model, bedrock_id):
    script_the_task(sim)
    log = assert_task_done(run(model), sim, tmp_path / "work")
    assert {request["status"] for request in log} == {200}
    assert bedrock_id in {request["model"] for request in log}


def test_task_while_bedrock_throttles(run, sim, tmp_path):
    sim.script([{"error": {"type": "ThrottlingException", "message": "Too many"}, "times": 2}])
    script_the_task(sim)
    log = assert_task_done(run(), sim, tmp_path / "work")
    assert sorted(request["status"] for request in log) == [200, 200, 200, 429, 429]


def test_usage_is_that_of_the_model(run, proxy, sim, tmp_path):
    """What Claude Code adds up is what Bedrock billed."""
    script_the_task(sim)
    result = run()
    billed = sim.stats()["billed"]["finished"]
    (used,) = result["modelUsage"].values()
    assert used["inputTokens"] == billed["input_tokens"] > 10_000
    assert used["outputTokens"] == billed["output_tokens"] > 0


def calls(call_id: str, name: str, **tool_input: Any) -> dict[str, Any]:
    """The model thinks, then calls a tool."""
    thought = {"type": "thinking", "thinking": "The next step."}
    call = {"type": "tool_use", "id": call_id, "name": name, "input": tool_input}
    return {"content": [thought, call]}


def script_the_search(sim) -> None:
    """Finds a deferred tool, calls it, runs a command, says so."""
    command = {"command": "echo one > a.txt", "description": "A step of the task"}
    search = {"query": "select:CronList,NotebookEdit", "max_results": 5}
    steps = [
        ('"toolu_third"', {"content": [{"type": "text", "text": "Nothing is planned."}]}),
        ('"toolu_second"', calls("toolu_third", "Bash", **command)),
        ('"toolu_first"', calls("toolu_second", "CronList")),
        (MAIN_LOOP, calls("toolu_first", "ToolSearch", **search)),
    ]
    sim.script([{"match": {"body": body}, "reply": reply} for body, reply in steps])


def offered(request: dict[str, Any]) -> set[str]:
    """The tools that the model was told of."""
    body = request["body"]
    tools = body.get("tools") or [tool["toolSpec"] for tool in body["toolConfig"]["tools"]]
    return {tool["name"] for tool in tools}


# An operator who serves Claude Code's own model with another maker's.
ANOTHER_MAKER = json.dumps({"claude-opus-5-5": "qwen.qwen3-32b-v1:0"})


@pytest.mark.parametrize(
    ("model", "operation"),
    [
        ("claude-opus-5-5", "MessagesStream"),
        ("claude-haiku-4-5", "InvokeModelWithResponseStream"),
        ("qwen", "ConverseStream"),
    ],
)
def test_a_deferred_tool_is_found_and_called(run, start, proxy, sim, tmp_path, model, operation):
    server = proxy
    if model == "qwen":
        model, server = "claude-opus-5-5", start(DEFAULT_MODEL_MAPPING=ANOTHER_MAKER)
    script_the_search(sim)
    result = run(model, server)
    assert (result["subtype"], result["result"]) == ("success", "Nothing is planned.")
    assert result["num_turns"] == 4
    assert (tmp_path / "work" / "a.txt").read_text() == "one\n"
    assert sim.queued() == []
    log = sim.requests()
    assert {entry["operation"] for entry in log} == {operation}
    assert {entry["status"] for entry in log} == {200}
    main = [entry for entry in log if "Bash" in offered(entry)]
    assert "CronList" not in offered(main[0])
    assert {"CronList", "NotebookEdit"} <= offered(main[1])
    assert "No scheduled jobs" in json.dumps(main[2]["body"]["messages"][-1])
