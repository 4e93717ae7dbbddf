"""What `bench.sandbox` measures: an executor, a proxy on the simulator, and clients of both."""

from __future__ import annotations

import contextlib
import http.client
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from .processes import child, environment, free_port
from .proxy import Proxy, wait_for_200
from .watch import memory_mib

TOKEN: Final = "token-of-the-bench-of-sandboxes"  # noqa: S105  # of a server of our own
LABEL: Final = "anthropic-bedrock-proxy.sandbox.executor"
MODEL: Final = "claude-haiku-4-5"
CALLS: Final = 3  # of the client's tool, in one conversation
_CODE: Final = f"for n in range({CALLS}):\n    answer = await ask({{'n': n}})\nprint(answer)"
_TOOLS: Final = [
    {"type": "code_execution_20260120", "name": "code_execution"},
    {
        "name": "ask",
        "input_schema": {"type": "object"},
        "allowed_callers": ["code_execution_20260120"],
    },
]
_MODEL_CALL: Final = {
    "type": "tool_use",
    "id": "toolu_1",
    "name": "code_execution",
    "input": {"code": _CODE},
}
_SCRIPT: Final = [
    {
        "match": {"body": '"tool_result"'},
        "times": "forever",
        "reply": {"content": [{"type": "text", "text": "Done."}]},
    },
    {"times": "forever", "reply": {"content": [_MODEL_CALL]}},
]
_START_SECONDS: Final = 30.0
_OK: Final = 200


class Executor:
    """A running `sandboxd`."""

    def __init__(self, url: str, name: str, pid: int) -> None:
        self.url = url
        self.name = name
        self.pid = pid

    def state(self) -> dict[str, Any]:
        """What it says of itself."""
        host = self.url.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=10)
        try:
            connection.request("GET", "/state", headers={"authorization": f"Bearer {TOKEN}"})
            state: dict[str, Any] = msgspec.json.decode(connection.getresponse().read())
            return state
        finally:
            connection.close()

    def until(self, condition: Callable[[dict[str, Any]], bool], seconds: float = 60.0) -> None:
        """Waits until its state is such. Raises `TimeoutError`."""
        deadline = time.monotonic() + seconds
        while not self._is(condition):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {seconds:g} s: {self.state()}")
            time.sleep(0.05)

    def _is(self, condition: Callable[[dict[str, Any]], bool]) -> bool:
        try:
            return condition(self.state())
        except OSError:
            return False


@contextlib.contextmanager
def executor(kind: str, image: str, **settings: str) -> Iterator[Executor]:
    """Runs an executor with these walls."""
    url = f"http://127.0.0.1:{free_port()}"
    name = f"bench-{url.rpartition(':')[2]}"
    given = {
        "SANDBOX_TOKEN": TOKEN,
        "SANDBOX_ISOLATION": kind,
        "SANDBOX_NAME": name,
        "PTC_SANDBOX_IMAGE": image,
        "SANDBOX_MAX_CONTAINERS_PER_KEY": "100",
        **settings,
    }
    command = [sys.executable, "-m", "anthropic_bedrock_proxy", "sandboxd", "--listen", url]
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        child(
            command,
            env=environment(HOME=folder, **given),
            cwd=Path(folder),
            stdout=subprocess.DEVNULL,
            stderr=sys.stderr.fileno(),
        ) as process,
    ):
        running = Executor(url, name, process.pid)
        running.until(lambda state: state["status"] == "ready", _START_SECONDS)
        yield running


@contextlib.contextmanager
def proxy(run_by: Executor, workers: int) -> Iterator[Proxy]:
    """Runs a proxy whose model writes code that calls the client's tool `CALLS` times."""
    port = free_port()
    command = [sys.executable, "-m", "anthropic_bedrock_proxy", "bedrock-sim", "--port", str(port)]
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        script = Path(name, "script.json")
        script.write_bytes(msgspec.json.encode(_SCRIPT))
        with child(
            [*command, "--script", str(script)],
            env=environment(HOME=name),
            cwd=Path(name),
            stdout=subprocess.DEVNULL,
            stderr=sys.stderr.fileno(),
        ):
            settings = {"SANDBOX_URL": run_by.url, "SANDBOX_TOKEN": TOKEN}
            served = Proxy(Path(name), port, environ=settings)
            with served.running(workers):
                wait_for_200(served.target())
                yield served


def converse(served: Proxy) -> list[float]:
    """One conversation to its end; returns the seconds of each of its requests.

    Raises `RuntimeError` if its end is not that of the code.
    """
    messages: list[Any] = [{"role": "user", "content": "Go ahead."}]
    body: dict[str, Any] = {
        "model": MODEL,
        "max_tokens": 500,
        "tools": _TOOLS,
        "messages": messages,
    }
    took = []
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=120)
    try:
        for number in range(CALLS + 1):
            began = time.perf_counter()
            message = _ask(connection, served.secret, body)
            took.append(time.perf_counter() - began)
            body["container"] = message["container"]["id"]
            calls = [block for block in message["content"] if block["type"] == "tool_use"]
            messages.append({"role": "assistant", "content": message["content"]})
            results = [
                {"type": "tool_result", "tool_use_id": call["id"], "content": f"n={number}"}
                for call in calls
            ]
            messages.append({"role": "user", "content": results})
    finally:
        connection.close()
    printed = message["content"][0].get("content", {}).get("stdout")
    if printed != f"n={CALLS - 1}\n":
        raise RuntimeError(f"a conversation ended with {message['content']}")
    return took


def _ask(connection: http.client.HTTPConnection, key: str, body: dict[str, Any]) -> dict[str, Any]:
    headers = {"x-api-key": key, "content-type": "application/json"}
    connection.request("POST", "/v1/messages", msgspec.json.encode(body), headers)
    answer = connection.getresponse()
    read = answer.read()
    if answer.status != _OK:
        raise RuntimeError(f"{answer.status}: {read[:500]!r}")
    message: dict[str, Any] = msgspec.json.decode(read)
    return message


class Holdings(msgspec.Struct):
    """What processes hold: descriptors, and memory in MiB."""

    descriptors: int
    pss_mib: float

    @classmethod
    def of(cls, *pids: int) -> Holdings:
        """Looks at these processes, without their children."""
        return cls(
            sum(len([*Path(f"/proc/{pid}/fd").iterdir()]) for pid in pids),
            sum(memory_mib(pid)[1] for pid in pids),
        )


def docker_containers(name: str) -> int:
    """Counts the containers of an executor, whatever their state."""
    command = ["docker", "ps", "-aq", "--filter", f"label={LABEL}={name}"]
    return len(subprocess.run(command, capture_output=True, check=True).stdout.split())
