"""The log in a file that several processes write to, and which rotates when it is large.

Theory of operation:
- Lines are handed to a thread, so a slow disk keeps no request waiting. What the thread cannot get
  rid of is dropped, and its number of bytes written as a line of its own.
- Whole lines are appended at once (`O_APPEND`), so those of several workers never mix.
- Whoever finds the file too large takes a lock on it, looks whether it is still the one of that
  name, and renames: `proxy.log` becomes `proxy.log.1`, that one `proxy.log.2`, and so on. The
  others see that the name is another file's, and open that. So they do if another program moves it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from typing import Final

_MAX_WAITING_BYTES: Final = 8 * 1024 * 1024
_FLUSH_SECONDS: Final = 2.0


class LogFile:
    """A file that takes log lines (a `LogOutput`); each forked process has a thread of its own."""

    def __init__(self, path: Path, *, max_bytes: int, backups: int) -> None:
        """`backups` older files are kept, of `max_bytes` each. Raises `OSError`."""
        self._file = RotatingFile(path, max_bytes=max_bytes, backups=backups)
        self._file.append(b"")
        self._thread: Thread | None = None
        self._waiting = self._lost = 0
        self._begin()

    def write(self, data: bytes) -> None:
        """Takes whole lines; never waits, and never raises."""
        if self._pid != os.getpid():
            self._begin()
        if self._waiting + len(data) > _MAX_WAITING_BYTES:
            self._lost += len(data)
            return
        if self._lost:
            told = b'{"level":"warning","message":"%d bytes of the log were lost"}\n'
            data, self._lost = told % self._lost + data, 0
        self._waiting += len(data)
        self._queue.put(data)
        if self._thread is None:
            self._thread = Thread(target=self._write, name="log-file", daemon=True)
            self._thread.start()

    def flush(self) -> None:
        """Waits until what was written so far is in the file, for 2 s at most."""
        if self._thread is not None and self._pid == os.getpid():
            written = Event()
            self._queue.put(written)
            written.wait(_FLUSH_SECONDS)

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._queue: SimpleQueue[bytes | Event] = SimpleQueue()
        self._thread = None
        self._waiting = self._lost = 0

    def _write(self) -> None:
        while True:
            taken = self._queue.get()
            if isinstance(taken, Event):
                taken.set()
                continue
            with contextlib.suppress(OSError):  # a full disk: serving goes on
                self._file.append(taken)
            self._waiting -= len(taken)


class RotatingFile:
    """The file itself, as one thread sees it."""

    def __init__(self, path: Path, *, max_bytes: int, backups: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._backups = backups
        self._descriptor = -1

    def append(self, data: bytes) -> None:
        """Appends to the file of that name as it is now. Raises `OSError`."""
        if self._descriptor < 0 or not self._is_current():
            self._open()
        if os.fstat(self._descriptor).st_size >= self._max_bytes:
            self._rotate()
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        opened = os.open(self._path, flags, 0o640)
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = opened

    def _is_current(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._descriptor), self._path.stat())
        except FileNotFoundError:
            return False

    def _rotate(self) -> None:
        """Renames the files and opens a new one, unless another process has just done so."""
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)  # let go of when it is closed
        if self._is_current():
            for number in range(self._backups, 0, -1):
                older = self._path.with_name(f"{self._path.name}.{number}")
                newer = self._path.with_name(f"{self._path.name}.{number - 1}")
                with contextlib.suppress(FileNotFoundError):
                    (newer if number > 1 else self._path).replace(older)
            if not self._backups:
                self._path.unlink()
        self._open()
