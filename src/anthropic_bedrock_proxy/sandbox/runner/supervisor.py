"""The first process of a sandbox: it talks with the executor, and starts what runs the code.

Theory of operation. One select loop, which never blocks on anything but itself: the executor's
lines, the interpreter's socket, the pipes of output, ends of children and deadlines are all events
of it. Code of the model never runs here. The executor's descriptors are moved away from 0 and 1 and
given to no child, and other processes cannot read this one's memory where the system grants that
(`hardened`); so code can forge no line. At the end of the executor's lines everything is killed.

    executor: start               -> ready
    executor: run python          fork the interpreter, if there is none; the clock runs
    interpreter: calls            -> calls; the clock stands still, each call has its deadline
    executor: result              the interpreter gets it; with the last one the clock goes on
    interpreter: end              read what its pipes hold -> done
    or the clock runs out         interrupt it, a second later kill it -> done, timed_out
"""

from __future__ import annotations

import os
import platform
import selectors
import signal
import time
from collections.abc import Iterator
from typing import Any

from . import processes
from .cells import PythonRun, RunningCell, Surroundings
from .commands import BashRun, EditRun
from .files import Files, TransferError
from .lines import BadLineError
from .link import LineLink

_ENDED, _BAD_LINES, _NO_WORKSPACE = 0, 2, 3  # exit codes

Message = dict[str, Any]


def main(begun: bytes = b"") -> None:
    """Serves the executor on stdin and stdout until it goes; `begun` was read of it already."""
    ends = _take_descriptors()
    processes.ignore_signals()
    processes.adopt_orphans()
    hardened = processes.set_dumpable(False) and not processes.is_readable()
    os._exit(Runner(ends, hardened=hardened).serve(begun))


class Runner:
    """The select loop, and the cell that runs."""

    def __init__(self, ends: tuple[int, int], *, hardened: bool) -> None:
        self._hardened = hardened
        self._selector = selectors.DefaultSelector()
        self._exit_code: int | None = None
        self._executor = LineLink(self._selector, ends, self._take, self._end)
        self._wakeup = _wakeup_of_children()
        self._selector.register(self._wakeup, selectors.EVENT_READ, self._woken)
        self._surroundings: Surroundings | None = None
        self._files: Files | None = None
        self._cell: RunningCell | None = None
        self._transfers: list[tuple[int, Iterator[Message]]] = []
        self._warm = False

    def serve(self, begun: bytes) -> int:
        """Runs until the executor goes; returns the exit code."""
        self._executor.take(begun)
        while self._exit_code is None:
            events = self._selector.select(self._timeout())
            if not events:
                self._get_warm()
            for key, _ in events:
                # An event before may have closed it.
                if self._selector.get_map().get(key.fd) is key:
                    key.data()
            self._check_deadlines()
            self._go_on_with_transfers()
        if self._surroundings is not None:
            processes.kill_others_than(None)
        return self._exit_code

    def _timeout(self) -> float | None:
        deadline = self._cell.next_deadline() if self._cell is not None else None
        if self._surroundings is not None:
            others = self._surroundings.next_deadline()
            deadline = min((one for one in (deadline, others) if one is not None), default=None)
        if (self._transfers and not self._executor.unread_bytes) or (
            self._surroundings and not self._warm
        ):
            return 0
        return None if deadline is None else max(0.0, deadline - time.monotonic())

    def _get_warm(self) -> None:
        """Imports, with nothing to do, what the first Python cell would wait for: 30 ms."""
        if self._surroundings is not None and not self._warm:
            from . import repl  # noqa: F401, PLC0415 - slow, so not before `ready`

            self._warm = True

    def _check_deadlines(self) -> None:
        now = time.monotonic()
        if self._surroundings is not None:
            self._surroundings.check_deadlines(now)
        if self._cell is not None:
            self._cell.check_deadlines(now)

    def _end(self, reason: str) -> None:
        self._exit_code = _BAD_LINES if reason else _ENDED

    def _woken(self) -> None:
        """Takes leave of children that have ended."""
        os.read(self._wakeup, 4096)
        while True:
            try:
                child, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not child:
                return
            if self._surroundings is not None:
                self._surroundings.child_ended(child, processes.return_code(status))
            if self._cell is not None:
                self._cell.child_ended(child, processes.return_code(status))

    def _take(self, message: Message) -> None:
        """Does what the executor asks. A message of no known form ends the runner."""
        try:
            kind = message["type"]
            if kind == "start":
                self._start(message)
            elif self._surroundings is None or self._files is None:
                self._executor.end("it has not started us")
            elif kind == "run":
                self._run(message, self._surroundings, self._files)
            elif kind == "result":
                self._surroundings.answer(message["call"], message["text"])
            elif kind == "put":
                self._put(message, self._files)
            elif kind == "get":
                self._transfers.append((message["id"], self._files.get(message["path"])))
            else:
                self._executor.end("it wrote what is no message")
        except TransferError as error:
            self._fail(message["id"], error.error_code, str(error))
        except (BadLineError, KeyError, TypeError, AttributeError):
            self._cell = None  # which may have begun by half
            self._executor.end("it wrote what is no message")

    def _start(self, message: Message) -> None:
        workspace = os.path.abspath(message["workspace"])  # noqa: PTH100 - pathlib is slow
        try:
            os.chdir(workspace)
            self._files = Files(workspace, message["max_file"])
        except OSError:
            self._executor.close()
            self._exit_code = _NO_WORKSPACE
            return
        self._surroundings = Surroundings(
            self._selector, processes.environment(workspace), message["max_output"]
        )
        version = platform.python_version()
        self._executor.send({"type": "ready", "python": version, "hardened": self._hardened})

    def _run(self, message: Message, surroundings: Surroundings, files: Files) -> None:
        if self._cell is not None:
            self._fail(message["id"], "unavailable", "Another cell runs.")
            return
        kinds = {"python": PythonRun, "bash": BashRun, "edit": EditRun}
        cell = kinds[message["kind"]](message, surroundings, files, self._tell)
        self._cell = cell
        try:
            cell.begin()
        except OSError as error:  # no room, no processes
            self._tell(cell.failed("unavailable", f"The cell cannot begin: {error.strerror}."))

    def _tell(self, message: Message) -> None:
        """Tells the executor something of the cell; all but calls is the end of it."""
        if message["type"] != "calls":
            self._cell = None
        self._executor.send(message)

    def _put(self, message: Message, files: Files) -> None:
        if files.put(message["id"], message["name"], message["data"], last=message["last"]):
            self._executor.send({"type": "stored", "id": message["id"]})

    def _go_on_with_transfers(self) -> None:
        """Sends the next piece of a file, once the executor has read the one before."""
        if not self._transfers or self._executor.unread_bytes:
            return
        number, pieces = self._transfers[0]
        try:
            piece = next(pieces)
        except TransferError as error:
            self._transfers.pop(0)
            self._fail(number, error.error_code, str(error))
            return
        self._executor.send({"type": "data", "id": number, **piece})
        if piece["last"]:
            self._transfers.pop(0)

    def _fail(self, number: int, error_code: str, message: str) -> None:
        self._executor.send(
            {"type": "failed", "id": number, "error_code": error_code, "message": message}
        )


def _take_descriptors() -> tuple[int, int]:
    """Moves the executor's descriptors away from 0 and 1, and puts nothing in their place."""
    ends = (os.dup(0), os.dup(1))
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    os.close(nothing)
    return ends


def _wakeup_of_children() -> int:
    """Returns a descriptor that can be read when a child has ended."""
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return read_end
