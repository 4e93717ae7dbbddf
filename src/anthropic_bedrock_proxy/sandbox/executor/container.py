"""One container: its owner, its runner, and its cells, which run one at a time.

Cells run in order of arrival, in a task of the container's own: who runs a cell only waits for its
outcome, and may go away, or come again and find it. The outcome of a cell at any moment is

    its end                   if it has ended
    Waiting(its calls)        if it waits for results
    Waiting([])               if a cell before it waits for results
    none yet                  else; whoever asked waits for a change

When a runner ends under a cell, that cell has failed and the next one gets a new runner: its files
and names are lost, and the failure says so. A runner that ends between cells takes the container
with it, because there would be no failure to say so.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec

from ...bounded import Bounded
from ..base import (
    BashCell,
    Cell,
    CellOutcome,
    ContainerGoneError,
    Failed,
    FunctionResult,
    Ran,
    SandboxError,
    SandboxUnavailableError,
    Waiting,
)
from ..isolation.base import IsolationError
from .cell_queue import CellQueue, Job, QueuedBytes
from .cell_run import CellRun, CellSeconds, Ended, with_files
from .runner_link import RunnerEndedError, RunnerLink
from .spool import Spool
from .transfers import bring_in, fetch

KEPT_OUTCOMES: Final = 64
KEPT_BYTES: Final = 8 * 1024 * 1024  # of outcomes; the last one is kept whatever its size
KEPT_IDS: Final = 4096  # of cells whose outcomes are forgotten, so that none is run twice
_BEHIND: Final = Waiting([])

_log = logging.getLogger("anthropic_bedrock_proxy.sandbox")


class _KeptOutcome(msgspec.Struct, frozen=True):
    outcome: Ended
    size: int


class SharedParts(msgspec.Struct, frozen=True):
    """The surroundings that all containers share."""

    take_runner: Callable[[], Awaitable[RunnerLink]]  # raises IsolationError
    count_error: Callable[[], None]  # a runner has ended by itself
    spool: Spool
    seconds: CellSeconds
    queued: QueuedBytes = msgspec.field(default_factory=QueuedBytes)


class SandboxContainer:
    """A container. Belongs to one event loop."""

    def __init__(self, owner: str, shared: SharedParts) -> None:
        self.owner = owner
        self.touched = 0.0  # set by whoever keeps it
        self.on_idle: Callable[[], None] = lambda: None
        self._shared = shared
        self._link: RunnerLink | None = None
        self._uploads: set[str] = set()  # that lie in the workspace
        self._queue = CellQueue(shared.queued)
        self._ended: dict[str, _KeptOutcome] = {}
        self._forgotten: Bounded[str, None] = Bounded(KEPT_IDS)
        self._worker: asyncio.Task[None] | None = None
        self._change = asyncio.Event()
        self._gone: SandboxError | None = None

    @property
    def gone(self) -> bool:
        """Tells whether it has ended, with all that was in it."""
        return self._gone is not None or (
            not self._queue and self._link is not None and bool(self._link.ended)
        )

    @property
    def busy(self) -> bool:
        """Tells whether a cell of it has not ended."""
        return len(self._queue) > 0

    @property
    def waiting(self) -> list[str]:
        """Returns the ids of the cells that wait for results: one at most."""
        return [job.name for job in self._queue if job.run is not None and job.run.calls]

    @property
    def cells(self) -> list[str]:
        """Returns the ids of the cells that it knows."""
        return [*self._forgotten, *self._ended, *(job.name for job in self._queue)]

    async def run(
        self, name: str, cell: Cell, uploads: Sequence[str], beside: Sequence[str] = ()
    ) -> CellOutcome:
        """Runs a cell or joins it; see the port. Raises `SandboxError`."""
        if not self._knows(name):
            await self._abandon_others(beside)
        # Meanwhile the same cell may have come by another request, or the container may be gone.
        if not self._knows(name) and self._gone is None:
            if not self._queue.add(Job(name, cell, uploads)):
                return Failed("too_many_requests", "Too many cells wait, or too large ones.")
            if self._worker is None:
                self._worker = asyncio.get_running_loop().create_task(self._work())
        return await self._outcome(name, beside)

    async def resume(self, name: str, results: Sequence[FunctionResult]) -> CellOutcome:
        """Brings results to a cell. Raises as `run`."""
        if not self._knows(name):
            raise ContainerGoneError
        for job in self._queue:
            if job.name == name and job.run is not None:
                try:
                    await job.run.answer(results)
                except RunnerEndedError:
                    break  # the cell's own task knows, and makes an outcome of it
        return await self._outcome(name)

    async def end(self, error: SandboxError | None = None) -> None:
        """Ends it and all in it; who waits for an outcome gets `error`."""
        self._gone = self._gone or error or ContainerGoneError()
        worker, self._worker = self._worker, None
        if worker is not None and worker is not asyncio.current_task():
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)
        self._queue.clear()
        self._tell()
        link, self._link = self._link, None
        if link is not None:
            await link.end("its container was removed")

    async def _abandon_others(self, beside: Sequence[str]) -> bool:
        """Abandons the cell that waits, if it is none of these; tells whether it did."""
        for job in self._queue:
            if job.run is not None and job.run.calls and job.name not in beside:
                with contextlib.suppress(RunnerEndedError):  # its own task makes an outcome of it
                    await job.run.abandon()
                return True
        return False

    def _knows(self, name: str) -> bool:
        queued = any(job.name == name for job in self._queue)
        return queued or name in self._ended or name in self._forgotten

    async def _outcome(self, name: str, beside: Sequence[str] | None = None) -> CellOutcome:
        while True:
            if self._gone is not None:
                raise type(self._gone)(*self._gone.args)  # one for each: docs/decisions/0020
            now = self._outcome_now(name)
            change = self._change
            if now == _BEHIND and beside is not None and await self._abandon_others(beside):
                now = None  # it began to wait after this cell came, and for another conversation
            if now is not None:
                return now
            await change.wait()

    def _outcome_now(self, name: str) -> CellOutcome | None:
        if name in self._ended:
            return self._ended[name].outcome
        before = False
        for job in self._queue:
            calls = job.run.calls if job.run is not None else []
            if job.name == name:
                return Waiting(calls) if calls or before else None
            before = before or bool(calls)
        return Failed("unavailable", "The outcome of this cell is not kept any more.")

    def _tell(self) -> None:
        self._change.set()
        self._change = asyncio.Event()

    async def _work(self) -> None:
        """Runs the cells that are there, and those that come meanwhile."""
        try:
            while self._queue:
                job = self._queue.first
                outcome = await self._run(job)
                self._keep(job.name, outcome)
                self._queue.remove_first()
                self._tell()
        except IsolationError as error:
            await self.end(SandboxUnavailableError(str(error)))
        except Exception as error:  # noqa: BLE001  # who waits has to be told, whatever it was
            # A trace may quote the code, or what it wrote.
            _log.error("a container failed", extra={"error": type(error).__name__})
            await self.end(SandboxUnavailableError("The sandbox failed in an unexpected way."))
        finally:
            self._worker = None
            self.on_idle()

    async def _run(self, job: Job) -> Ended:
        """Runs one cell to its end. Raises `IsolationError` if there is no runner to be had."""
        shared = self._shared
        if self._link is None:
            self._uploads.clear()
            self._link = await shared.take_runner()
        link = self._link
        try:
            failure = await bring_in(link, shared.spool, self.owner, job.uploads, self._uploads)
            if failure is not None:
                return failure
            job.run = CellRun(link, job.cell, shared.seconds, self._tell)
            outcome, left = await job.run.run()
            if isinstance(outcome, Ran) and left:
                bash = isinstance(job.cell, BashCell)
                fetched = await fetch(link, shared.spool, self.owner, left, too_large_fails=bash)
                outcome = fetched if isinstance(fetched, Failed) else with_files(outcome, *fetched)
        except RunnerEndedError as error:
            shared.count_error()
            lost = "all files and names in it are lost"
            outcome = Failed("unavailable", f"The sandbox has ended ({error}); {lost}.")
        if isinstance(outcome, Failed) and link.ended:
            self._link = None  # the failure says so: the next cell may have a new one
        return outcome

    def _keep(self, name: str, outcome: Ended) -> None:
        size = len(msgspec.json.encode(outcome))
        self._ended[name] = _KeptOutcome(outcome, size)
        total = sum(one.size for one in self._ended.values())
        while len(self._ended) > KEPT_OUTCOMES or (total > KEPT_BYTES and len(self._ended) > 1):
            oldest = next(iter(self._ended))
            total -= self._ended.pop(oldest).size
            self._forgotten[oldest] = None
