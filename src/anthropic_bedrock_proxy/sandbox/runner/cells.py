"""Cells in the supervisor, and what outlives them: how a Python cell begins, waits and ends."""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable
from typing import Any

from . import processes
from .clock import CodeClock
from .files import Files, OutputFolder
from .outputs import OutputPipes
from .repl_process import ReplProcess

GRACE_SECONDS = 1.0  # for interrupted code to end
EXIT_SECONDS = 0.5  # for an interpreter without a socket to end by itself
TIMED_OUT = 124  # the return code, as that of timeout(1)
KILLED = 137
_LOST = "the interpreter has ended; its variables are lost."

Message = dict[str, Any]


class Surroundings:
    """All that outlives cells: the interpreter, what bash has left running, and pipes of output."""

    def __init__(
        self, selector: selectors.BaseSelector, environment: dict[str, str], max_output: int
    ) -> None:
        self.selector = selector
        self.environment = environment
        self.max_output = max_output
        self.repl: ReplProcess | None = None
        self.repl_pipes = OutputPipes(selector, max_output)
        self.bash_pipes = OutputPipes(selector, max_output)
        self.cells = 0
        self.python: PythonRun | None = None

    def open_repl(self) -> ReplProcess:
        """Returns the interpreter, a new one if there is none."""
        if self.repl is None:
            self.repl = ReplProcess(
                self.selector, self.repl_pipes, self.environment, self._repl_told, self._repl_silent
            )
        return self.repl

    def answer(self, call: int, text: str) -> None:
        """Passes a result on to the interpreter."""
        if not isinstance(call, int) or not isinstance(text, str):
            raise TypeError("a call is a number, its result is text")
        if self.repl is not None:
            self.repl.answer(call, text)
            self._set_clock()

    def next_deadline(self) -> float | None:
        """Returns when a call is given up; calls of tasks that outlive their cell, too."""
        return None if self.repl is None else self.repl.next_deadline()

    def check_deadlines(self, now: float) -> None:
        """Gives up calls whose time is over."""
        if self.repl is not None:
            self.repl.give_up(now)
            self._set_clock()

    def child_ended(self, child: int, code: int) -> None:
        """Takes note that a child has ended: of the interpreter, its cell ends with it."""
        if self.repl is not None and self.repl.process == child:
            self.drop_repl()
            if self.python is not None:
                self.python.interpreter_ended(code)

    def drop_repl(self) -> None:
        """Ends the interpreter and all that it has started."""
        if self.repl is not None:
            self.repl.close()
            self.repl.kill()
            self.repl = None

    def restart_bash(self) -> None:
        """Ends what commands have left running, and what they have written since."""
        processes.kill_others_than(None if self.repl is None else self.repl.process)
        self.bash_pipes.close()
        self.bash_pipes = OutputPipes(self.selector, self.max_output)

    def _set_clock(self) -> None:
        if self.python is not None and self.repl is not None and not self.repl.waits():
            self.python.clock.go_on(time.monotonic())

    def _repl_told(self, message: Message) -> None:
        if self.python is None:
            self._repl_silent("it wrote without a cell")
        else:
            self.python.interpreter_told(message)

    def _repl_silent(self, reason: str) -> None:
        if reason or self.python is None:
            self.drop_repl()
        if self.python is not None:
            self.python.interpreter_silent(reason)


