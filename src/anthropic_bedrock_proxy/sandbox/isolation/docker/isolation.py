"""Docker's walls: runners in containers of a daemon, which may come and go.

    open    removes the containers of an executor of the same name, and asks for the image
    state   asks the daemon and for the image: `preparing` while that is being pulled
    start   create, attach, start: attached before the start, so no byte is missed
    kill    removes; what a daemon that is away cannot remove is removed when it is back

Each request to the daemon has a connection of its own: one that was left open would be found dead
after the daemon's restart. The connection of an attached container is its runner's input; when the
executor dies it closes, so the runner ends and with it the container. What is left of that is an
empty container, which the next `open` removes, by whichever executor.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from ....errors import needs_extra
from ..base import IsolationError, IsolationState, RunnerLimits
from .config import container_config
from .connection import DockerConnection, connect
from .image import SandboxImage
from .leftovers import REMOVE_SECONDS, Leftovers
from .process import DockerRunner, abort

if TYPE_CHECKING:
    from aiodocker import Docker

_log = logging.getLogger(__name__)

_STATE_SECONDS: Final = 0.8
# A daemon that starts and removes many containers answers late, and is well: for so long after an
# answer, one that is missing means nothing.
_BELIEVED_SECONDS: Final = 3.0
_START_SECONDS: Final = 30.0
_SWEEP_SECONDS: Final = 30.0
_MISSES: Final = 20  # looks for a container that may come yet
_AWAY: Final = 900  # what the library calls a daemon that cannot be reached


class DockerIsolation:
    """The `Isolation` of a Docker daemon. Belongs to one event loop."""

    name = "docker"

    def __init__(
        self,
        *,
        image: str,
        command: Sequence[str],
        limits: RunnerLimits,
        workspace: str,
        executor: str,
        runtime: str | None = None,
        address: str | None = None,
        allow_degraded: bool = False,
        pull: bool = True,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`executor` is the name that containers are found by; `address` that of the daemon."""
        self._image = SandboxImage(image, self._docker, now, pull=pull)
        self._command = tuple(command)
        self._limits = limits
        self._workspace = workspace
        self._executor = executor
        self._runtime = runtime
        self._address = address
        self._allow_degraded = allow_degraded
        self._connection: DockerConnection | None = None
        self._runners: dict[str, DockerRunner] = {}
        self._starting: set[asyncio.Task[DockerRunner]] = set()
        self._aside: set[asyncio.Task[None]] = set()
        self._now = now
        self._answer: tuple[float, IsolationState] | None = None  # the last, and when it was given
        self._boot = secrets.token_hex(8)
        self._leftovers = Leftovers(self._docker, executor, self._boot)

    async def open(self) -> None:
        """Removes what an executor of this name has left behind; begins to pull a missing image."""
        with suppress(Exception):  # `state` tells it, and tries anew
            async with asyncio.timeout(_SWEEP_SECONDS):
                await self._leftovers.sweep(self._docker())
        await self.state()

    async def state(self) -> IsolationState:
        """Asks the daemon whether it is there, and has the image and the runtime."""
        asked_at = self._now()
        try:
            async with asyncio.timeout(_STATE_SECONDS):
                docker = self._docker()
                info = await docker.system.info()
                image = await self._image.inspect(docker)
        except Exception as error:  # noqa: BLE001  # a library's, of any kind: all mean the same
            if isinstance(error, TimeoutError) and self._answer is not None:
                answered_at, state = self._answer
                if asked_at - answered_at < _BELIEVED_SECONDS:
                    return state
            return IsolationState("unavailable", self._why_away(error))
        self._run_aside(self._remove_leftovers(docker))
        state = self._judge(info, image)
        self._answer = asked_at, state
        return state

    def _judge(self, info: Mapping[str, Any], image: Mapping[str, Any] | None) -> IsolationState:
        """Returns the state of a daemon that has answered."""
        details = _details(info)
        if self._runtime and self._runtime not in info.get("Runtimes", {}):
            reason = f"Docker has no runtime {self._runtime}: install it, or unset SANDBOX_RUNTIME"
            return IsolationState("unavailable", reason, details, answers=True)
        if (weak := _weak_points(info)) and not self._allow_degraded:
            reason = (
                f"the Docker daemon cannot enforce {', '.join(weak)}: mend that, or accept it with "
                "SANDBOX_ALLOW_DEGRADED=true"
            )
            return IsolationState("unavailable", reason, details, answers=True)
        if image is None:
            return self._image.state_without(details)
        return IsolationState("ready", "", details | {"image": self._image.name})

    async def start(self) -> DockerRunner:
        """Starts one runner. Raises `IsolationError`."""
        # Never cancelled in the middle: the daemon would go on, and nobody would know.
        starting = asyncio.create_task(self._start_in_time())
        self._starting.add(starting)
        starting.add_done_callback(self._starting.discard)
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            starting.add_done_callback(self._kill_unwanted)
            raise

    async def close(self) -> None:
        """Removes all that it has started."""
        await self._image.close()
        if self._starting:
            await asyncio.wait(self._starting)
        await asyncio.gather(*(runner.kill() for runner in [*self._runners.values()]))
        if self._aside:
            await asyncio.wait(self._aside)
        if self._connection is not None:
            await self._remove_leftovers(self._connection.client)
            await self._connection.close()
            self._connection = None

    async def _start_in_time(self) -> DockerRunner:
        try:
            async with asyncio.timeout(_START_SECONDS):
                docker = self._docker()
                if not self._leftovers.swept:
                    await self._leftovers.sweep(docker)
                await self._leftovers.remove_all(docker)
                return await self._start(docker)
        except IsolationError:
            raise
        except Exception as error:
            raise IsolationError(self._why_away(error)) from error

    def _kill_unwanted(self, started: asyncio.Task[DockerRunner]) -> None:
        if not started.cancelled() and started.exception() is None:
            self._run_aside(started.result().kill())

    async def _remove_leftovers(self, docker: Docker) -> None:
        with suppress(Exception):  # they are leftovers then
            async with asyncio.timeout(REMOVE_SECONDS):
                await self._leftovers.remove_all(docker)

    def _run_aside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._aside.add(task)
        task.add_done_callback(self._aside.discard)

    def _docker(self) -> Docker:
        if self._connection is None:
            self._connection = connect(self._address)
        return self._connection.client

    async def _start(self, docker: Docker) -> DockerRunner:
        image = await self._image.inspect(docker)
        if image is None:
            raise IsolationError(self._image.state_without({}).reason)
        config = container_config(
            image=self._image.name,
            command=self._command,
            limits=self._limits,
            workspace=self._workspace,
            name=self._executor,
            boot=self._boot,
            runtime=self._runtime,
            volumes=(image.get("Config") or {}).get("Volumes") or (),
        )
        from aiodocker import DockerError  # noqa: PLC0415  # an extra

        # Named here, so that a container can be removed whose making we did not see end.
        name = f"sandbox-{secrets.token_hex(12)}"
        stream = None
        try:
            container = await docker.containers.create(config, name=name)
            stream = container.attach(stdin=True, stdout=True)
            await stream.__aenter__()  # it lives as long as the runner
            await container.start()
        except BaseException as error:
            if stream is not None:
                with suppress(Exception):
                    abort(stream)
                    await stream.close()
            # It may yet be made by a daemon that is slow to answer.
            misses = 1 if isinstance(error, DockerError) else _MISSES
            await asyncio.shield(asyncio.ensure_future(self._remove(name, misses)))
            raise
        runner = DockerRunner(container, stream, self._workspace, self._remove)
        self._runners[runner.id] = runner
        return runner

    async def _remove(self, name: str, misses: int = 1) -> None:
        self._runners.pop(name, None)
        await self._leftovers.remove(name, misses)

    def _why_away(self, error: Exception) -> str:
        """Says what is wrong with the daemon, in words that are fit for clients."""
        if isinstance(error, ImportError):
            return needs_extra("Docker", "sandbox")
        if isinstance(error, TimeoutError):
            return "the Docker daemon does not answer in time: look at its log, or restart it"
        status = getattr(error, "status", _AWAY)
        if isinstance(error, OSError | ValueError | AssertionError) or status == _AWAY:
            return (
                "the Docker daemon cannot be reached: start it, or set DOCKER_HOST to its address"
            )
        _log.warning("The Docker daemon refused a sandbox: %s", error)
        return f"the Docker daemon refused (status {status}): the executor's log says why"


def _weak_points(info: Mapping[str, Any]) -> list[str]:
    """Lists the walls that this daemon has not."""
    there = {
        "memory limits": info.get("MemoryLimit"),
        "process limits": info.get("PidsLimit"),
        "CPU limits": info.get("CpuCfsQuota") or info.get("CPUCfsQuota"),
        "seccomp": any("name=seccomp" in option for option in info.get("SecurityOptions") or []),
    }
    return [name for name, has_it in there.items() if not has_it]


def _details(info: Mapping[str, Any]) -> dict[str, str]:
    options = info.get("SecurityOptions") or []
    return {
        "docker": str(info.get("ServerVersion", "")),
        "cgroup": str(info.get("CgroupVersion", "")),
        "userns": "yes" if any("name=userns" in option for option in options) else "no",
        "rootless": "yes" if any("name=rootless" in option for option in options) else "no",
    }
