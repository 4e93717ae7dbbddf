"""An isolation whose runners are in memory and speak the protocol: the seam's fake.

Code and commands are scripts, a step a line:

    say TEXT                 prints it
    call NAME JSON           calls a function, and prints its result
    gather NAME NAME …       calls several at once, and prints their results
    give up NAME             calls a function, and goes on without its result, as after a time-out
    stand                    waits until the isolation's `gate` is open
    hang                     never ends
    die                      ends the runner
    junk TEXT                writes a line of its own to the executor
    leave NAME TEXT          leaves a file; `leave-large NAME` one that is too large
    read NAME                prints a file that was put

A command of the text editor is always answered as a `create`, with the fields of its `more`.
"""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import suppress

from anthropic_bedrock_proxy.sandbox.isolation.base import IsolationError, IsolationState


class FakeRunner:
    workspace = "/workspace"

    def __init__(self, isolation, number) -> None:
        self._isolation = isolation
        self._number = number
        self._out = asyncio.Queue()
        self._rest = b""
        self._lines = 0
        self._task = None
        self._results = {}
        self._calls = 0
        self._parts = {}
        self.files = {}
        self.left = {}
        self.received = []
        self.ended = False
        self.why = ""

    async def read(self) -> bytes:
        return await self._out.get()

    async def write(self, data: bytes) -> None:
        if self.ended:
            raise IsolationError("it has ended")
        await asyncio.sleep(0)  # as a pipe may: others run meanwhile
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._lines += 1
            if self._lines > 1 and not self._isolation.mute:  # the first is the program
                self._take(json.loads(line))

    async def kill(self) -> None:
        if not self.ended:
            self.die("")
        if self in self._isolation.runners:
            self._isolation.runners.remove(self)

    async def why_ended(self) -> str:
        return self.why

    def die(self, why: str) -> None:
        self.ended, self.why = True, why
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        self._out.put_nowait(b"")

    def tell(self, **frame) -> None:
        self._out.put_nowait(json.dumps(frame).encode() + b"\n")

    def _take(self, frame) -> None:
        self.received.append(frame)
        match frame["type"]:
            case "start":
                self.tell(type="ready", python="3.11.2", hardened=self._isolation.hardened)
            case "run":
                self._task = asyncio.get_running_loop().create_task(self._run(frame))
            case "result":
                self._isolation.results.append(frame)
                self._results[frame["call"]].set_result(frame["text"])
            case "put":
                self._parts.setdefault(frame["id"], []).append(base64.b64decode(frame["data"]))
                if frame["last"]:
                    self.files[frame["name"]] = b"".join(self._parts.pop(frame["id"]))
                    self.tell(type="stored", id=frame["id"])
            case "get":
                self._send(frame)

    def _send(self, frame) -> None:
        content = self.left[frame["path"]]
        if content is None:
            code = "output_file_too_large"
            self.tell(type="failed", id=frame["id"], error_code=code, message="too large")
            return
        half = -(-len(content) // 2)  # no piece but the last is empty
        for piece, last in ((content[:half], False), (content[half:], True)):
            data = base64.b64encode(piece).decode()
            self.tell(type="data", id=frame["id"], data=data, last=last)

    async def _run(self, frame) -> None:
        number = frame["id"]
        if frame["kind"] == "edit":
            self._isolation.ran.append((self._number, frame["input"]))
            result = {"is_file_update": False} | frame["input"].get("more", {})
            self.tell(type="edited", id=number, kind="create", result=result)
            return
        script = frame["code"] if frame["kind"] == "python" else frame["command"]
        self._isolation.ran.append((self._number, script))
        printed, files = [], []
        for line in script.splitlines():
            step, _, rest = line.partition(" ")
            match step:
                case "say":
                    printed.append(rest)
                case "call":
                    name, _, arguments = rest.partition(" ")
                    printed += await self._call(number, [(name, json.loads(arguments or "{}"))])
                case "gather":
                    printed += await self._call(number, [(name, {}) for name in rest.split()])
                case "give":
                    self._told(number, [(rest.removeprefix("up "), {})])
                case "stand":
                    await self._isolation.gate.wait()
                case "hang":
                    await asyncio.Event().wait()
                case "die":
                    self.die(rest)
                    return
                case "junk":
                    self._out.put_nowait(rest.encode() + b"\n")
                case "leave" | "leave-large":
                    name, _, text = rest.partition(" ")
                    path = f"/out/{name}"
                    self.left[path] = text.encode() if step == "leave" else None
                    files.append({"path": path, "name": name, "size": len(text)})
                case "read":
                    printed.append(self.files[rest].decode())
        stdout = "".join(f"{line}\n" for line in printed)
        self.tell(
            type="done",
            id=number,
            stdout=stdout,
            stderr="",
            return_code=0,
            timed_out=False,
            files=files,
        )

    def _told(self, number, wanted):
        calls = []
        for name, arguments in wanted:
            self._calls += 1
            self._results[self._calls] = asyncio.get_running_loop().create_future()
            calls.append({"call": self._calls, "name": name, "input": arguments})
        self.tell(type="calls", id=number, calls=calls)
        return [self._results[call["call"]] for call in calls]

    async def _call(self, number, wanted):
        return await asyncio.gather(*self._told(number, wanted))


class FakeIsolation:
    name = "fake"

    def __init__(self) -> None:
        self.results = []  # frames, of all runners
        self.ran = []  # (number of the runner, script)
        self.runners = []  # that live
        self.started = 0
        self.refuses = ""  # why no runner can be had
        self.mute = False  # runners do not answer
        self.hardened = True
        self.gate = asyncio.Event()
        self.opened = self.closed = False

    async def open(self) -> None:
        self.opened = True

    async def state(self) -> IsolationState:
        if self.refuses:
            return IsolationState("unavailable", self.refuses)
        return IsolationState("ready", details={"kind": "fake"})

    async def start(self) -> FakeRunner:
        await asyncio.sleep(0)
        if self.refuses:
            raise IsolationError(self.refuses)
        self.started += 1
        self.runners.append(FakeRunner(self, self.started))
        return self.runners[-1]

    async def close(self) -> None:
        self.closed = True
        for runner in list(self.runners):
            with suppress(IsolationError):
                await runner.kill()
