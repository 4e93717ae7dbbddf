"""An executor of the proxy's own, for installations that name none.

Made once, before workers are forked: a folder for a socket and a lock, and a pipe. Nothing runs
until a worker needs a sandbox and finds nobody at the socket; it then starts `sandboxd`:

- Several may start one at the same time: the executor that gets the lock stays, others end. Who
  finds the lock taken starts none, but waits until somebody listens or the lock is free.
- The pipe's writing end is in every process of `serve`, and in nothing that they start. When the
  last of them has gone, even by kill -9, the executor reads the end, removes its containers, ends.
- An executor that fails is started again by the worker that had started it, so that what it has
  left behind is removed at once; should that worker have gone as well, by the next need.

The executor has no AWS credentials: `executor_environ` says what it is told.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from ..aws.connect import unix_connector
from ..aws.http import AWSConnection, ConnectError, Connector
from ..errors import needs_extra
from .address import ExecutorAddress

PROGRAM: Final = (sys.executable, "-P", "-m", __package__.partition(".")[0], "sandboxd")
MISSING_PACKAGES: Final = 3  # the exit status of `sandboxd` without them
START_SECONDS: Final = 10.0
END_SECONDS: Final = 20.0  # as long as the executor takes at most
LIVES_SECONDS: Final = 60.0  # an executor that lived for so long is started again at once
_POLL_SECONDS: Final = 0.02
_LONGEST_PAUSE: Final = 60.0
_PREFIXES: Final = ("PTC_", "STANDALONE_", "SANDBOX_", "DOCKER_", "XDG_", "LC_")
_NAMES: Final = {"PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH", "LOG_LEVEL", "LOG_FORMAT"}
_NOT: Final = {"SANDBOX_URL", "SANDBOX_TOKEN"}  # it has a socket that nobody else can open

_log = logging.getLogger("anthropic_bedrock_proxy.sandbox")


def executor_environ(environ: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment of the executor: what it needs of ours, and the settings' texts."""
    kept = {
        name: value
        for name, value in environ.items()
        if name.upper().startswith(_PREFIXES) or name in _NAMES
    }
    return {
        name: value for name, value in (kept | {**settings}).items() if name.upper() not in _NOT
    }


