"""The isolation that the operator chose, or the best that is to be had.

`auto` is Docker where its daemon answers, else sandlock where it holds, else none: an isolation
that says how to mend it. That is decided again as long as there is none, so whoever mends it needs
to restart nothing; once one was chosen it stays, for what it has left behind is its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

import msgspec

from .base import Isolation, IsolationError, IsolationState, RunnerLimits, RunnerProcess

KINDS: Final = ("auto", "docker", "sandlock")


_log = logging.getLogger("anthropic_bedrock_proxy.sandbox")


class IsolationOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The choice of an isolation, and what its sandboxes are like.

    `name` is the executor's, for what it leaves behind to be found by. `workspace` and `image` are
    for Docker; behind sandlock's walls the folder is another. `docker_host` is the address of the
    daemon, else that of DOCKER_HOST. `command` starts the runner. Without `pull` an image that is
    missing stays so.
    """

    kind: str = "auto"
    name: str = "sandboxd"
    image: str = "python:3.11-slim"
    runtime: str | None = None
    limits: RunnerLimits = RunnerLimits()
    workspace: str = "/workspace"
    allow_degraded: bool = False
    docker_host: str | None = None
    pull: bool = True
    command: tuple[str, ...]


def make_isolation(options: IsolationOptions) -> Isolation:
    """Returns the isolation of this kind. Raises `ValueError` if there is no such kind."""
    match options.kind:
        case "docker":
            return _docker(options)
        case "sandlock":
            return _sandlock(options)
        case "auto":
            return FirstReady([_docker(options), _sandlock(options)])
        case _:
            raise ValueError(f"the isolations are {', '.join(KINDS)}")


class FirstReady:
    """The first of several isolations that is ready, or has what it needs but for a mend.

    A Docker daemon that lacks the image or the runtime is not passed over: other walls than those
    that were meant would stand, and nobody would know.
    """

    def __init__(self, isolations: Sequence[Isolation]) -> None:
        self.name = "auto"  # then that of the chosen one
        self._isolations = isolations
        self._chosen: Isolation | None = None

    async def open(self) -> None:
        """Gets all of them ready, and removes what an executor of the same name left behind."""
        await asyncio.gather(*(isolation.open() for isolation in self._isolations))
        await self.state()

    async def state(self) -> IsolationState:
        """Tells the state of the one that was chosen, else what is wrong with each."""
        if self._chosen is not None:
            return await self._chosen.state()
        states = await asyncio.gather(*(isolation.state() for isolation in self._isolations))
        for isolation, state in zip(self._isolations, states, strict=True):
            if state.status == "ready":
                self._chosen, self.name = isolation, isolation.name
                _log.info("sandboxes run behind the walls of %s", isolation.name)
            if state.status != "unavailable" or state.answers:
                return state
        names = [isolation.name for isolation in self._isolations]
        reasons = dict(zip(names, (state.reason for state in states), strict=True))
        told = " Or ".join(f"{name}: {reason}." for name, reason in reasons.items())
        return IsolationState("unavailable", f"no sandboxes here. {told}", reasons)

    async def start(self) -> RunnerProcess:
        """Starts one runner behind the walls that were chosen. Raises `IsolationError`."""
        if self._chosen is None:
            state = await self.state()
            if self._chosen is None:
                raise IsolationError(state.reason)
        return await self._chosen.start()

    async def close(self) -> None:
        """Removes all that was started."""
        await asyncio.gather(*(isolation.close() for isolation in self._isolations))


def _docker(options: IsolationOptions) -> Isolation:
    from .docker.isolation import DockerIsolation  # noqa: PLC0415  # who has sandlock needs it not

    return DockerIsolation(
        image=options.image,
        command=options.command,
        limits=options.limits,
        workspace=options.workspace,
        executor=options.name,
        runtime=options.runtime or None,
        address=options.docker_host,
        allow_degraded=options.allow_degraded,
        pull=options.pull,
    )


def _sandlock(options: IsolationOptions) -> Isolation:
    from .sandlock.isolation import SandlockIsolation  # noqa: PLC0415  # as above

    return SandlockIsolation(
        command=options.command,
        limits=options.limits,
        executor=options.name,
        allow_degraded=options.allow_degraded,
    )
