"""The files of executors, as the proxy reaches them: the seam `KeptFiles`.

A file lies at one executor, whose mark its id has (client.py). A container of another one gets a
copy, under an id made of the file's.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from random import choice
from typing import Final
from urllib.parse import quote

import msgspec

from .base import ContainerGoneError, FileRecord, SandboxUnavailableError, UnknownFileError
from .connection import ExecutorConnection
from .wire import COPY_PREFIX, ExecutorState, FileList

FILE_SECONDS: Final = 60.0
LIST_SECONDS: Final = 5.0
FILE_BYTES: Final = 1 << 30  # the most that STANDALONE_MAX_FILE_SIZE may be
_FILE: Final = re.compile(r"file_([0-9a-f]{4})([0-9a-f]{24})")


class FilesClient:
    """The files of all executors. Implements `KeptFiles`; belongs to one event loop."""

    def __init__(self, executors: Sequence[ExecutorConnection]) -> None:
        self._executors = {one.address.mark: one for one in executors}

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
            *(self._listed(one, owner) for one in self._executors.values())
        )
        found = [one for one in listed if not isinstance(one, str)]
        if not found:
            raise SandboxUnavailableError("".join(map(str, listed[:1])))
        records = [record for records in found for record in records]
        return sorted(records, key=lambda record: record.created_at, reverse=True)

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

    async def brought(self, name: str, owner: str, there: ExecutorConnection) -> str:
        """Returns a file's id at an executor, to which it is copied if need be.

        What is no file's id stays: the executor says that there is none.
        """
        match = _FILE.fullmatch(name)
        if match is None or match[1] not in self._executors:
            return "unknown"
        if self._executors[match[1]] is there:
            return f"file_{match[2]}"
        # Asked each time: the copy may have lapsed, or its executor have been started anew.
        copy = f"{COPY_PREFIX}{match[1]}{match[2]}"
        try:
            await there.read(FileRecord, "GET", f"/files/{copy}", owner=owner)
        except ContainerGoneError:  # nobody has brought it yet
            pass
        else:
            return copy
        try:
            record = await self.file(owner, name)
            content = await self.file_content(owner, name)
        except UnknownFileError:
            return "unknown"
        await self._send_file(there, owner, record.filename, content, record.mime_type, copy=copy)
        return copy

    # For the client of cells

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

    async def _listed(self, executor: ExecutorConnection, owner: str) -> list[FileRecord] | str:
        """Lists the files of one executor; or says why it does not answer."""
        try:
            listed = await executor.read(
                FileList, "GET", "/files", owner=owner, seconds=LIST_SECONDS
            )
        except SandboxUnavailableError as error:
            return str(error)
        return [_marked(executor, record) for record in listed.files]

    def _file(self, name: str) -> tuple[ExecutorConnection, str]:
        match = _FILE.fullmatch(name)
        executor = self._executors.get(match[1]) if match else None
        if match is None or executor is None:
            raise UnknownFileError
        return executor, f"/files/file_{match[2]}"

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


def marked_id(executor: ExecutorConnection, name: str) -> str:
    """Returns the id of a file as clients know it."""
    return name.replace("file_", f"file_{executor.address.mark}", 1)


def _marked(executor: ExecutorConnection, record: FileRecord) -> FileRecord:
    return msgspec.structs.replace(record, id=marked_id(executor, record.id))


def home_of(name: str) -> str:
    """Returns the mark of the executor that keeps a file; empty for what is no file's id."""
    match = _FILE.fullmatch(name)
    return match[1] if match else ""