class OwnExecutor:
    """The executor of one `serve`. Made before the fork; each worker has its copy."""

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        program: Sequence[str] = PROGRAM,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`environ` is the executor's; `program` takes the options of `sandboxd`."""
        self._maker = os.getpid()
        self._folder = Path(tempfile.mkdtemp(prefix="sandboxd-"))  # 0700
        self._ours, self._held = os.pipe()  # its end, and the one that says that we live
        self._environ = dict(environ)
        self._program = tuple(program)
        self._sleep = sleep
        self.address = ExecutorAddress.from_url(f"unix://{self._folder / 'executor.sock'}")
        self._direct = unix_connector(str(self._folder / "executor.sock"))
        self._starting: asyncio.Task[None] | None = None
        self._watching: set[asyncio.Task[None]] = set()
        self._spawned: set[asyncio.subprocess.Process] = set()  # by this process, and not ended
        self._pause = 0.0  # before the next one that replaces a failed one
        self._closed = False

    @property
    def connect(self) -> Connector:
        """Returns a function that connects to the executor, and starts it if nobody has."""
        return self._connect

    @property
    def started(self) -> bool:
        """Tells whether one has been started, by whichever worker, and has not ended."""
        return Path(self.address.path or "").is_socket()

    async def close(self) -> None:
        """Ends what this worker does about it; the executor goes with the last of the workers."""
        self._closed = True
        tasks = [*self._watching, *([self._starting] if self._starting else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def release(self) -> None:
        """Says that this process needs it no more.

        Where it was made, this waits until the executor has removed its containers: once the first
        process of a container has ended, nobody else may go on. Then the folder is removed.
        """
        os.close(self._held)
        os.close(self._ours)
        if os.getpid() == self._maker:
            deadline = time.monotonic() + END_SECONDS
            while not self._is_free() and time.monotonic() < deadline:
                time.sleep(_POLL_SECONDS)
            for process in self._spawned:
                _reap(process)
            shutil.rmtree(self._folder, ignore_errors=True)

    async def _connect(self, factory: Callable[[], AWSConnection]) -> AWSConnection:
        try:
            return await self._direct(factory)
        except ConnectError:
            await self._started()
            return await self._direct(factory)

    async def _started(self) -> None:
        """Waits for an executor that listens, which it starts. Raises `ConnectError`."""
        if self._closed:
            raise ConnectError("the proxy is being stopped")
        if self._starting is None:
            self._starting = asyncio.get_running_loop().create_task(self._start())
        await asyncio.shield(self._starting)

    async def _start(self) -> None:
        try:
            async with asyncio.timeout(START_SECONDS):
                while not await self._listens() and not (
                    self._is_free() and await self._start_one()
                ):
                    await self._sleep(_POLL_SECONDS)
        except TimeoutError:
            seconds = f"{START_SECONDS:g} s"
            raise ConnectError(f"the executor did not listen within {seconds}") from None
        finally:
            self._starting = None

    def _is_free(self) -> bool:
        """Tells whether no executor has the lock: one that has it listens soon, or ends."""
        with (self._folder / "lock").open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True

    async def _start_one(self) -> bool:
        """Starts an executor and waits until one listens; False if it ended, the lock taken."""
        process = await self._spawn()
        self._spawned.add(process)
        try:
            while not await self._listens():
                if process.returncode is not None:
                    return await self._another_listens(process.returncode)
                await self._sleep(_POLL_SECONDS)
        except BaseException:
            if process.returncode is None:
                process.kill()
            raise
        task = asyncio.get_running_loop().create_task(self._watch(process))
        self._watching.add(task)
        task.add_done_callback(self._watching.discard)
        return True

    async def _another_listens(self, status: int) -> bool:
        if status == MISSING_PACKAGES:
            raise ConnectError(needs_extra("the executor", "sandbox"))
        if status:
            raise ConnectError(f"the executor ended with status {status}: see its log")
        return await self._listens()

    async def _listens(self) -> bool:
        try:
            _, writer = await asyncio.open_unix_connection(self.address.path)
        except OSError:
            return False
        writer.close()
        return True

    async def _spawn(self) -> asyncio.subprocess.Process:
        options = ("--listen", self.address.url, "--lock", str(self._folder / "lock"))
        try:
            return await asyncio.create_subprocess_exec(
                *self._program,
                *options,
                "--parent",
                str(self._ours),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                pass_fds=(self._ours,),
                env=self._environ,
                cwd=self._folder,  # where no .env is
                start_new_session=True,  # Ctrl-C is not for it: it ends with us
            )
        except (OSError, ValueError) as error:  # ValueError: a NUL in the environment
            raise ConnectError(f"the executor cannot be started: {error}") from error

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        """Starts another executor when this one has failed."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        status = await process.wait()
        self._spawned.discard(process)
        if not status or self._closed:  # it was told to end, or there is one already
            return
        _log.error("the sandbox executor ended with status %s; another one is started", status)
        if loop.time() - began >= LIVES_SECONDS:
            self._pause = 0.0
        await self._sleep(self._pause)
        self._pause = min(self._pause * 2 or 1.0, _LONGEST_PAUSE)
        try:
            await self._started()
        except ConnectError as error:
            _log.error("no sandbox executor: %s", error)  # the reason is all there is


def _reap(process: asyncio.subprocess.Process) -> None:
    """Waits for a process whose loop does not any more; uvloop has let go of its own."""
    transport = process._transport  # type: ignore[attr-defined]  # noqa: SLF001  # asyncio has no other way
    child = transport.get_extra_info("subprocess")
    if child is not None:
        with suppress(subprocess.TimeoutExpired):
            child.wait(END_SECONDS)
        transport.close()
