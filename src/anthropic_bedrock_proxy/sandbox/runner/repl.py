"""The interpreter of Python cells: a child process, in which the model's code runs.

Nothing here is safe from that code, and nothing of it is believed by the supervisor. Output goes to
the descriptors 1 and 2, so that of C code and of programs is seen, too. There is one namespace, and
one event loop, which runs while a cell does; tasks that a cell has left go on in the next one.

    supervisor -> {"type": "run", "cell": 1, "code": …, "functions": […], "output": folder}
    supervisor -> {"type": "result", "call", "text"} or {"type": "timeout", "call", "seconds"}
    supervisor <- {"type": "calls", "calls": [{"call", "name", "input"}]}
    supervisor <- {"type": "end", "cell": 1, "return_code": 0, "stderr": the traceback}
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import linecache
import os
import signal
import socket
import sys
import traceback
import types
from contextlib import suppress
from typing import Any

from .functions import THIS_FILE as FUNCTIONS_FILE
from .functions import Function, FunctionCalls
from .lines import LineBuffer, encode_line

INTERRUPTED = "KeyboardInterrupt: execution_time_exceeded"
_RUNNER_FILES = {FUNCTIONS_FILE, (lambda: 0).__code__.co_filename}
_MOST_TRACEBACK = 32 * 1024  # characters, as much of its beginning as of its end
_MOST_SOURCES = 64  # cells of which tracebacks can show lines
_READ_BYTES = 64 * 1024


def serve(connection: socket.socket, environment: dict[str, str]) -> None:
    """Runs cells until the supervisor ends the process. Runs in the child."""
    os.chdir(environment["HOME"])
    os.environ.clear()
    os.environ.update(environment)
    for name, descriptor in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        # By lines, so that the order is kept among the code and the programs that it starts.
        stream = open(  # noqa: SIM115 - for as long as the process lives
            descriptor,
            "w" if descriptor else "r",
            encoding="utf-8",
            errors="backslashreplace",
            buffering=1,
            closefd=False,
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.argv = [""]
    sys.path.insert(0, environment["HOME"])
    interpreter = Interpreter(connection)
    while True:
        interpreter.run_next()


class Interpreter:
    """A namespace, an event loop and the supervisor's end of a socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._process = os.getpid()
        self._buffer = LineBuffer()
        self._messages: list[dict[str, Any]] = []
        self._calls = FunctionCalls(self._write)
        self._loop = self._calls.open()
        asyncio.set_event_loop(self._loop)
        self._loop.add_reader(connection.fileno(), self._read)
        main = types.ModuleType("__main__")
        sys.modules["__main__"] = main  # which pickle and others look for
        self._names = main.__dict__
        self._given: dict[str, Function] = {}
        self._sources: list[str] = []
        self._interruptible = self._interrupted = False
        signal.signal(signal.SIGINT, self._interrupt)

    def run_next(self) -> None:
        """Waits for a cell, runs it, and tells its end."""
        while not self._messages:
            self._read()
        message = self._messages.pop()
        os.environ["OUTPUT_DIR"] = message["output"]
        self._give(message["functions"])
        return_code, shown = self._run(message["code"], f"<cell {message['cell']}>")
        if os.getpid() != self._process:
            os._exit(return_code)  # a fork of the code's own has come to the end of the cell
        for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
            with suppress(Exception):  # it is closed, or anything that the code has put there
                stream.flush()  # type: ignore[union-attr]
        if len(shown) > 2 * _MOST_TRACEBACK:
            shown = f"{shown[:_MOST_TRACEBACK]}\n[…]\n{shown[-_MOST_TRACEBACK:]}"
        shown = shown.encode("utf-8", "backslashreplace").decode()
        end = {"type": "end", "cell": message["cell"], "return_code": return_code, "stderr": shown}
        self._write(encode_line(end)[:-1])

    def _give(self, names: list[str]) -> None:
        """Puts the functions into the namespace, in place of those of the last cell."""
        for name, function in self._given.items():
            if self._names.get(name) is function:
                del self._names[name]
        self._given = self._calls.offer(names)
        self._names.update(self._given)

    def _run(self, code: str, name: str) -> tuple[int, str]:
        """Runs code; returns its return code, and the traceback if it ended by an exception."""
        try:
            # Not the mode that shows the value of an expression: the last line is often a bare
            # `await query(...)`, and showing it would bring the tool's result before the model.
            compiled = compile(
                code, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True
            )
        except Exception as error:  # noqa: BLE001 - SyntaxError, ValueError, RecursionError, …
            return 1, _shown(error, with_stack=False)
        self._remember(name, code)
        task = self._loop.create_task(self._execute(compiled))
        self._interrupted = False
        self._interruptible = True
        while not task.done():
            try:
                self._loop.run_until_complete(task)
            except KeyboardInterrupt:  # while the code waited, or in a task of an earlier cell
                task.cancel()
            except BaseException as error:  # noqa: BLE001 - SystemExit in a task of the code's
                if not task.done():
                    _complain(_shown(error))
        self._interruptible = False
        return self._told(asyncio.CancelledError() if task.cancelled() else task.result())

    async def _execute(self, compiled: types.CodeType) -> BaseException | None:
        """Runs code in the loop; returns what it has raised."""
        try:
            value = eval(compiled, self._names)  # noqa: S307 - what a sandbox is for
            if compiled.co_flags & inspect.CO_COROUTINE:
                await value
        except BaseException as error:  # noqa: BLE001 - whatever it is, the cell ends with it
            return error
        return None

    def _told(self, error: BaseException | None) -> tuple[int, str]:
        if self._interrupted and isinstance(error, (KeyboardInterrupt, asyncio.CancelledError)):
            return 1, _shown(error, last=INTERRUPTED)
        if isinstance(error, SystemExit):
            if error.code is None or isinstance(error.code, int):
                return int(error.code or 0) & 0xFF, ""
            return 1, f"{error.code}\n"
        return (0, "") if error is None else (1, _shown(error))

    def _remember(self, name: str, code: str) -> None:
        """Keeps the lines of a cell for tracebacks."""
        linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
        self._sources.append(name)
        if len(self._sources) > _MOST_SOURCES:
            linecache.cache.pop(self._sources.pop(0), None)

    def _interrupt(self, *_: object) -> None:
        """Interrupts the code, once in a cell, and never what is around it."""
        if self._interruptible:
            self._interruptible = False
            self._interrupted = True
            raise KeyboardInterrupt

    def _read(self) -> None:
        """Reads what the supervisor has written: results at once, a cell for later."""
        data = self._connection.recv(_READ_BYTES)
        if not data:
            os._exit(0)
        for message in self._buffer.feed(data):
            if message["type"] == "run":
                self._messages.append(message)
            elif message["type"] == "result":
                self._calls.answer(message["call"], message["text"])
            else:
                self._calls.give_up(message["call"], message["seconds"])

    def _write(self, line: bytes) -> None:
        if os.getpid() != self._process:
            raise RuntimeError("tools can be called only by the process that runs this code")
        self._connection.sendall(line + b"\n")


def _complain(text: str) -> None:
    with suppress(OSError):  # the code has closed it
        os.write(2, text.encode("utf-8", "backslashreplace"))


def _shown(error: BaseException, *, with_stack: bool = True, last: str = "") -> str:
    """Returns a traceback without the runner's own frames; `last` in place of its last line."""
    stack = error.__traceback__ if with_stack else None
    told = traceback.TracebackException(type(error), error, stack)
    _clean(told, set())
    lines = list(told.format())
    return "".join([*lines[:-1], f"{last}\n"] if last else lines)


def _clean(told: traceback.TracebackException, seen: set[int]) -> None:
    """Takes the runner's frames out of a traceback and out of those of its causes."""
    if id(told) in seen:
        return
    seen.add(id(told))
    told.stack[:] = [frame for frame in told.stack if frame.filename not in _RUNNER_FILES]
    causes = [told.__cause__, told.__context__, *(getattr(told, "exceptions", None) or ())]
    for cause in causes:
        if cause is not None:
            _clean(cause, seen)
