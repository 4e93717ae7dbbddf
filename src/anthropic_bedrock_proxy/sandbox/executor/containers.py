"""All containers of an executor: whose they are, how many, and until when.

A container lives until it was idle for a while. Where there are as many as there may be, of one
owner or in all, the one that was idle for longest goes early; if none is idle, the cell fails.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from hmac import compare_digest
from time import time

import msgspec

from ..base import (
    Cell,
    CellAddress,
    CellOutcome,
    CellReply,
    ContainerGoneError,
    ContainerState,
    Failed,
    FunctionResult,
    SandboxUnavailableError,
)
from .container import SandboxContainer, SharedParts

_log = logging.getLogger("anthropic_bedrock_proxy.sandbox")


class ContainerBounds(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of the containers: their number, and the time for which one may be idle."""

    total: int = 100
    per_owner: int = 20
    idle_seconds: float = 300.0


class ContainerCounts(msgspec.Struct, frozen=True):
    """The number of containers, and of cells that run or wait for results."""

    containers: int
    running: int
    waiting: int


class Containers:
    """The containers by id. Belongs to one event loop."""

    def __init__(
        self,
        shared: SharedParts,
        bounds: ContainerBounds | None = None,
        *,
        now: Callable[[], float] = time,
    ) -> None:
        """`now` tells the time of day: clients see when a container expires."""
        self._shared = shared
        self._bounds = bounds or ContainerBounds()
        self._now = now
        self._by_id: dict[str, SandboxContainer] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = False

    async def run(
        self,
        at: CellAddress,
        cell: Cell,
        *,
        create: bool,
        uploads: Sequence[str] = (),
        beside: Sequence[str] = (),
    ) -> CellReply:
        """Runs a cell or joins it; see the port `Sandbox`.

        Raises `ContainerGoneError`, `SandboxUnavailableError`.
        """
        try:
            container = self._find(at.container, at.owner)
        except ContainerGoneError:
            if not create:
                raise
            made = await self._make(at)
            if made is None:
                limit = Failed("too_many_requests", "As many containers run as may run at once.")
                return CellReply(self._now() + self._bounds.idle_seconds, limit)
            container = made
        return self._reply(container, await container.run(at.cell, cell, uploads, beside))

    async def resume(self, at: CellAddress, results: Sequence[FunctionResult]) -> CellReply:
        """Brings results to a cell; raises as `run`."""
        container = self._find(at.container, at.owner)
        return self._reply(container, await container.resume(at.cell, results))

    def look(self, name: str, owner: str) -> ContainerState:
        """Returns the state of a container. Raises `ContainerGoneError`."""
        container = self._find(name, owner)
        return ContainerState(self._expires_at(container), container.cells)

    async def remove(self, name: str, owner: str) -> None:
        """Ends a container. Raises `ContainerGoneError`."""
        self._find(name, owner)
        await self._by_id.pop(name).end()

    def sweep(self) -> None:
        """Ends the containers whose time is over, or whose runner has ended."""
        for name, container in list(self._by_id.items()):
            if container.gone or (
                not container.busy and self._now() >= self._expires_at(container)
            ):
                self._drop(name)

    def counts(self) -> ContainerCounts:
        """Counts containers and cells."""
        waiting = sum(bool(one.waiting) for one in self._by_id.values())
        busy = sum(one.busy for one in self._by_id.values())
        return ContainerCounts(len(self._by_id), busy - waiting, waiting)

    async def close(self) -> None:
        """Ends all containers; whoever waits for a cell is told."""
        self._closed = True
        error = SandboxUnavailableError("The executor is being stopped.")
        await asyncio.gather(
            *(one.end(error) for one in self._by_id.values()),
            *self._ending,
            return_exceptions=True,
        )
        self._by_id.clear()

    def _find(self, name: str, owner: str) -> SandboxContainer:
        self.sweep()
        container = self._by_id.get(name)
        if container is None or not compare_digest(container.owner.encode(), owner.encode()):
            raise ContainerGoneError
        container.touched = self._now()
        return container

    async def _make(self, at: CellAddress) -> SandboxContainer | None:
        """Makes a container if there is none of this id; None where that is not allowed.

        Raises `ContainerGoneError` if there is one of another owner.
        """
        while at.container not in self._by_id:
            if self._closed:
                raise SandboxUnavailableError("The executor is being stopped.")
            mine = [name for name, one in self._by_id.items() if one.owner == at.owner]
            if len(mine) >= self._bounds.per_owner:
                candidates = mine
            elif len(self._by_id) >= self._bounds.total:
                candidates = list(self._by_id)
            else:
                self._by_id[at.container] = self._new(at.owner)
                break
            idle = [name for name in candidates if not self._by_id[name].busy]
            if not idle:
                return None
            await self._drop(min(idle, key=lambda name: self._by_id[name].touched))
        return self._find(at.container, at.owner)

    def _new(self, owner: str) -> SandboxContainer:
        def touch() -> None:
            container.touched = self._now()

        container = SandboxContainer(owner, self._shared)
        container.on_idle = touch
        touch()
        return container

    def _drop(self, name: str) -> asyncio.Future[None]:
        """Ends a container, also if nobody waits for it."""
        task = asyncio.get_running_loop().create_task(self._by_id.pop(name).end())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        return asyncio.shield(task)

    def _reply(self, container: SandboxContainer, outcome: CellOutcome) -> CellReply:
        return CellReply(self._expires_at(container), outcome)

    def _expires_at(self, container: SandboxContainer) -> float:
        """Returns until when it lives at least, if nothing more happens."""
        seconds = self._bounds.idle_seconds
        if container.waiting:  # it may wait for as long, and be idle afterwards
            seconds = max(seconds, self._shared.seconds.call)
        return container.touched + seconds
