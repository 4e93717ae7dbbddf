"""The meeting point of workers and the child process. Made once, before workers are forked.

A pair of sockets that every worker inherits: a worker sends one end of a connection into it, the
child, whoever started it, takes the ends out. And a lock that at most one process has: that one
starts the child. The kernel takes it away from a process that dies, so another worker follows.
No name in any file system is needed, and nobody else can connect.
"""

from __future__ import annotations

import fcntl
import os
import socket
import sys
import weakref


class Meeting:
    """The sockets and the lock. Closed in this process when nobody refers to it any more."""

    def __init__(self) -> None:
        self._ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._ours.setblocking(False)
        self._lock = _lockable(self._ours)
        weakref.finalize(self, _close, self._ours, self.theirs, self._lock)

    def introduce(self) -> socket.socket:
        """Opens a connection to the child, which may yet have to be started.

        Raises `OSError`: where too many wait for it already.
        """
        mine, its = socket.socketpair()
        with its:
            try:
                socket.send_fds(self._ours, [b"1"], [its.fileno()])
            except BaseException:
                mine.close()
                raise
        return mine

    def try_lock(self) -> bool:
        """Takes the lock if no other process has it; the same process may have it twice."""
        try:
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def unlock(self) -> None:
        """Lets go of the lock."""
        fcntl.lockf(self._lock, fcntl.LOCK_UN)


def _close(ours: socket.socket, theirs: socket.socket, lock: int) -> None:
    os.close(lock)
    ours.close()
    theirs.close()


def _lockable(ours: socket.socket) -> int:
    if sys.platform == "linux":
        # Linux locks sockets as well. There may be no file system to write to, and interpreters
        # that were built for older systems (uv, conda, Amazon Linux 2) have no os.memfd_create.
        return os.dup(ours.fileno())
    import tempfile  # noqa: PLC0415  # heavy, and not needed where most servers are

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
