"""The output of log lines: a descriptor, written to without ever waiting for its reader."""

from __future__ import annotations

import contextlib
import os
import select
import stat
import time
from typing import Final, Protocol

import msgspec

from .line_time import line_time

_LOGGER: Final = "anthropic_bedrock_proxy.log"


class LogOutput(Protocol):
    """Takes log lines, and never waits."""

    def write(self, data: bytes) -> None:
        """Takes whole lines; what cannot be had written is lost, and counted."""
        ...

    def flush(self) -> None:
        """Gives what was written so far a moment to arrive."""
        ...


def notice(message: str) -> bytes:
    """Makes a line that the log tells of itself."""
    line = {
        "time": line_time(int(time.time() * 1000)),
        "level": "warning",
        "logger": _LOGGER,
        "message": message,
    }
    return msgspec.json.encode(line) + b"\n"


def notice_of_loss(lost: int) -> bytes:
    """Makes the line that tells how many bytes were lost."""
    return notice(f"{lost} bytes of the log were lost")


class Output:
    """The output to a descriptor, which never waits: serving does not depend on a log.

    A pipe that nobody reads is full after 64 KiB; to write to it would stop every client.
    """

    def __init__(self, fd: int = 2) -> None:
        self._fd = fd
        mode = os.fstat(fd).st_mode
        self._is_pipe = stat.S_ISFIFO(mode)
        self._poll: select.poll | None = None
        if self._is_pipe or stat.S_ISSOCK(mode):
            self._poll = select.poll()
            self._poll.register(fd, select.POLLOUT)
        self._lost = 0  # bytes
        self._within_line = False

    def write(self, data: bytes) -> None:
        """Writes whole lines; those that the reader does not take are lost, and counted."""
        size, lost = len(data), self._lost
        if lost:
            data = (b"\n" if self._within_line else b"") + notice_of_loss(lost) + data
        fd = self._opened()
        try:
            # A pipe that is ready takes so many bytes at once, and nothing of another process in
            # between: pipe(7). So lines of several workers mix only if one is longer than that.
            while data and (self._poll is None or self._poll.poll(0)):
                part = data
                if self._poll is not None and len(data) > select.PIPE_BUF:
                    part = data[: data.rfind(b"\n", 0, select.PIPE_BUF) + 1 or select.PIPE_BUF]
                written = os.write(fd, part)
                self._within_line = data[written - 1 : written] != b"\n"
                data = data[written:]
        except OSError:  # it is closed, or a disk is full: serving goes on
            pass
        finally:
            if fd != self._fd:
                os.close(fd)
        self._lost = len(data) if len(data) <= size else lost + size

    def _opened(self) -> int:
        """Opens a pipe once more: between a look and a write another worker may have filled it.

        The descriptor itself has to wait as it did, for all that share it. Where the pipe is
        another user's, or there is no /proc, the look has to do.
        """
        if self._is_pipe:
            with contextlib.suppress(OSError):
                return os.open(
                    f"/proc/self/fd/{self._fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC
                )
        return self._fd

    def flush(self) -> None:
        """Does nothing: what could be written was."""
