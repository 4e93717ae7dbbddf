"""The real runner as a plain process, and the executor's side of its protocol."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from anthropic_bedrock_proxy.sandbox.bundle import runner_command, runner_program

PYTHON = os.environ.get("RUNNER_PYTHON", sys.executable)  # any from 3.9 on, by hand
SECONDS = 10  # before a runner that says nothing is given up


class Inside:
    """A runner that was started, with `workspace` as its folder."""

    def __init__(self, workspace, *, start=True, **options):
        self.workspace = workspace
        self.process = subprocess.Popen(
            runner_command(PYTHON), stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        self._selector = selectors.DefaultSelector()
        self._selector.register(self.process.stdout, selectors.EVENT_READ)
        self._bytes = bytearray()
        self._last = 0
        if start:
            self.write(runner_program())
            self.send(start_message(workspace, **options))
            self.ready = self.read()

    def write(self, data):
        left = memoryview(data)
        while left:
            left = left[self.process.stdin.write(left) :]

    def send(self, message):
        self.write(json.dumps(message, ensure_ascii=False).encode() + b"\n")

    def read(self):
        """Returns the next message; None at the end."""
        while b"\n" not in self._bytes:
            assert self._selector.select(SECONDS), "the runner says nothing"
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                assert not self._bytes
                return None
            self._bytes += data
        line, _, rest = bytes(self._bytes).partition(b"\n")
        self._bytes = bytearray(rest)
        return json.loads(line)

    def run(self, kind, seconds=SECONDS, **fields):
        """Begins a cell; returns the first message of it."""
        self._last += 1
        self.send({"type": "run", "id": self._last, "kind": kind, "seconds": seconds, **fields})
        message = self.read()
        assert message is None or message["id"] == self._last
        return message

    def python(self, code, functions=(), seconds=SECONDS, call_seconds=SECONDS):
        return self.run(
            "python", seconds, code=code, functions=list(functions), call_seconds=call_seconds
        )

    def says(self, code, **options):
        """Returns what Python code writes, which must do so without an error."""
        done = self.python(code, **options)
        assert (done["type"], done["stderr"], done["return_code"]) == ("done", "", 0)
        return done["stdout"]

    def bash(self, command, seconds=SECONDS, *, restart=False):
        return self.run("bash", seconds, command=command, restart=restart)

    def edit(self, command, path, **fields):
        return self.run("edit", input={"command": command, "path": path, **fields})

    def answer(self, call, text):
        self.send({"type": "result", "id": self._last, "call": call, "text": text})

    def put(self, name, data, number=900, *, last=True):
        self.send({"type": "put", "id": number, "name": name, "data": data, "last": last})

    def get(self, path, number=901):
        self.send({"type": "get", "id": number, "path": path})

    def end(self):
        """Ends the executor's side; returns the runner's exit code."""
        self.process.stdin.close()
        return self.process.wait(SECONDS)

    def close(self):
        if not self.process.stdin.closed:
            self.process.stdin.close()
        try:
            self.process.wait(SECONDS)
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self._selector.close()


def start_message(workspace, max_output=10_000, max_file=1_000_000):
    return {
        "type": "start",
        "workspace": str(workspace),
        "max_output": max_output,
        "max_file": max_file,
    }


@contextmanager
def running(workspace, **options):
    inside = Inside(workspace, **options)
    try:
        yield inside
    finally:
        inside.close()


def is_alive(process):
    """Tells whether a process is there and no zombie."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text("utf-8")
        return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return False
