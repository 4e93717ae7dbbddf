"""A folder that one executor has for itself, and finds again when it was killed.

An executor that is killed leaves its files behind. So the folder has a name that the next start of
the same executor knows; it empties it and goes on in it. As the name can be known to others, who
may be quicker in a folder for everybody such as /tmp, it has to be a real folder, of our own user,
that nobody else may enter; and it is locked for as long as it is used, so that two executors of one
name do not empty each other's.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from pathlib import Path


class OwnFolderError(Exception):
    """A folder that cannot be had; the message says why, and how to mend it."""


class OwnFolder:
    """An empty folder, for this process alone."""

    def __init__(self, path: Path | None = None) -> None:
        """Without a `path` it has a name of its own, that nobody finds again.

        Raises `OwnFolderError`.
        """
        self.path = path or Path(tempfile.mkdtemp(prefix="sandbox-files-"))  # 0700
        try:
            self._held = _taken(self.path)
        except OSError as error:
            raise OwnFolderError(
                f"files cannot be kept in {self.path}: {error.strerror or error}"
            ) from error

    def close(self) -> None:
        """Removes the folder, with all in it."""
        if self._held >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._held)  # the lock with it
            self._held = -1


def _taken(path: Path) -> int:
    """Makes the folder, or takes what is there of it; returns the descriptor that locks it."""
    path.mkdir(mode=0o700, exist_ok=True)
    held = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        _lock(held)
        for left in os.scandir(held):
            if left.is_dir(follow_symlinks=False):
                shutil.rmtree(left.name, dir_fd=held)
            else:
                os.unlink(left.name, dir_fd=held)
    except BaseException:
        os.close(held)
        raise
    return held


def _lock(folder: int) -> None:
    about = os.fstat(folder)
    if about.st_uid != os.geteuid() or stat.S_IMODE(about.st_mode) & 0o077:
        raise PermissionError(0, "it is not of this user alone: remove it, or set TMPDIR")
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        reason = "another executor uses it: give each a SANDBOX_NAME of its own"
        raise FileExistsError(0, reason) from None
