"""The process that reads pages, as the worker sees it: started, asked, ended.

- One process for a worker, started by the first page; one page at a time. Keys take turns.
- Who has a page waiting holds its bytes, so what waits is bounded in bytes.
- A process that does not answer in time, answers nonsense or ends is ended, and the page is not
  read; the next one gets a new process. One that has nothing to do for a minute is ended, too.
- It has nothing of our environment but what Python needs to start, and it ends with us: at the end
  of its stdin, or, while it is reading, when its time is over.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final, Protocol

import msgspec

from ...errors import needs_extra
from ..base import BusyError, Fetched, UnreadableError, WrongTypeError
from ..fair_slots import FairSlots
from .frames import (
    LENGTH,
    MAX_ANSWER,
    NO_MEMORY,
    NO_PACKAGES,
    NO_TEXT,
    NO_TIME,
    ReadingAnswer,
    ReadingOrder,
    frame,
)

PROGRAM: Final = (sys.executable, "-P", "-m", f"{__package__}.worker")
MEMORY: Final = 1024 * 1024 * 1024  # bytes of address space
READ_SECONDS: Final = 8  # of CPU for one page; the kernel ends the process then
GRACE_SECONDS: Final = 4.0  # starting, and the pipes
IDLE_SECONDS: Final = 60.0
MAX_WAITING: Final = 48 * 1024 * 1024  # bytes of all pages that wait, and of the one that is read
_NAMES: Final = ("PATH", "LANG", "TMPDIR", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH")
_UNREAD: Final = "its text could not be made out"
_SLOW: Final = "it takes longer to read than a page may"
_REASONS: Final = {
    NO_TIME: _SLOW,
    NO_MEMORY: "it takes more memory to read than a page may",
    NO_PACKAGES: needs_extra("reading HTML", "web"),
}
_OVERTIME: Final = (-signal.SIGALRM, -signal.SIGXCPU)  # how a process ends that took too long


class _Cancellable(Protocol):
    def cancel(self) -> None: ...


def reader_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment of the process: none of our settings, no credentials."""
    return {name: value for name, value in environ.items() if name in _NAMES}


class PageReader:
    """Reads texts and HTML in a process of its own. Belongs to one event loop."""

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        program: Sequence[str] = PROGRAM,
        memory: int = MEMORY,
        read_seconds: int = READ_SECONDS,
        grace_seconds: float = GRACE_SECONDS,
        later: Callable[[float, Callable[[], None]], _Cancellable] | None = None,
    ) -> None:
        """`environ` is the process's; `later` calls a function after so many seconds.

        None as `later`: the running loop does.
        """
        self._environ = dict(environ)
        self._command = (*program, str(memory), str(read_seconds))
        self._seconds = 2 * read_seconds + grace_seconds
        self._later = later
        self._turns = FairSlots(1)
        self._waiting: Counter[str] = Counter()  # bytes, by key
        self._process: Process | None = None
        self._idle: _Cancellable | None = None
        self._ending: set[asyncio.Task[int]] = set()

    async def read(self, fetched: Fetched, key: str) -> ReadingAnswer:
        """Reads a page for a key: its title and its text.

        Raises `WrongTypeError` for what is no text, `BusyError` when too much waits, and
        `UnreadableError`.
        """
        size = len(fetched.body)
        # As with slots: a key may have no more than is left for others (fetch/fair_slots.py).
        waiting = self._waiting.total()
        if waiting and self._waiting[key] + size > MAX_WAITING - waiting:
            raise BusyError("too many pages are being read; try again shortly")
        self._waiting[key] += size
        try:
            async with self._turns.turn(key):
                answer = await self._read(fetched)
        finally:
            self._waiting[key] -= size
            if not self._waiting[key]:
                del self._waiting[key]
        if answer.text is not None:
            return answer
        if answer.failure == NO_TEXT:
            raise WrongTypeError("it is no text")
        raise UnreadableError(_REASONS.get(answer.failure or "", _UNREAD))

    async def close(self) -> None:
        """Ends the process."""
        self._end()
        await asyncio.gather(*self._ending)

    @property
    def pid(self) -> int | None:
        """The id of the process, if there is one."""
        return None if self._process is None else self._process.pid

    async def _read(self, fetched: Fetched) -> ReadingAnswer:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        order = ReadingOrder(fetched.media_type, fetched.charset, fetched.url)
        answer: ReadingAnswer | None = None
        try:
            async with asyncio.timeout(self._seconds):
                answer = await self._ask(msgspec.json.encode(order), fetched.body)
        except TimeoutError:
            raise UnreadableError(_SLOW) from None
        except (OSError, ValueError, msgspec.MsgspecError):
            raise UnreadableError(_UNREAD) from None
        finally:
            if answer is None or answer.last:
                self._end()
        if not answer.last:
            later = self._later or asyncio.get_running_loop().call_later
            self._idle = later(IDLE_SECONDS, self._end)
        return answer

    async def _ask(self, order: bytes, body: bytes) -> ReadingAnswer:
        process = self._process
        if process is None or process.returncode is not None:
            self._end()
            process = self._process = await self._start()
        assert process.stdin is not None  # noqa: S101  # both are pipes
        assert process.stdout is not None  # noqa: S101
        process.stdin.write(frame(order))
        process.stdin.write(frame(body))
        await process.stdin.drain()
        try:
            head = await process.stdout.readexactly(LENGTH.size)
        except asyncio.IncompleteReadError:
            status = await process.wait()
            return ReadingAnswer(failure=NO_TIME if status in _OVERTIME else None, last=True)
        size: int = LENGTH.unpack(head)[0]
        if size > MAX_ANSWER:
            raise ValueError(size)
        try:
            return msgspec.json.decode(await process.stdout.readexactly(size), type=ReadingAnswer)
        except asyncio.IncompleteReadError:
            raise ValueError(size) from None

    async def _start(self) -> Process:
        return await asyncio.create_subprocess_exec(
            *self._command,
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,  # what libraries say of a page may quote it
            env=self._environ,
            start_new_session=True,  # Ctrl-C is not for it: it ends with us
        )

    def _end(self) -> None:
        """Ends the process, if there is one, without waiting for it."""
        process, self._process = self._process, None
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.kill()
        task = asyncio.get_running_loop().create_task(_reaped(process))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


async def _reaped(process: Process) -> int:
    """Waits for the end of a process that was killed, and closes its pipes."""
    assert process.stdin is not None  # noqa: S101  # it is a pipe
    process.stdin.close()
    return await process.wait()