class RunningCell:
    """One piece of work, whose end is told once."""

    def __init__(
        self,
        message: Message,
        surroundings: Surroundings,
        files: Files,
        tell: Callable[[Message], None],
    ) -> None:
        self.message = message
        self.surroundings = surroundings
        self.files = files
        self.tell = tell
        self.output: OutputFolder | None = None

    def begin(self) -> None:
        """Begins. Raises `OSError`."""
        raise NotImplementedError

    def next_deadline(self) -> float | None:
        """Returns when `check_deadlines` has something to do."""
        raise NotImplementedError

    def check_deadlines(self, now: float) -> None:
        """Ends what has run out of time."""
        raise NotImplementedError

    def child_ended(self, child: int, code: int) -> None:
        """Takes note that a child has ended."""

    def failed(self, error_code: str, message: str) -> Message:
        """Returns the end of a cell that came to nothing."""
        if self.output is not None:
            self.output.close()
            self.output = None
        number = self.message["id"]
        return {"type": "failed", "id": number, "error_code": error_code, "message": message}

    def done(
        self, pipes: OutputPipes, code: int, remark: str = "", *, timed_out: bool = False
    ) -> Message:
        """Returns the end of a cell that has run."""
        files, left_out = self.files.close_output(self.output) if self.output else ([], "")
        if left_out:
            remark += ("" if remark.endswith("\n") or not remark else "\n") + left_out
        stdout, stderr = pipes.take(remark)
        return {
            "type": "done",
            "id": self.message["id"],
            "stdout": stdout,
            "stderr": stderr,
            "return_code": TIMED_OUT if timed_out else code,
            "timed_out": timed_out,
            "files": files,
        }

    def too_long(self) -> str:
        """Returns the line that says that the code took too long."""
        return f"detection_timeout: the code ran longer than {self.message['seconds']:g} s\n"


class PythonRun(RunningCell):
    """A Python cell. It ends when the interpreter says so, or ends."""

    def begin(self) -> None:
        """Begins. Raises `OSError`."""
        self.clock = CodeClock(self.message["seconds"], time.monotonic())
        self._forced: float | None = None  # when the interpreter is killed
        self._timed_out = False
        self._reason = ""
        self.output = self.files.new_output()
        repl = self.surroundings.open_repl()
        self.surroundings.cells += 1
        self.surroundings.python = self
        repl.run(self.surroundings.cells, self.message, self.output.path)

    def next_deadline(self) -> float | None:
        """Returns when the code is interrupted, or killed."""
        return self.clock.deadline() if self._forced is None else self._forced

    def check_deadlines(self, now: float) -> None:
        """Interrupts code that has run too long, and kills it a second later."""
        due = self.next_deadline()
        if due is None or due > now:
            return
        if self._forced is None and self.surroundings.repl is not None:
            self._timed_out = True
            self._forced = now + GRACE_SECONDS
            self.surroundings.repl.interrupt()
        else:
            self._reason = "it has closed its descriptors"  # or runs on: then it is not told
            self.surroundings.drop_repl()
            self.interpreter_ended(KILLED)

    def interpreter_told(self, message: Message) -> None:
        """Takes calls, or the end."""
        if message["type"] == "end":
            remark = message["stderr"]
            if self._timed_out:
                remark += ("" if remark.endswith("\n") or not remark else "\n") + self.too_long()
            self._finish(message["return_code"], remark)
            return
        now = time.monotonic()
        repl = self.surroundings.repl
        if repl is not None:
            repl.tell([call["call"] for call in message["calls"]], now)
        self.clock.stop(now)
        self.tell({"type": "calls", "id": self.message["id"], "calls": message["calls"]})

    def interpreter_silent(self, reason: str) -> None:
        """Takes note that the interpreter says nothing more, and has to end."""
        if reason:
            self._reason = reason
            self.interpreter_ended(KILLED)
        elif self._forced is None:
            self._forced = time.monotonic() + EXIT_SECONDS

    def interpreter_ended(self, code: int) -> None:
        """Ends the cell, because its interpreter has ended."""
        if self._timed_out:
            remark = self.too_long() + f"It did not stop, so {_LOST}\n"
        elif code == KILLED and self._reason:
            remark = f"The interpreter was ended, because {self._reason}: {_LOST}\n"
        else:
            remark = f"The code has ended the interpreter (return code {code}): {_LOST}\n"
        self._finish(code, remark)

    def _finish(self, code: int, remark: str) -> None:
        self.surroundings.python = None
        pipes = self.surroundings.repl_pipes
        self.tell(self.done(pipes, code, remark, timed_out=self._timed_out))
