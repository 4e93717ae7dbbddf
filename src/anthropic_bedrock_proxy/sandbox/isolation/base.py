"""The seam of isolation: how the executor gets a runner that cannot reach anything.

An isolation starts processes that run one fixed program (`runner_command` of bundle.py) in a place
of their own: no network, no files of the host, no environment, no more memory, processes, disk and
CPU than `RunnerLimits` say, not as root. The runner's program comes through its stdin. What the
process writes is not to be believed: the executor checks it.
"""

from __future__ import annotations

from typing import Protocol

import msgspec


class RunnerLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one sandbox: bytes, CPUs, processes and threads."""

    memory_bytes: int = 256 * 1024 * 1024
    disk_bytes: int = 64 * 1024 * 1024
    cpus: float = 1.0
    pids: int = 64


class IsolationState(msgspec.Struct, frozen=True):
    """The state of an isolation: `ready`, `preparing` (an image is on its way), `unavailable`.

    `reason` says why not, and how to mend it; `details` are for the operator, without secrets.
    """

    status: str
    reason: str = ""
    details: dict[str, str] = {}
    answers: bool = False  # what it needs is there: whoever has it means it, and mends the rest


class IsolationError(Exception):
    """A runner could not be had; the message says why, and how to mend it."""


class RunnerProcess(Protocol):
    """A runner that was started, and the ends of its stdin and stdout."""

    @property
    def workspace(self) -> str:
        """The folder, as the runner sees it, in which it may write; also its HOME."""
        ...

    async def read(self) -> bytes:
        """Returns what it has written, as it came; b"" once it has ended."""
        ...

    async def write(self, data: bytes) -> None:
        """Writes to it, waiting while it does not read. Raises `IsolationError` if it has ended."""
        ...

    async def kill(self) -> None:
        """Ends it at once with all that it has started, and removes what it leaves. Idempotent."""
        ...

    async def why_ended(self) -> str:
        """Returns in a few words why it has ended, e.g. `out of memory`; "" if nobody knows."""
        ...


class Isolation(Protocol):
    """One kind of walls."""

    name: str  # docker, sandlock

    async def open(self) -> None:
        """Gets ready, and removes what an executor of the same name has left behind.

        Raises nothing for what may be mended while it runs: `state` tells it.
        """
        ...

    async def state(self) -> IsolationState:
        """Tells whether runners can be had; asks anew each time, within a second."""
        ...

    async def start(self) -> RunnerProcess:
        """Starts one runner. Raises `IsolationError`."""
        ...

    async def close(self) -> None:
        """Removes all that it has started."""
        ...
