"""The proxy's side of executors: the port `Sandbox` over their HTTP API, and their files.

Every id says whose it is: four hex digits after `container_` or `file_` are the mark of an
executor's URL, so any proxy with the same SANDBOX_URL finds it. To the executor itself a container
has the whole id, a file the rest of it:

    container_ 3f2a 0123456789abcdef0123       file_ 3f2a 0123456789abcdef01234567
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from random import choice
from time import monotonic
from typing import Final

import msgspec

from ..timeline import CellCall, current_run
from .base import (
    Cell,
    CellAddress,
    CellReply,
    ContainerGoneError,
    ContainerState,
    FunctionResult,
    Ran,
    RefusedFileError,
    SandboxUnavailableError,
)
from .connection import ExecutorConnection
from .files_client import FilesClient, home_of, marked_id
from .wire import (
    LONGEST_CELL_SECONDS,
    MAX_BODY_BYTES,
    ExecutorState,
    ResumeBody,
    RunBody,
    is_id,
)

# The longest cell that the settings allow, and half of that for cells before it, for files and for
# the start of a sandbox. What takes longer runs on, and whoever asks again joins it.
CELL_SECONDS: Final = 1.5 * LONGEST_CELL_SECONDS
_BATCH_BYTES: Final = MAX_BODY_BYTES // 2  # of JSON, which may take six times what a text does
_CONTAINER: Final = re.compile(r"container_([0-9a-f]{4})[0-9a-f]{20}")


class SandboxClient(FilesClient):
    """All executors of an installation. Implements `Sandbox`; belongs to one event loop."""

    def __init__(
        self, executors: Sequence[ExecutorConnection], *, cell_seconds: float = CELL_SECONDS
    ) -> None:
        """`cell_seconds` is how long a cell may keep the proxy waiting, those before it too."""
        super().__init__(executors)
        self._cell_seconds = cell_seconds

    # The port `Sandbox`

    def new_container(self, file: str | None = None) -> str:
        """Returns the id of a container that does not exist yet, of an executor that is ready.

        Of these, the one that keeps `file`.
        """
        known = {mark: one.known for mark, one in self._executors.items()}
        ready = [mark for mark, state in known.items() if state and state.status == "ready"]
        home = home_of(file or "")
        if home in ready:
            ready = [home]
        return f"container_{choice(ready or list(known))}{os.urandom(10).hex()}"  # noqa: S311  # spreads load

    async def look(self, container: str, owner: str) -> ContainerState:
        """Returns the state of a container; see the port."""
        executor = self._executor(container)
        return await executor.read(ContainerState, "GET", f"/containers/{container}", owner=owner)

    async def check(self) -> None:
        """Raises `SandboxUnavailableError` if no executor could start a container now."""
        states = [state for _, state in await self._answered()]
        if not any(state.status == "ready" for state in states):
            reasons = dict.fromkeys(state.reason for state in states if state.reason)
            soon = any(state.status == "preparing" for state in states)
            raise SandboxUnavailableError(
                " ".join(reasons) or "No sandbox is ready yet.", soon=soon
            )

    async def run(
        self,
        at: CellAddress,
        cell: Cell,
        *,
        create: bool,
        uploads: Sequence[str] = (),
        beside: Sequence[str] = (),
    ) -> CellReply:
        """Runs a cell or joins it; see the port."""
        there = self._executor(at.container)
        files = [await self.brought(file, at.owner, there) for file in uploads]
        body = RunBody(at.owner, cell, create, files, list(beside))
        return await self._cell(at, "", msgspec.json.encode(body))

    async def resume(self, at: CellAddress, results: Sequence[FunctionResult]) -> CellReply:
        """Brings results to a waiting cell; see the port.

        Many large ones go in several calls: until the last of them the cell still waits.
        """
        batch: list[FunctionResult] = []
        size = 0
        for result in results:
            length = len(msgspec.json.encode(result))
            if length > _BATCH_BYTES:
                text = "Error: the result is too large to be passed on."
                result = FunctionResult(result.id, text)  # noqa: PLW2901  # in its place
                length = len(msgspec.json.encode(result))
            size += length
            if size > _BATCH_BYTES and batch:
                await self._cell(at, "/results", msgspec.json.encode(ResumeBody(at.owner, batch)))
                batch, size = [], length
            batch.append(result)
        return await self._cell(at, "/results", msgspec.json.encode(ResumeBody(at.owner, batch)))

    async def close(self) -> None:
        """Lets go of connections; containers live on."""
        for executor in self._executors.values():
            await executor.close()

    # Beside the port

    async def remove(self, container: str, owner: str) -> None:
        """Ends a container. Raises `ContainerGoneError`, `SandboxUnavailableError`."""
        executor = self._executor(container)
        await executor.call("DELETE", f"/containers/{container}", owner=owner)

    def states(self) -> dict[str, ExecutorState | None]:
        """Returns at once what is known of each executor, by URL; asks anew in the background."""
        for executor in self._executors.values():
            if executor.is_stale():
                executor.refresh()
        return {one.address.url: one.known for one in self._executors.values()}

    async def _cell(self, at: CellAddress, suffix: str, body: bytes) -> CellReply:
        executor = self._executor(at.container)
        if not is_id(at.cell):
            raise ContainerGoneError
        path = f"/containers/{at.container}/cells/{at.cell}{suffix}"
        noted = _note(at.cell)
        try:
            reply = await executor.read(CellReply, "POST", path, body, seconds=self._cell_seconds)
        except RefusedFileError as error:  # of the body, not of a file
            noted.failed = True
            raise SandboxUnavailableError(f"The cell is too large: {error}") from error
        except BaseException:
            noted.failed = True
            raise
        finally:
            noted.ended = monotonic()
        if isinstance(reply.outcome, Ran) and reply.outcome.files:
            files = [
                msgspec.structs.replace(file, id=marked_id(executor, file.id))
                for file in reply.outcome.files
            ]
            outcome = msgspec.structs.replace(reply.outcome, files=files)
            return msgspec.structs.replace(reply, outcome=outcome)
        return reply

    def _executor(self, container: str) -> ExecutorConnection:
        match = _CONTAINER.fullmatch(container)
        executor = self._executors.get(match[1]) if match else None
        if executor is None:
            raise ContainerGoneError
        return executor


def _note(cell: str) -> CellCall:
    """Notes a call for a cell, in the run of a tool that makes it."""
    noted = CellCall(cell, monotonic())
    run = current_run.get()
    if run is not None:
        if run.span_id:
            noted.span_id = os.urandom(8).hex()
        run.cells.append(noted)
    return noted
