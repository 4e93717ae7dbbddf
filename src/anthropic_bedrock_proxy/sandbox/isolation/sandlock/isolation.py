"""Sandlock's walls: runners on the host's own kernel, without a daemon and without root.

    state   really starts a sandbox that tries what must not work, once; what failed is tried anew
    start   a launcher (launcher.py) with pipes; the whole of a sandbox lives and dies with it
    kill    the launcher is told to end, and does when all processes of the sandbox have

Where namespaces cannot be had, sandboxes are *degraded*: Landlock and seccomp alone keep them from
the host, whose files they can still learn the names and sizes of, memory and disk are watched
instead of limited, and users are shared. That is refused unless the operator allows it.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import msgspec

from ....errors import needs_extra
from ..base import IsolationError, IsolationState, RunnerLimits
from ..probe import ProbeError, holes, outcomes, probing
from .process import OutputPipe, SandlockRunner
from .removal import remove_tree

# The versions whose walls were tried. Another one may be degraded without a sign.
TRIED_VERSION: Final = "0.9.0"
# Beyond the users of hosts and of containers, so that each sandbox has one of its own.
_FIRST_USER: Final = 1_900_000_000
_USERS: Final = 100_000
_NOBODY: Final = 65_534
_PATH: Final = "/usr/local/bin:/usr/bin:/bin"
_LAUNCHER: Final = Path(__file__).with_stem("launcher")  # .pyc in images, which have no sources
_HIDDEN_WORKSPACE: Final = "/tmp/workspace"  # noqa: S108  # in a /tmp of the sandbox's own
_PROBE_AGAIN_SECONDS: Final = 10.0


def _installed() -> str | None:
    with suppress(PackageNotFoundError):
        return version("sandlock")
    return None


class SandlockIsolation:
    """The `Isolation` of the library sandlock. Belongs to one event loop."""

    name = "sandlock"

    def __init__(
        self,
        *,
        command: Sequence[str],
        limits: RunnerLimits,
        executor: str,
        allow_degraded: bool = False,
        now: Callable[[], float] = time.monotonic,
        installed: Callable[[], str | None] = _installed,
    ) -> None:
        """`executor` is the name that folders of degraded sandboxes are found by."""
        self._installed = installed
        self._python, self._readable = _find_python()
        self._command = [self._python if word == "python3" else word for word in command]
        self._limits = limits
        self._allow_degraded = allow_degraded
        self._now = now
        self._folder = Path(tempfile.gettempdir()) / f"sandboxes-{os.getuid()}-{executor}"
        self._numbers = itertools.count()
        self._starting: set[asyncio.Task[SandlockRunner]] = set()
        self._killing: set[asyncio.Task[None]] = set()
        self._runners: dict[SandlockRunner, Path | None] = {}
        self._state: IsolationState | None = None
        self._probed_at = 0.0
        self._probing: asyncio.Task[IsolationState] | None = None
        self._bare = False

    async def open(self) -> None:
        """Removes folders that an executor of this name has left behind; tries a sandbox."""
        await asyncio.to_thread(remove_tree, self._folder)
        await self.state()

    async def state(self) -> IsolationState:
        """Tells what a sandbox that tried forbidden things could do."""
        state = self._state
        if state is not None and (
            state.status == "ready" or self._now() - self._probed_at < _PROBE_AGAIN_SECONDS
        ):
            return state
        if self._probing is None:
            self._probing = asyncio.create_task(self._probe())
        return await asyncio.shield(self._probing)

    async def start(self) -> SandlockRunner:
        """Starts one runner. Raises `IsolationError`."""
        state = await self.state()
        if state.status != "ready":
            raise IsolationError(state.reason)
        # Never cancelled in the middle: a process would run that nobody knows.
        starting = asyncio.create_task(self._start(self._command, bare=self._bare))
        self._starting.add(starting)
        starting.add_done_callback(self._starting.discard)
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            starting.add_done_callback(self._kill_unwanted)
            raise

    def _kill_unwanted(self, started: asyncio.Task[SandlockRunner]) -> None:
        if not started.cancelled() and started.exception() is None:
            killing = asyncio.create_task(started.result().kill())
            self._killing.add(killing)
            killing.add_done_callback(self._killing.discard)

    async def close(self) -> None:
        """Ends all that it has started."""
        if self._probing is not None:
            await asyncio.wait([self._probing])
        if self._starting:
            await asyncio.wait(self._starting)
        await asyncio.gather(*(runner.kill() for runner in [*self._runners]))
        await asyncio.to_thread(remove_tree, self._folder)

    async def _probe(self) -> IsolationState:
        try:
            self._state = await self._find_out()
        except (IsolationError, OSError) as error:
            self._state = IsolationState("unavailable", f"sandlock cannot be started: {error}")
        finally:
            self._probing = None
            self._probed_at = self._now()
        return self._state

    async def _find_out(self) -> IsolationState:
        installed = self._installed()
        if installed is None:
            return IsolationState("unavailable", needs_extra("sandlock", "sandbox"))
        details = {"sandlock": installed}
        if installed != TRIED_VERSION and not self._allow_degraded:
            reason = f"sandlock {installed} was not tried: pip install sandlock=={TRIED_VERSION}"
            return IsolationState("unavailable", reason, details)
        whole = await self._try(bare=False)
        if not whole:
            self._bare = False
            return IsolationState("ready", "", details | {"walls": "whole"})
        details["walls"] = "degraded"
        details["missing"] = "; ".join(whole)
        bare = await self._try(bare=True)
        if bare:
            return IsolationState(
                "unavailable", f"the kernel does not hold sandboxes: {'; '.join(bare)}", details
            )
        if not self._allow_degraded:
            reason = (
                f"sandboxes would be degraded ({'; '.join(whole)}): allow namespaces, use Docker, "
                "or accept it with SANDBOX_ALLOW_DEGRADED=true"
            )
            return IsolationState("unavailable", reason, details)
        self._bare = True
        return IsolationState("ready", "", details)

    async def _try(self, *, bare: bool) -> list[str]:
        """Returns what a sandbox could do that it must not; why it did not start."""
        with probing() as command:
            runner = await self._start([self._python, *command[1:]], bare=bare)
            try:
                return [f"it could {hole}" for hole in holes(await outcomes(runner), bare=bare)]
            except ProbeError as error:
                return [str(error)]
            finally:
                await runner.kill()

    async def _start(self, command: Sequence[str], *, bare: bool) -> SandlockRunner:
        number = next(self._numbers)
        folder = await self._new_folder(number) if bare else None
        workspace = str(folder or _HIDDEN_WORKSPACE)
        plan = self._plan(number, command, workspace, bare=bare)
        stdout, theirs = await OutputPipe.make()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                str(_LAUNCHER),
                msgspec.json.encode(plan).decode(),
                stdin=asyncio.subprocess.PIPE,
                stdout=theirs,
                stderr=asyncio.subprocess.PIPE,
                env={},
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            stdout.transport.close()
            if folder is not None:
                await asyncio.to_thread(remove_tree, folder)
            raise IsolationError(f"a process could not be started: {error.strerror}") from error
        finally:
            os.close(theirs)
        runner = SandlockRunner(process, stdout, workspace, self._removed)
        self._runners[runner] = folder
        return runner

    def _plan(
        self, number: int, command: Sequence[str], workspace: str, *, bare: bool
    ) -> dict[str, Any]:
        limits = self._limits
        cores = sorted(os.sched_getaffinity(0))
        count = min(len(cores), math.ceil(limits.cpus))
        return {
            "bare": bare,
            "workspace": workspace,
            "uid": self._user(number),
            "disk_bytes": limits.disk_bytes,
            "memory_bytes": limits.memory_bytes,
            "pids": limits.pids,
            "cores": [cores[(number * count + index) % len(cores)] for index in range(count)],
            "percent": round(limits.cpus * 100) if limits.cpus < 1 else None,
            "command": list(command),
            "readable": self._readable,
            "path": _PATH,
            "allow_degraded": self._allow_degraded,
        }

    def _user(self, number: int) -> int:
        if os.getuid() != 0:
            return os.getuid()
        user = _FIRST_USER + number % _USERS
        for line in Path("/proc/self/uid_map").read_text().splitlines():
            first, _, count = map(int, line.split())
            if first <= user < first + count:
                return user
        return _NOBODY

    async def _new_folder(self, number: int) -> Path:
        self._folder.mkdir(mode=0o711, exist_ok=True)
        if self._folder.is_symlink() or self._folder.stat().st_uid != os.getuid():
            raise IsolationError(f"{self._folder} belongs to somebody else")
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        if os.getuid() == 0:
            user = self._user(number)
            os.chown(folder, user, user)
        return folder

    async def _removed(self, runner: SandlockRunner) -> None:
        folder = self._runners.pop(runner, None)
        if folder is not None:
            await asyncio.to_thread(remove_tree, folder)


def _find_python() -> tuple[str, list[str]]:
    """Returns the path of a Python for sandboxes, and what has to be readable for it."""
    found = shutil.which("python3", path=_PATH)
    return (found, []) if found else (sys.executable, [sys.base_prefix, sys.prefix])
