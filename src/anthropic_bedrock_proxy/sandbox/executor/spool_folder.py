"""The folder of a spool: gone with its executor, or else with the next one that starts.

An executor that was killed cannot remove what it kept, which may be gigabytes, and its successor
has no index of it. So each holds a lock on its folder, and a new one removes the folders of its
user that nobody holds.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

_PREFIX: Final = "sandbox-spool-"
_OPEN: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


class SpoolFolder:
    """An empty folder, of mode 0700, that nobody removes while this process lives."""

    def __init__(self, parent: Path | None = None) -> None:
        """`parent` is the folder of temporary files unless given."""
        parent = Path(tempfile.gettempdir()) if parent is None else parent
        for stale in parent.glob(f"{_PREFIX}*"):
            _remove_unheld(stale)
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
            held = _hold(self.path)
            if held is not None:
                self._held = held
                return

    def close(self) -> None:
        """Removes it with all that is in it. Idempotent."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._held >= 0:
            os.close(self._held)
            self._held = -1


def _hold(path: Path) -> int | None:
    """Returns a descriptor that holds the folder; None if another process does, or removed it."""
    try:
        descriptor = os.open(path, _OPEN)
    except OSError:
        return None
    held = False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held = os.fstat(descriptor).st_nlink > 0 and path.exists()
    except OSError:
        return None
    finally:
        if not held:
            os.close(descriptor)
    return descriptor if held else None


def _remove_unheld(path: Path) -> None:
    with suppress(OSError):
        if path.lstat().st_uid != os.geteuid():
            return
    descriptor = _hold(path)
    if descriptor is not None:
        shutil.rmtree(path, ignore_errors=True)
        os.close(descriptor)
