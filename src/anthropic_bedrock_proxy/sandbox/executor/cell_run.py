"""One cell and its way through a runner: its calls, their results, its end.

Two clocks bound it, should the runner not keep its own. The first has `seconds` + `GRACE_SECONDS`
and stands still while calls are unanswered; a cell may wait for `call_seconds`, after which its
code goes on with a `TimeoutError`, so the first clock, or `WAIT_GRACE_SECONDS`, comes on top.

Code whose client has gone could call and wait for as long as it likes. So a cell is abandoned after
calls were given up `MAX_LAPSES` times without an answer in between; then the first clock runs on.

A call is unanswered from the runner's line until its result, or until the runner must have given it
up. Calls of names that the cell was not given are answered here, and no client hears of them.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from ..base import (
    BashCell,
    Cell,
    EditCell,
    Edited,
    Failed,
    FunctionCall,
    FunctionResult,
    OutputFile,
    PythonCell,
    Ran,
)
from .edits import is_edit
from .frames import (
    MAX_CALLS,
    CallsFrame,
    DoneFrame,
    EditedFrame,
    FailedFrame,
    FromRunner,
    LeftFile,
    ResultFrame,
    RunBashFrame,
    RunEditFrame,
    RunnerLineError,
    RunPythonFrame,
    ToldCall,
    ToRunner,
)
from .runner_link import RunnerLink

GRACE_SECONDS: Final = 5.0
WAIT_GRACE_SECONDS: Final = 30.0
EDIT_SECONDS: Final = 30.0
MAX_LAPSES: Final = 3
_MAX_CALLS_BYTES: Final = 16 * 1024 * 1024
_ERROR_CODES: Final = {
    "unavailable",
    "execution_time_exceeded",
    "invalid_tool_input",
    "too_many_requests",
    "output_file_too_large",
    "file_not_found",
}
_LONGEST_MESSAGE: Final = 2000
_UNKNOWN: Final = "Error: there is no function of this name."
_ABANDONED: Final = "Error: the conversation went on without the results of this code."

Ended = Ran | Edited | Failed


class CellSeconds(msgspec.Struct, frozen=True, kw_only=True):
    """The time that cells may take."""

    python: float = 60.0
    bash: float = 30.0
    call: float = 270.0
    grace: float = GRACE_SECONDS
    wait_grace: float = WAIT_GRACE_SECONDS


class _OpenCall(msgspec.Struct, frozen=True):
    """A call that is unanswered: the runner's number of it, and when it was told."""

    number: int
    call: FunctionCall
    told_at: float
    size: int


