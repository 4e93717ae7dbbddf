"""The executor's end of one runner: starts it, writes to it, reads from it.

Few frames, and few bytes, are read ahead: a runner that writes more than it was asked for fills its
own pipe, not our memory. One piece of work is under way at a time, a cell or the transfer of a
file; a frame with another number is a forgery. Whatever is wrong ends the runner, and `ended` says
why.

    link = await start_runner(isolation, program, bounds)
    number = link.begin()
    await link.send(RunBashFrame(number, "ls", restart=False, seconds=30))
    await link.receive(seconds=35)  -> DoneFrame(number, …)
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from ..isolation.base import Isolation, IsolationError, RunnerProcess
from .frames import (
    MAX_LINE_BYTES,
    FrameReader,
    FromRunner,
    ReadyFrame,
    RunnerLineError,
    StartFrame,
    ToRunner,
    encode_frame,
)

_READ_AHEAD: Final = 8  # frames
_READ_AHEAD_BYTES: Final = MAX_LINE_BYTES  # of their lines; one frame is taken whatever its size
_SEND_SECONDS: Final = 30.0  # a runner always reads
_END_SECONDS: Final = 10.0

_log = logging.getLogger("anthropic_bedrock_proxy.sandbox")


class RunnerBounds(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of a runner: the time of its start, and what it may say."""

    start_seconds: float = 20.0
    max_output: int = 100_000  # characters of stdout, and of stderr
    max_file: int = 10 * 1024 * 1024


class RunnerEndedError(Exception):
    """The runner has ended; the message says why, in a few words."""


class RunnerLink:
    """One runner that is ready. Belongs to one event loop."""

    def __init__(self, process: RunnerProcess) -> None:
        self._process = process
        self._reader = FrameReader()
        self._frames: deque[tuple[FromRunner, int]] = deque()  # with the bytes of their lines
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._writing = asyncio.Lock()  # the code's results come by other tasks than its cell
        self._number = 0
        self._busy = False
        self.hardened = False  # code in the sandbox cannot read the runner's memory
        self.ended = ""  # why it has; empty while it lives
        self.on_ended: Callable[[], None] = lambda: None
        self._ending: asyncio.Task[RunnerEndedError] | None = None
        self._reading = asyncio.get_running_loop().create_task(self._read())

    async def open(self, program: bytes, bounds: RunnerBounds) -> None:
        """Sends the program, and waits until it is ready. Raises `RunnerEndedError`."""
        self._busy = True
        start = StartFrame(self._process.workspace, bounds.max_output, bounds.max_file)
        line = program if program.endswith(b"\n") else program + b"\n"
        await self._write(line + encode_frame(start))
        frame = await self.receive(bounds.start_seconds)
        if not isinstance(frame, ReadyFrame):
            raise await self.end("its runner did not say that it is ready")
        self.hardened = frame.hardened
        self._busy = False

    def begin(self) -> int:
        """Returns the number of a new piece of work."""
        self._number += 1
        self._busy = True
        return self._number

    def finish(self) -> None:
        """Says that the piece of work is over: nothing more of it may come."""
        self._busy = False
        if self._frames:
            self._spawn_end("its runner wrote more than it was asked for")

    async def send(self, frame: ToRunner) -> None:
        """Writes a frame. Raises `RunnerEndedError`, `RunnerLineError` for one that is too long."""
        await self._write(encode_frame(frame))

    async def _write(self, line: bytes) -> None:
        if self.ended:
            raise RunnerEndedError(self.ended)
        try:
            async with asyncio.timeout(_SEND_SECONDS), self._writing:
                await self._process.write(line)
        except IsolationError:
            raise await self.end(await self._why()) from None
        except TimeoutError:
            raise await self.end("its runner did not read") from None

    async def receive(self, seconds: float | None) -> FromRunner:
        """Returns the next frame of the work under way; ends the runner if none comes in time.

        None waits for ever: the caller has a clock of its own. Raises `RunnerEndedError`.
        """
        try:
            async with asyncio.timeout(seconds):
                while not self._frames:
                    if self.ended:
                        raise RunnerEndedError(self.ended)
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            raise await self.end("its runner did not answer in time") from None
        self._room.set()
        return self._frames.popleft()[0]

    async def _read(self) -> None:
        """Reads until the end, which it tells."""
        try:
            while data := await self._process.read():
                frames = self._reader.feed(data)
                size = self._reader.completed // max(1, len(frames))
                for frame in frames:
                    await self._take(frame, size)
            why = await self._why()
        except RunnerLineError as error:
            why = f"its runner broke the protocol: {error}"
        except IsolationError:
            why = await self._why()
        except Exception as error:  # noqa: BLE001  # of a library, whatever it may be
            # A trace may quote what it wrote.
            _log.error("reading from a runner failed", extra={"error": type(error).__name__})
            why = "its runner could not be read"
        await self.end(why)

    async def _take(self, frame: FromRunner, size: int) -> None:
        number = 0 if isinstance(frame, ReadyFrame) else frame.id
        if not self._busy or number != self._number:
            raise RunnerLineError("a line that nobody asked for")
        while self._frames and (
            len(self._frames) >= _READ_AHEAD
            or sum(ahead for _, ahead in self._frames) + size > _READ_AHEAD_BYTES
        ):
            self._room.clear()
            await self._room.wait()
        self._frames.append((frame, size))
        self._arrived.set()

    async def _why(self) -> str:
        try:
            async with asyncio.timeout(_END_SECONDS):
                return await self._process.why_ended() or "its runner ended"
        except (IsolationError, TimeoutError):
            return "its runner ended"

    async def end(self, why: str) -> RunnerEndedError:
        """Ends the runner, whose end this is if it has not ended before; returns the error."""
        first = not self.ended
        if first:
            self.ended = why
            if self._reading is not asyncio.current_task():
                self._reading.cancel()
        self._arrived.set()
        error = RunnerEndedError(self.ended)
        if first:
            await _kill(self._process)
            self.on_ended()
        return error

    def _spawn_end(self, why: str) -> None:
        self._ending = asyncio.get_running_loop().create_task(self.end(why))


async def start_runner(isolation: Isolation, program: bytes, bounds: RunnerBounds) -> RunnerLink:
    """Starts a runner and makes it ready. Raises `IsolationError`."""
    try:
        async with asyncio.timeout(bounds.start_seconds):
            process = await isolation.start()
    except TimeoutError:
        raise IsolationError("a sandbox did not start in time") from None
    link = RunnerLink(process)
    try:
        await link.open(program, bounds)
    except RunnerEndedError as error:
        raise IsolationError(f"a sandbox did not start: {error}") from None
    except BaseException:
        await link.end("it was given up while it started")
        raise
    return link


async def _kill(process: RunnerProcess) -> None:
    """Kills a process, also where the task that wants it is cancelled meanwhile."""
    killing = asyncio.ensure_future(process.kill())
    try:
        await asyncio.shield(killing)
    except IsolationError as error:
        _log.warning("a sandbox could not be ended: %s", error)
    except asyncio.CancelledError:
        with contextlib.suppress(IsolationError):
            await killing
        raise
