"""The log in a file that several processes write to, and which rotates when it is large.

Theory of operation:
- Lines are handed to a thread, so a slow disk keeps no request waiting. What the thread cannot get
  rid of is dropped, and its number of bytes written as a line of its own.
- Whole lines are appended at once (`O_APPEND`), so those of several workers never mix.
- Whoever finds the file too large takes a lock on it, looks whether it is still the one of that
  name, and renames: `proxy.log` becomes `proxy.log.1`, that one `proxy.log.2`, and so on. The
  others see that the name is another file's, and open that. So they do if another program moves it.
- A lock belongs to who opened the file, and to all that were forked from there: each process opens
  it anew.
- Whatever rotation fails for, lines go into the file that is open, while it has a name.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Lock, Thread
from typing import Final

from .output import notice, notice_of_loss

_MAX_WAITING_BYTES: Final = 8 * 1024 * 1024
_FLUSH_SECONDS: Final = 2.0
_NEWLINE: Final = ord("\n")


class LogFile:
    """A file that takes log lines (a `LogOutput`); each forked process has a thread of its own."""

    def __init__(self, path: Path, *, max_bytes: int, backups: int) -> None:
        """`backups` older files are kept, of `max_bytes` each. Raises `OSError`."""
        self._file = RotatingFile(path, max_bytes=max_bytes, backups=backups)
        self._file.append(b"")
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = Lock()  # the other process may hold the last one for ever
        self._queue: SimpleQueue[bytes | Event] = SimpleQueue()
        self._thread: Thread | None = None
        # Bytes: those that the thread is rid of, written to the file or not, are its own to count.
        self._taken = self._written = self._lost = 0

    def write(self, data: bytes) -> None:
        """Takes whole lines, from any thread; never waits, and never raises."""
        if self._pid != os.getpid():
            self._begin()
        with self._lock:
            if self._taken - self._written + len(data) > _MAX_WAITING_BYTES:
                self._lost += len(data)
                return
            if self._lost:
                data, self._lost = notice_of_loss(self._lost) + data, 0
            self._taken += len(data)
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

    def _write(self) -> None:
        lost = 0
        while True:
            taken = self._queue.get()
            if isinstance(taken, Event):
                taken.set()
                continue
            try:
                self._file.append(notice_of_loss(lost) + taken if lost else taken)
                lost = 0
            except OSError:  # a full disk: serving goes on
                lost += len(taken)
            self._written += len(taken)


class RotatingFile:
    """The file itself, as one thread sees it."""

    def __init__(self, path: Path, *, max_bytes: int, backups: int) -> None:
        self._path = path
        self._max_bytes = self._rotate_at = max_bytes
        self._backups = backups
        self._descriptor = -1
        self._pid = 0  # whose descriptor that is
        self._failing = self._within_line = False

    def append(self, data: bytes) -> None:
        """Appends to the file of that name as it is now. Raises `OSError`."""
        self._follow()
        size = os.fstat(self._descriptor).st_size
        if size >= self._rotate_at:
            try:
                self._rotate()
            except OSError as error:  # the folder may not be written to
                if not self._failing:
                    data = notice(f"the log does not rotate: {error.strerror}") + data
                self._failing = True
                self._rotate_at = size + self._max_bytes // 16
        if self._within_line:
            data = b"\n" + data
        view = memoryview(data)
        while view:
            written = os.write(self._descriptor, view)
            self._within_line = view[written - 1] != _NEWLINE
            view = view[written:]

    def _follow(self) -> None:
        """Opens the file of the name, unless that is open; without it, stays with the last one."""
        if self._pid == os.getpid() and self._is_current():
            return
        try:
            self._open()
        except OSError:
            if self._pid != os.getpid() or not os.fstat(self._descriptor).st_nlink:
                raise  # what was deleted nobody reads

    def _open(self) -> None:
        # Not to wait for the reader of a named pipe; files are not concerned.
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK
        opened = os.open(self._path, flags, 0o640)
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._pid = opened, os.getpid()
        self._rotate_at = self._max_bytes
        self._failing = self._within_line = False

    def _is_current(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._descriptor), self._path.stat())
        except OSError:
            return False

    def _rotate(self) -> None:
        """Renames the files and opens a new one, unless another process does so. Raises."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        try:
            if self._is_current():
                self._rename()
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        self._open()

    def _rename(self) -> None:
        if not self._backups:
            self._path.unlink()
        for number in range(self._backups, 0, -1):
            older = self._path.with_name(f"{self._path.name}.{number}")
            newer = self._path.with_name(f"{self._path.name}.{number - 1}")
            with contextlib.suppress(FileNotFoundError):
                (newer if number > 1 else self._path).replace(older)
