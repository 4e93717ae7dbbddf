"""Real executors for the tests from outside, and conversations with code over an official SDK."""

from __future__ import annotations

import contextlib
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import anthropic
from ports import free_port
from servers import RunningServer, clean_environment
from walls import docker_image, need_sandlock

from anthropic_bedrock_proxy.protocol.native.sse import SSEDecoder

TOKEN = "token-of-the-executors-of-the-tests"
OLD_BETA = {"anthropic-beta": "advanced-tool-use-2025-11-20"}
# A model of each dialect, on a proxy with the settings of `dialects`.
MODELS = {
    "invoke": "claude-sonnet-4-6",
    "messages": "claude-opus-5-5",
    "mantle": "claude-haiku-4-5",
    "claude-converse": "claude-opus-4-6",
    "converse": "qwen.qwen3-32b-v1:0",
    "nova": "amazon.nova-pro-v1:0",
}
_ROUNDS = 40
_RESULT = '"tool_result"|"toolResult"'


class RunningSandboxd(RunningServer):
    """`sandboxd` on TCP with a token; `settings` is what proxies need to reach it."""

    def __init__(self, folder: Path, kind: str, *, port: int = 0, **settings: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self.name = f"tests-{self.port}"
        environment = clean_environment(
            folder, SANDBOX_TOKEN=TOKEN, **{**walls(kind), "SANDBOX_NAME": self.name, **settings}
        )
        arguments = ["sandboxd", "--listen", f"http://127.0.0.1:{self.port}"]
        super().__init__(folder, arguments, environment)
        self.settings = {"SANDBOX_URL": self.url, "SANDBOX_TOKEN": TOKEN}

    def state(self, token: str = TOKEN) -> dict[str, Any]:
        """What it says of itself."""
        request = urllib.request.Request(
            f"{self.url}/state", headers={"authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)


def walls(kind: str) -> dict[str, str]:
    """Settings for walls of this kind; skips where this machine has none."""
    if kind == "docker":
        return {"SANDBOX_ISOLATION": kind, "PTC_SANDBOX_IMAGE": docker_image()}
    need_sandlock()
    return {"SANDBOX_ISOLATION": kind}


def dialects(simulator: RunningServer) -> dict[str, str]:
    """Settings with which the models above are called in their dialects."""
    chosen = {"claude-haiku-4-5-20251001": "mantle", "claude-opus-4-6": "converse"}
    return {
        "BEDROCK_MANTLE_ENDPOINT_URL": simulator.url,
        "MODEL_DIALECTS": json.dumps(chosen),
    }


def health(url: str) -> tuple[int, dict[str, Any]]:
    """Status and body of /health/ptc."""
    try:
        with urllib.request.urlopen(f"{url}/health/ptc", timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def descendants(root: int) -> set[int]:
    """Process ids of the living descendants of a process."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if fields[0] != "Z":
                parents[int(entry.name)] = int(fields[1])
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {root}


def living(pids: set[int]) -> set[int]:
    """Those of the processes that have not ended."""
    found = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            if state != "Z":
                found.add(pid)
    return found


def sent(url: str, key: str, body: dict[str, Any]) -> Any:
    """The answer on the wire, over a connection of its own: a message, or a list of events."""
    request = urllib.request.Request(
        f"{url}/v1/messages",
        json.dumps(body).encode(),
        {"x-api-key": key, "content-type": "application/json", "anthropic-version": "2023-06-01"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            read = answer.read()
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{error.code}: {error.read().decode()}") from error
    if not body.get("stream"):
        return json.loads(read)
    return [json.loads(data) for _, data in SSEDecoder().receive(read)]


def code(text: str, identifier: str = "t1") -> dict[str, Any]:
    """A model's call of code execution."""
    return {"type": "tool_use", "id": identifier, "name": "code_execution", "input": {"code": text}}


def bash(command: str, identifier: str = "t1") -> dict[str, Any]:
    """A model's bash command."""
    call = {"type": "tool_use", "id": identifier, "name": "bash_code_execution"}
    return {**call, "input": {"command": command}}


def edit(identifier: str = "t1", **arguments: str) -> dict[str, Any]:
    """A model's command of the text editor."""
    call = {"type": "tool_use", "id": identifier, "name": "text_editor_code_execution"}
    return {**call, "input": arguments}


def text(words: str) -> dict[str, Any]:
    """Words of a model."""
    return {"type": "text", "text": words}


def plays(sim, *answers, times=1) -> None:
    """Scripts the model's answers in their order, for `times` conversations one after the other."""
    steps = [{"reply": {"content": [*blocks]}} for blocks in answers]
    sim.script(steps * times)


def writes(sim, *blocks, then="Done.") -> None:
    """Lets the model say `blocks`, and `then` once it sees a result; for any number of clients."""
    sim.script(
        [
            {
                "match": {"body": _RESULT},
                "times": "forever",
                "reply": {"content": [text(then)]},
            },
            {"times": "forever", "reply": {"content": [*blocks]}},
        ]
    )


def function(name: str, *arguments: str, kind: str = "code_execution_20260120") -> dict[str, Any]:
    """A tool of the client's that code may call."""
    properties = {argument: {"type": "string"} for argument in arguments}
    return {
        "name": name,
        "description": f"Does {name}",
        "input_schema": {"type": "object", "properties": properties},
        "allowed_callers": [kind],
    }


def sandbox_tool(kind: str = "code_execution_20260120") -> dict[str, Any]:
    """The code execution tool."""
    return {"type": kind, "name": "code_execution"}


class Talk:
    """A client with tools, which keeps the history; `steps` are the messages it got."""

    def __init__(
        self, url, key, tools, *, model=MODELS["invoke"], stream=False, container=True, **fields
    ):
        """`container` says whether it is sent back; `fields` go with every request."""
        self._options = {"base_url": url, "api_key": key, "max_retries": 0}
        self.fields = {"model": model, "max_tokens": 1000, "tools": tools, **fields}
        self.stream = stream
        self.container = None
        self.messages = [{"role": "user", "content": "Go ahead."}]
        self.steps: list[Any] = []
        self._sends_container = container

    def use(self, url: str) -> None:
        """Goes on at another proxy."""
        self._options["base_url"] = url

    def ask(self, **changes):
        """Sends the history; the answer is appended."""
        fields = {**self.fields, **changes}
        if self.container is not None and self._sends_container:
            fields.setdefault("container", self.container)
        if fields.get("container") is None:
            fields.pop("container", None)
        with anthropic.Anthropic(**self._options) as client:
            if self.stream:
                with client.messages.stream(messages=self.messages, **fields) as events:
                    message = events.get_final_message()
            else:
                message = client.messages.create(messages=self.messages, **fields)
        self.steps.append(message)
        if message.container is not None:
            self.container = message.container.id
        content = message.to_dict()["content"]
        if self.messages[-1]["role"] == "assistant":
            self.messages[-1] = {"role": "assistant", "content": [
                *self.messages[-1]["content"], *content]}  # fmt: skip
        else:
            self.messages.append({"role": "assistant", "content": content})
        return message

    def say(self, content) -> None:
        """Appends what the user says."""
        self.messages.append({"role": "user", "content": content})

    def pending(self):
        """The calls that wait for results."""
        return [block for block in self.steps[-1].content if block.type == "tool_use"]

    def answer(self, functions, **changes):
        """Brings results of all pending calls."""
        self.say([
            {"type": "tool_result", "tool_use_id": call.id,
             "content": str(functions[call.name](**call.input))}
            for call in self.pending()
        ])  # fmt: skip
        return self.ask(**changes)

    def run(self, functions):
        """The whole conversation; returns its last message."""
        message = self.ask()
        for _ in range(_ROUNDS):
            if message.stop_reason != "tool_use":
                return message
            message = self.answer(functions)
        raise AssertionError(f"not at its end after {_ROUNDS} rounds")
