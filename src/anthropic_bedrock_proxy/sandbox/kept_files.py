"""The seam of files: what the Files API asks executors for. Pure.

A file belongs to one owner, as a container does. Clients upload it, and name it in a request, which
brings it into a container; or a cell leaves it in `$OUTPUT_DIR`, and clients download it.

    record = await files.upload(owner, "sales.csv", b"a,b", "text/csv")
    await files.file(owner, record.id) == record
"""

from __future__ import annotations

from typing import Protocol

from .base import FileRecord


class KeptFiles(Protocol):
    """The files of all owners. All of it raises `SandboxUnavailableError`."""

    async def upload(
        self,
        owner: str,
        filename: str,
        content: bytes,
        content_type: str,
        *,
        seconds: int | None = None,
    ) -> FileRecord:
        """Keeps a file; `seconds` may shorten the time for which it is kept.

        Raises `RefusedFileError`.
        """
        ...

    async def list_files(self, owner: str) -> list[FileRecord]:
        """Lists the files of an owner, newest first."""
        ...

    async def file(self, owner: str, name: str) -> FileRecord:
        """Returns the record of a file, by its id. Raises `UnknownFileError`."""
        ...

    async def file_content(self, owner: str, name: str) -> bytes:
        """Returns the bytes of a file. Raises `UnknownFileError`."""
        ...

    async def delete_file(self, owner: str, name: str) -> None:
        """Removes a file. Raises `UnknownFileError`."""
        ...
