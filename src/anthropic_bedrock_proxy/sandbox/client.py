"""The proxy's side of executors: the port `Sandbox` over their HTTP API, and their files.

Every id says whose it is: four hex digits after `container_` or `file_` are the mark of an
executor's URL, so any proxy with the same SANDBOX_URL finds it. To the executor itself a container
has the whole id, a file the rest of it:

    container_ 3f2a 0123456789abcdef0123       file_ 3f2a 0123456789abcdef01234567
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Sequence
from random import choice
from typing import Final
from urllib.parse import quote

import msgspec

from .base import (
    Cell,
    CellAddress,
    CellReply,
    ContainerGoneError,
    ContainerState,
    FileRecord,
    FunctionResult,
    Ran,
    RefusedFileError,
    SandboxUnavailableError,
    UnknownFileError,
)
from .connection import ExecutorConnection
from .wire import (
    COPY_PREFIX,
    LONGEST_CELL_SECONDS,
    MAX_BODY_BYTES,
    ExecutorState,
    FileList,
    ResumeBody,
    RunBody,
    is_id,
)

FILE_SECONDS: Final = 60.0
LIST_SECONDS: Final = 5.0
FILE_BYTES: Final = 1 << 30  # the most that STANDALONE_MAX_FILE_SIZE may be
# The longest cell that the settings allow, and half of that for cells before it, for files and for
# the start of a sandbox. What takes longer runs on, and whoever asks again joins it.
CELL_SECONDS: Final = 1.5 * LONGEST_CELL_SECONDS
_BATCH_BYTES: Final = MAX_BODY_BYTES // 2  # of JSON, which may take six times what a text does
_CONTAINER: Final = re.compile(r"container_([0-9a-f]{4})[0-9a-f]{20}")
_FILE: Final = re.compile(r"file_([0-9a-f]{4})([0-9a-f]{24})")


class SandboxClient:
    """All executors of an installation. Implements `Sandbox`; belongs to one event loop."""

    def __init__(
        self, executors: Sequence[ExecutorConnection], *, cell_seconds: float = CELL_SECONDS
    ) -> None:
        """`cell_seconds` is how long a cell may keep the proxy waiting, those before it too."""
        self._executors = {one.address.mark: one for one in executors}
        self._cell_seconds = cell_seconds

    # The port `Sandbox`

    def new_container(self, file: str | None = None) -> str:
        """Returns the id of a container that does not exist yet, of an executor that is ready.

        Of these, the one that keeps `file`.
        """
        known = {mark: one.known for mark, one in self._executors.items()}
        ready = [mark for mark, state in known.items() if state and state.status == "ready"]
        match = _FILE.fullmatch(file or "")
        if match is not None and match[1] in ready:
            ready = [match[1]]
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
        files = [await self._brought(file, at) for file in uploads]
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

    async def upload(
        self,
        owner: str,
        filename: str,
        content: bytes,
        content_type: str,
        *,
        seconds: int | None = None,
    ) -> FileRecord:
        """Gives a file to an executor, for uploads; `seconds` may shorten the time of its life.

        Raises `RefusedFileError`, `SandboxUnavailableError`, for a name that cannot be one too.
        """
        ready = [one for one, state in await self._answered() if state.status == "ready"]
        executor = choice(ready or list(self._executors.values()))  # noqa: S311  # spreads load
        return await self._send_file(
            executor, owner, filename, content, content_type, seconds=seconds
        )

    async def list_files(self, owner: str) -> list[FileRecord]:
        """Lists the files of an owner, newest first, of those executors that answer.

        One that does not has its files left out: what it kept is gone, if it does not come back.
        Raises `SandboxUnavailableError` if none answers.
        """
        listed = await asyncio.gather(
            *(self._listed(one, owner) for one in self._executors.values()), return_exceptions=True
        )
        found: list[FileRecord] = []
        failures: list[BaseException] = []
        for one in listed:
            if isinstance(one, SandboxUnavailableError):
                failures.append(one)
            elif isinstance(one, BaseException):
                raise one
            else:
                found += one
        if len(failures) == len(listed):
            raise failures[0]
        return sorted(found, key=lambda record: record.created_at, reverse=True)

    async def file(self, owner: str, name: str) -> FileRecord:
        """Returns the record of a file. Raises `UnknownFileError`, `SandboxUnavailableError`."""
        executor, path = self._file(name)
        try:
            record = await executor.read(FileRecord, "GET", path, owner=owner)
        except ContainerGoneError:
            raise UnknownFileError from None
        return _marked(executor, record)

    async def file_content(self, owner: str, name: str) -> bytes:
        """Returns the bytes of a file. Raises as `file`."""
        executor, path = self._file(name)
        try:
            return await executor.call(
                "GET", f"{path}/content", owner=owner, seconds=FILE_SECONDS, limit=FILE_BYTES
            )
        except ContainerGoneError:
            raise UnknownFileError from None

    async def delete_file(self, owner: str, name: str) -> None:
        """Removes a file. Raises as `file`."""
        executor, path = self._file(name)
        try:
            await executor.call("DELETE", path, owner=owner)
        except ContainerGoneError:
            raise UnknownFileError from None

    async def _listed(self, executor: ExecutorConnection, owner: str) -> list[FileRecord]:
        listed = await executor.read(FileList, "GET", "/files", owner=owner, seconds=LIST_SECONDS)
        return [_marked(executor, record) for record in listed.files]

    async def _answered(self) -> list[tuple[ExecutorConnection, ExecutorState]]:
        """Returns the states that are known once one is ready: a slow executor holds up nobody."""
        asked = {asyncio.ensure_future(one.state()): one for one in self._executors.values()}
        waiting, states = set(asked), list[tuple[ExecutorConnection, ExecutorState]]()
        try:
            while waiting:
                _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                states = [(asked[one], one.result()) for one in asked if one.done()]
                if any(state.status == "ready" for _, state in states):
                    break
        finally:
            for one in waiting:
                one.cancel()  # it only waits: the question itself goes on
        if len(self._executors) > 1:  # any that is known as ready may be chosen now
            await asyncio.gather(*(one.confirm() for one in self._executors.values()))
            states = [(one, one.known) for one in self._executors.values() if one.known]
        return states

    async def _cell(self, at: CellAddress, suffix: str, body: bytes) -> CellReply:
        executor = self._executor(at.container)
        if not is_id(at.cell):
            raise ContainerGoneError
        path = f"/containers/{at.container}/cells/{at.cell}{suffix}"
        try:
            reply = await executor.read(CellReply, "POST", path, body, seconds=self._cell_seconds)
        except RefusedFileError as error:  # of the body, not of a file
            raise SandboxUnavailableError(f"The cell is too large: {error}") from error
        if isinstance(reply.outcome, Ran) and reply.outcome.files:
            files = [
                msgspec.structs.replace(file, id=_marked_id(executor, file.id))
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

    def _file(self, name: str) -> tuple[ExecutorConnection, str]:
        match = _FILE.fullmatch(name)
        executor = self._executors.get(match[1]) if match else None
        if match is None or executor is None:
            raise UnknownFileError
        return executor, f"/files/file_{match[2]}"

    async def _brought(self, name: str, at: CellAddress) -> str:
        """Returns a file's id at the executor of a container, to which it is copied if need be.

        What is no file's id stays: the executor says that there is none.
        """
        match = _FILE.fullmatch(name)
        if match is None or match[1] not in self._executors:
            return "unknown"
        there = self._executor(at.container)
        if self._executors[match[1]] is there:
            return f"file_{match[2]}"
        # Asked each time: the copy may have lapsed, or its executor have been started anew.
        copy = f"{COPY_PREFIX}{match[1]}{match[2]}"
        try:
            await there.read(FileRecord, "GET", f"/files/{copy}", owner=at.owner)
        except ContainerGoneError:  # nobody has brought it yet
            pass
        else:
            return copy
        try:
            record = await self.file(at.owner, name)
            content = await self.file_content(at.owner, name)
        except UnknownFileError:
            return "unknown"
        await self._send_file(
            there, at.owner, record.filename, content, record.mime_type, copy=copy
        )
        return copy

    async def _send_file(
        self,
        executor: ExecutorConnection,
        owner: str,
        filename: str,
        content: bytes,
        content_type: str,
        *,
        seconds: int | None = None,
        copy: str = "",
    ) -> FileRecord:
        path = f"/files?name={quote(filename, safe='')}"
        if seconds is not None:
            path += f"&seconds={seconds}"
        if copy:
            path += f"&copy={copy}"
        record = await executor.read(
            FileRecord,
            "POST",
            path,
            content,
            owner=owner,
            content_type=content_type,
            seconds=FILE_SECONDS,
            repeat=False,
        )
        return _marked(executor, record)


def _marked_id(executor: ExecutorConnection, name: str) -> str:
    return name.replace("file_", f"file_{executor.address.mark}", 1)


def _marked(executor: ExecutorConnection, record: FileRecord) -> FileRecord:
    return msgspec.structs.replace(record, id=_marked_id(executor, record.id))
