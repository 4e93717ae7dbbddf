"""One runner behind sandlock's walls, and the launcher that holds them."""

from __future__ import annotations

import asyncio
import os
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import msgspec

from ..base import IsolationError

_READ_BYTES: Final = 65_536
_WRITE_BYTES: Final = 65_536
_REPORT_BYTES: Final = 4096
_KILL_SECONDS: Final = 5.0
_END_SECONDS: Final = 5.0
_KILLED: Final = 2  # sandlock's number for an end by SIGKILL, whoever sent it


class OutputPipe:
    """The end of a pipe that a runner writes to.

    Not one that the child was given by asyncio: which tells nobody of the end of a child until
    its output has been read.
    """

    def __init__(self, reader: asyncio.StreamReader, transport: asyncio.ReadTransport) -> None:
        self.reader = reader
        self.transport = transport

    @classmethod
    async def make(cls) -> tuple[OutputPipe, int]:
        """Returns it with the descriptor of the other end."""
        loop = asyncio.get_running_loop()
        ours, theirs = os.pipe2(os.O_CLOEXEC)
        reader = asyncio.StreamReader(_READ_BYTES)
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(ours, "rb", 0)
        )
        return cls(reader, transport), theirs


class SandlockRunner:
    """The `RunnerProcess` of a launcher."""

    def __init__(
        self,
        process: Process,
        stdout: OutputPipe,
        workspace: str,
        removed: Callable[[SandlockRunner], Awaitable[None]],
    ) -> None:
        """`removed` is called once all processes have ended."""
        self.workspace = workspace
        self._process = process
        self._stdout = stdout
        self._removed = removed
        self._killed: asyncio.Task[None] | None = None
        self._report: bytes | None = None

    async def read(self) -> bytes:
        """Returns what it has written, as it came; b"" once it has ended."""
        try:
            return await self._stdout.reader.read(_READ_BYTES)
        except OSError:
            return b""

    async def write(self, data: bytes) -> None:
        """Writes to it, waiting while it does not read. Raises `IsolationError` if it has ended."""
        stdin = self._process.stdin
        assert stdin is not None  # noqa: S101  # as above
        view = memoryview(data)
        try:
            for start in range(0, len(view), _WRITE_BYTES):
                if self._killed is not None:
                    raise IsolationError("the sandbox has ended")
                stdin.write(view[start : start + _WRITE_BYTES])
                await stdin.drain()
        except (OSError, RuntimeError) as error:
            raise IsolationError("the sandbox has ended") from error

    async def kill(self) -> None:
        """Ends it at once with all that it has started. Idempotent."""
        if self._killed is None:
            self._killed = asyncio.ensure_future(self._kill())
        await asyncio.shield(self._killed)

    async def _kill(self) -> None:
        process = self._process
        with suppress(ProcessLookupError):
            process.terminate()  # it kills all, waits for them, and ends
        await self._read_report()
        try:
            async with asyncio.timeout(_KILL_SECONDS):
                await process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
                await process.wait()
        if process.stdin is not None:
            process.stdin.close()
        self._stdout.transport.close()
        await self._removed(self)

    async def why_ended(self) -> str:
        """Returns in a few words why it has ended; "" if nobody knows."""
        await self._read_report()
        try:
            report: dict[str, Any] = msgspec.json.decode(self._report or b"{}")
        except msgspec.DecodeError:
            return ""
        if "failed" in report:
            return f"not started: {report['failed']}"
        if report.get("over") == "disk":
            return "out of disk space"
        if report.get("over") == "memory":
            return "out of memory"
        if report.get("reason") == _KILLED:
            return "killed, or out of memory"  # by sandlock then; the kernel tells it no difference
        if report.get("code", 0) < 0:
            return "ended by a signal"
        return f"exit code {report['code']}" if "code" in report else ""

    async def _read_report(self) -> None:
        stderr = self._process.stderr
        assert stderr is not None  # noqa: S101  # as above
        if self._report is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_END_SECONDS):
                    self._report = await stderr.read(_REPORT_BYTES)