class CellRun:
    """A cell that runs."""

    def __init__(
        self, link: RunnerLink, cell: Cell, seconds: CellSeconds, changed: Callable[[], None]
    ) -> None:
        """`changed` is called when there are other calls to be answered than before."""
        self._link = link
        self._cell = cell
        self._seconds = seconds
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._open: dict[str, _OpenCall] = {}  # by the ids that clients know
        self._left = {PythonCell: seconds.python, BashCell: seconds.bash}.get(
            type(cell), EDIT_SECONDS
        ) + seconds.grace
        self._since = self._loop.time()
        self._bound: asyncio.Timeout | None = None
        self._number = 0
        self._abandoned = False
        self._lapses = 0  # since the last answer

    @property
    def calls(self) -> list[FunctionCall]:
        """Returns the calls that are unanswered, in the order in which they were made."""
        return [one.call for one in self._open.values()]

    async def run(self) -> tuple[Ended, list[LeftFile]]:
        """Runs the cell to its end; returns its outcome, and the files that it left.

        Raises `RunnerEndedError`, after which the sandbox has gone.
        """
        self._number = self._link.begin()
        try:
            await self._link.send(self._frame())
        except RunnerLineError as error:
            self._link.finish()
            return Failed("invalid_tool_input", f"The code cannot be sent: {error}."), []
        self._since = self._loop.time()
        try:
            async with asyncio.timeout_at(self._since + self._left) as self._bound:
                frame = await self._link.receive(None)
                while isinstance(frame, CallsFrame):
                    await self._take_calls(frame)
                    frame = await self._link.receive(None)
        except TimeoutError:
            await self._link.end("its code did not end in time")
            message = "The code did not end in time, and the sandbox was ended with all in it."
            return Failed("execution_time_exceeded", message), []
        finally:
            self._bound = None
            self._open.clear()
        self._link.finish()
        return await self._end(frame)

    async def answer(self, results: Sequence[FunctionResult]) -> None:
        """Passes results on to the code; those of calls that do not wait are ignored.

        Raises `RunnerEndedError`.
        """
        for result in results:
            call = self._open.pop(result.id, None)
            if call is None:
                continue
            self._lapses = 0
            if not self._open:
                self._go_on()
            await self._tell(call.number, result.text)
        self._changed()

    async def abandon(self) -> None:
        """Answers every call with an error, those to come too: nobody will bring results.

        Raises `RunnerEndedError`.
        """
        self._abandoned = True
        await self.answer([FunctionResult(name, _ABANDONED) for name in self._open])

    def _frame(self) -> ToRunner:
        match self._cell:
            case PythonCell(code, functions):
                names, seconds = list(functions), self._seconds
                return RunPythonFrame(self._number, code, names, seconds.python, seconds.call)
            case BashCell(command, restart):
                return RunBashFrame(self._number, command, restart, self._seconds.bash)
            case EditCell(arguments):
                return RunEditFrame(self._number, arguments)

    async def _take_calls(self, frame: CallsFrame) -> None:
        if not isinstance(self._cell, PythonCell):
            raise await self._link.end("its runner broke the protocol: calls, but no Python")
        now = self._loop.time()
        self._forget_lapsed(now)
        self._stand_still(now)
        unknown: list[ToldCall] = []
        for told in frame.calls:
            tool = self._cell.functions.get(told.name)
            if tool is None or self._abandoned:
                unknown.append(told)
                continue
            call = FunctionCall(f"toolu_{os.urandom(12).hex()}", tool, told.input)
            size = len(msgspec.json.encode(told.input))
            self._open[call.id] = _OpenCall(told.call, call, now, size)
        size = sum(one.size for one in self._open.values())
        if len(self._open) > MAX_CALLS or size > _MAX_CALLS_BYTES:
            raise await self._link.end("it made too many calls at once")
        if not self._open:
            self._go_on()
        for told in unknown:
            await self._tell(told.call, _ABANDONED if self._abandoned else _UNKNOWN)
        self._changed()

    def _forget_lapsed(self, now: float) -> None:
        """Forgets the calls that the runner has given up: it tells of new ones only."""
        longest = self._seconds.call - min(1.0, self._seconds.call / 10)
        kept = {name: one for name, one in self._open.items() if now - one.told_at < longest}
        if len(kept) < len(self._open):
            self._lapses += 1
            self._abandoned = self._abandoned or self._lapses >= MAX_LAPSES
        self._open = kept

    async def _tell(self, call: int, text: str) -> None:
        try:
            await self._link.send(ResultFrame(self._number, call, text))
        except RunnerLineError as error:
            text = f"Error: the result cannot be passed on: {error}."
            await self._link.send(ResultFrame(self._number, call, text))

    def _stand_still(self, now: float) -> None:
        """Stops the first clock, if it runs; the second one begins anew with every call."""
        if self._since:
            self._left -= now - self._since
            self._since = 0.0
        if self._bound is not None:
            longest = self._seconds.call + max(self._seconds.wait_grace, self._left)
            self._bound.reschedule(now + longest)

    def _go_on(self) -> None:
        self._since = self._loop.time()
        if self._bound is not None:
            self._bound.reschedule(self._since + self._left)

    async def _end(self, frame: FromRunner) -> tuple[Ended, list[LeftFile]]:
        match frame:
            case DoneFrame() if not isinstance(self._cell, EditCell):
                ran = Ran(frame.stdout, frame.stderr, frame.return_code, timed_out=frame.timed_out)
                return ran, frame.files
            case EditedFrame(_, kind, result) if (
                isinstance(self._cell, EditCell)
                and kind == self._cell.input.get("command")
                and is_edit(kind, result)
            ):
                return Edited(kind, result), []
            case FailedFrame():
                return failed(frame), []
            case _:
                raise await self._link.end("its runner broke the protocol: no end of this cell")


def failed(frame: FailedFrame) -> Failed:
    """Makes an outcome of a runner's `failed`, whose error code need not be one."""
    code = frame.error_code if frame.error_code in _ERROR_CODES else "unavailable"
    return Failed(code, frame.message[:_LONGEST_MESSAGE])


def with_files(ran: Ran, files: list[OutputFile], missing: list[str]) -> Ran:
    """Adds the files that were fetched to an outcome, and a line about those that were not."""
    stderr = ran.stderr
    for line in missing:
        stderr += f"{line}\n" if not stderr or stderr.endswith("\n") else f"\n{line}\n"
    return msgspec.structs.replace(ran, files=files, stderr=stderr)
