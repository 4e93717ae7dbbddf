"""The process that starts the child, sees to it that there is one, and logs what it reports."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec

from .meeting import Meeting
from .pace import Pace

_PROGRAM: Final = f"{__package__}.child"
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
_LIVES_SECONDS: Final = 60.0  # a child that lived for so long is started again at once
_END_SECONDS: Final = 1.0
_LONGEST_REPORT: Final = 64 * 1024

logger = logging.getLogger("anthropic_bedrock_proxy.aws")


class _Report(msgspec.Struct):
    event: str
    name: str
    reason: str = ""


class Host:
    """Runs the child for as long as `run` runs."""

    def __init__(
        self,
        meeting: Meeting,
        environ: Mapping[str, str],
        pace: Pace,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._meeting = meeting
        self._environ = environ
        self._pace = pace
        self._sleep = sleep
        self._failing: dict[str, str] = {}  # name of an identity -> reason; outlives a child

    async def run(self) -> None:
        """Starts the child, and another one when it has ended; until cancelled."""
        loop = asyncio.get_running_loop()
        pause = _FIRST_PAUSE
        while True:
            began = loop.time()
            try:
                how = f"ended with status {await self._run_child()}"
            except (OSError, ValueError) as error:  # ValueError: a NUL in the environment
                how = f"cannot be started: {getattr(error, 'strerror', None) or error}"
            lived = loop.time() - began
            pause = _FIRST_PAUSE if lived > _LIVES_SECONDS else min(pause * 2, _LONGEST_PAUSE)
            logger.error(
                "the process that looks up AWS credentials %s; keys at hand stay in use, another "
                "starts in %g s",
                how,
                pause,
            )
            await self._sleep(pause)

    async def _run_child(self) -> int:
        """Runs one child to its end. Raises `OSError`."""
        control = self._meeting.theirs.fileno()
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # nothing in the working directory is a module of ours
            "-m",
            _PROGRAM,
            str(control),
            msgspec.json.encode(self._pace).decode(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,  # tracebacks, which may quote what was read
            pass_fds=(control,),
            env=self._environ,
            start_new_session=True,  # Ctrl-C is not for it; and it may end all that it has started
            limit=_LONGEST_REPORT,
        )
        try:
            assert child.stdout is not None  # noqa: S101  # it is a pipe
            async for line in child.stdout:
                self._log(line)
            return await child.wait()
        finally:
            await _end(child)

    def _log(self, line: bytes) -> None:
        """Logs the news of a report: an outage's beginning, another reason for it, its end."""
        try:
            report = msgspec.json.decode(line, type=_Report)
        except (msgspec.MsgspecError, ValueError):
            return  # a credential_process that shares stdout: none of ours
        before = self._failing.pop(report.name, None)
        if report.event == "failed":
            self._failing[report.name] = report.reason
            if report.reason != before:
                logger.error("no AWS credentials from %s: %s", report.name, report.reason)
        elif report.event == "found" and before is not None:
            logger.info("AWS credentials from %s can be had again", report.name)


async def _end(child: asyncio.subprocess.Process) -> None:
    """Ends the child and what it has started."""
    assert child.stdin is not None  # noqa: S101  # it is a pipe
    child.stdin.close()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_END_SECONDS):
            await child.wait()
    # The last of its group has gone, or belongs to somebody else (sudo).
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    await child.wait()
