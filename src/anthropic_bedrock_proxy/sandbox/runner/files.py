"""Files out of a sandbox and into it, past whatever the code has laid in the way.

The supervisor opens by descriptors of folders and follows no symbolic link: one to /proc/self would
lead to the supervisor's own, which code cannot reach. All else that a link could lead to, the code
can read as well.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

MAX_FILES = 20  # that one cell may leave
PIECE_BYTES = 1024 * 1024
_MOST_ENTRIES = 10_000  # of a folder are looked at
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
# A fifo would block, a terminal would become ours.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW

Message = dict[str, Any]


class TransferError(Exception):
    """A file that cannot be given or taken: an error code and a message."""

    def __init__(self, error_code: str, message: str) -> None:
        super().__init__(message)
        self.error_code = error_code


class OutputFolder:
    """An `$OUTPUT_DIR`: empty, new, under a name that nobody could have taken before."""

    def __init__(self, workspace: int, path: str) -> None:
        self._workspace = workspace
        self.name = f".output-{os.urandom(6).hex()}"
        self.path = f"{path}/{self.name}"
        os.mkdir(self.name, mode=0o700, dir_fd=workspace)
        self._folder = os.open(self.name, _FOLDER, dir_fd=workspace)

    def close(self) -> tuple[list[Message], str]:
        """Returns the files that were left at its top, and a line if there are more than may be.

        The folder goes if there are none.
        """
        found = []
        try:
            with os.scandir(self._folder) as entries:
                for entry, _ in zip(entries, range(_MOST_ENTRIES)):  # noqa: B905 - Python 3.9
                    about = os.stat(entry.name, dir_fd=self._folder, follow_symlinks=False)
                    if stat.S_ISREG(about.st_mode) and _is_text(entry.name):
                        found.append((entry.name, about.st_size))
        except OSError:
            pass  # it changes while it is read: something in the background
        finally:
            os.close(self._folder)
        if not found:
            self._remove()
        files: list[Message] = [
            {"path": f"{self.name}/{name}", "name": name, "size": size}
            for name, size in sorted(found)[:MAX_FILES]
        ]
        left_out = len(found) - len(files)
        return (
            files,
            f"Only {MAX_FILES} files were taken, {left_out} left out.\n" if left_out else "",
        )

    def clear(self) -> None:
        """Removes it with the files at its top; a folder within stays, and this one around it."""
        with suppress(OSError):  # it is something else now, or changes meanwhile
            folder = os.open(self.name, _FOLDER, dir_fd=self._workspace)
            try:
                with os.scandir(folder) as entries:
                    for entry, _ in zip(entries, range(_MOST_ENTRIES)):  # noqa: B905 - Python 3.9
                        if not entry.is_dir(follow_symlinks=False):
                            os.unlink(entry.name, dir_fd=folder)
            finally:
                os.close(folder)
        self._remove()

    def _remove(self) -> None:
        with suppress(OSError):  # something else is in it, or it is gone already
            os.rmdir(self.name, dir_fd=self._workspace)


class Files:
    """The workspace, as the executor reaches into it."""

    def __init__(self, workspace: str, max_file: int) -> None:
        self._path = workspace
        self._max_file = max_file
        self.folder = os.open(workspace, os.O_RDONLY | os.O_DIRECTORY)
        self._output: OutputFolder | None = None  # that of the last cell
        self._listed: set[str] = set()
        self._upload: Upload | None = None

    def new_output(self) -> OutputFolder:
        """Makes an `$OUTPUT_DIR`, and removes the one before: its files were fetched, if ever.

        Raises `OSError`, if the disk is full.
        """
        if self._output is not None:
            self._output.clear()
        self._listed = set()
        self._output = OutputFolder(self.folder, self._path)
        return self._output

    def close_output(self, output: OutputFolder) -> tuple[list[Message], str]:
        """Returns what `output` does; the files can be fetched until there is a new one."""
        files, remark = output.close()
        self._listed = {file["path"] for file in files}
        return files, remark

    def put(self, number: int, name: str, data: str, *, last: bool) -> bool:
        """Takes a piece of a file; tells if it is there now. Raises `TransferError`."""
        if self._upload is None or self._upload.number != number:
            self.drop_upload()
            self._upload = Upload(self.folder, number, name)
        try:
            self._upload.write(data)
            if last:
                self._upload.finish()
                self._upload = None
        except TransferError:
            self.drop_upload()
            raise
        return last

    def drop_upload(self) -> None:
        """Forgets a file of which not all has come."""
        if self._upload is not None:
            self._upload.drop()
            self._upload = None

    def get(self, path: str) -> Iterator[Message]:
        """Yields a listed file in pieces. Raises `TransferError` before, or instead of the last."""
        if path not in self._listed:
            raise TransferError("file_not_found", "No such output file.")
        folder, _, name = path.partition("/")
        try:
            file = _open_listed(self.folder, folder, name)
        except OSError as error:
            raise TransferError("file_not_found", "The output file is gone.") from error
        return self._pieces(file)

    def _pieces(self, file: int) -> Iterator[Message]:
        left = self._max_file
        try:
            size = os.fstat(file).st_size
            while True:
                data = os.read(file, PIECE_BYTES)
                left -= len(data)
                if left < 0 or size > self._max_file:
                    raise TransferError(
                        "output_file_too_large",
                        f"An output file may have {self._max_file} bytes at most.",
                    )
                yield {"data": base64.b64encode(data).decode(), "last": not data}
                if not data:
                    return
        except OSError as error:
            raise TransferError("file_not_found", "The output file cannot be read.") from error
        finally:
            os.close(file)


class Upload:
    """A file on its way in: it gets its name when all of it is there."""

    def __init__(self, folder: int, number: int, name: str) -> None:
        if name in {"", ".", ".."} or "/" in name or "\0" in name:
            raise TransferError("invalid_tool_input", "The name of the file is none.")
        self.number = number
        self._folder = folder
        self._name = name
        self._temporary = f".upload-{os.urandom(6).hex()}"
        try:
            self._file = os.open(self._temporary, _NEW, mode=0o644, dir_fd=folder)
        except OSError as error:
            raise _no_room(error) from error

    def write(self, data: str) -> None:
        """Takes a piece. Raises `TransferError`."""
        try:
            left = memoryview(base64.b64decode(data, validate=True))
            while left:
                left = left[os.write(self._file, left) :]
        except binascii.Error as error:
            raise TransferError("invalid_tool_input", "The data are no base64.") from error
        except OSError as error:
            raise _no_room(error) from error

    def finish(self) -> None:
        """Gives it its name; a file or a link that has it goes. Raises `TransferError`."""
        try:
            os.rename(self._temporary, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        except OSError as error:
            raise _no_room(error) from error
        os.close(self._file)

    def drop(self) -> None:
        """Removes what has come."""
        os.close(self._file)
        with suppress(OSError):  # the code was faster
            os.unlink(self._temporary, dir_fd=self._folder)


def _open_listed(workspace: int, folder: str, name: str) -> int:
    opened = os.open(folder, _FOLDER, dir_fd=workspace)
    try:
        file = os.open(name, _READ, dir_fd=opened)
    finally:
        os.close(opened)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise FileNotFoundError(name)
    return file


def _is_text(name: str) -> bool:
    """Tells whether a name can be said in UTF-8; others could not be fetched by it."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _no_room(error: OSError) -> TransferError:
    return TransferError("unavailable", f"The file cannot be written: {error.strerror}.")
