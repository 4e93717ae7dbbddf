"""Commands in the supervisor: cells of bash and of the text editor, each a child of its own."""

from __future__ import annotations

import os
import time

from . import bash, processes
from .cells import TIMED_OUT, Message, RunningCell
from .link import LineLink

EDIT_SECONDS = 10.0  # for a command of the text editor
MAX_COMMAND_BYTES = 120_000  # one argument of a program may have 131 072


class BashRun(RunningCell):
    """A bash command. It ends with its shell, whatever that leaves in the background."""

    def begin(self) -> None:
        """Begins. Raises `OSError`."""
        command = self.message["command"]
        if self.message.get("restart"):
            self.surroundings.restart_bash()
        self._due: float = time.monotonic() + self.message["seconds"]
        if "\0" in command or len(command.encode("utf-8", "replace")) > MAX_COMMAND_BYTES:
            reason = f"A command has at most {MAX_COMMAND_BYTES} bytes, none of them 0."
            self.tell(self.failed("invalid_tool_input", reason))
            return
        self.output = self.files.new_output()
        environment = {**self.surroundings.environment, "OUTPUT_DIR": self.output.path}
        self._process = bash.start(command, self.surroundings.bash_pipes, environment)

    def next_deadline(self) -> float | None:
        """Returns when the command is killed."""
        return self._due

    def check_deadlines(self, now: float) -> None:
        """Kills a command that has run too long."""
        if now >= self._due:
            processes.kill_started_by(self._process)
            pipes = self.surroundings.bash_pipes
            self.tell(self.done(pipes, TIMED_OUT, self.too_long(), timed_out=True))

    def child_ended(self, child: int, code: int) -> None:
        """Ends with the shell."""
        if child == self._process:
            self.tell(self.done(self.surroundings.bash_pipes, code))


class EditRun(RunningCell):
    """A command of the text editor, in a child: no file that it meets can hold up the rest."""

    def begin(self) -> None:
        """Begins. Raises `OSError`."""
        self._due = time.monotonic() + EDIT_SECONDS
        read_end, write_end = os.pipe()
        nothing = os.open(os.devnull, os.O_RDWR)
        given, workspace = self.message["input"], self.surroundings.environment["HOME"]

        def work() -> None:
            from .edit_process import answer  # noqa: PLC0415 - compiled by whom it is for

            answer(given, workspace)

        try:
            self._process = processes.spawn(work, (write_end, nothing))
        finally:
            os.close(write_end)
        self._link = LineLink(
            self.surroundings.selector, (read_end, nothing), self._answered, self._silent
        )

    def next_deadline(self) -> float | None:
        """Returns when the command is killed."""
        return self._due

    def check_deadlines(self, now: float) -> None:
        """Kills a command that takes too long."""
        if now >= self._due:
            self._end(self.failed("execution_time_exceeded", "The command took too long."))

    def _answered(self, message: Message) -> None:
        self._end({**message, "id": self.message["id"]})

    def _silent(self, _: str) -> None:
        self._end(self.failed("unavailable", "The command has ended without a result."))

    def _end(self, message: Message) -> None:
        self._link.close()
        processes.kill_started_by(self._process)
        self.tell(message)
