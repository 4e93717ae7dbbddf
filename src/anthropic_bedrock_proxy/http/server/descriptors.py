"""Descriptors: a connection of a client takes one, and serving it may take another."""

from __future__ import annotations

import contextlib
import resource
from typing import Final

_OWN: Final = 64  # of the process itself: files, the store, Redis, listeners, what clients fetch
_ENOUGH: Final = 10_240  # the most that macOS allows where it says that there is no limit


def raise_limit() -> None:
    """Raises the soft limit of descriptors to the hard one.

    The usual soft limit of 1024 protects programs that call select(2) with any descriptor; others
    are to raise it themselves (systemd.exec(5), LimitNOFILE=). Children inherit it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (hard, _ENOUGH):
        if soft == resource.RLIM_INFINITY or soft >= wanted != resource.RLIM_INFINITY:
            return
        with contextlib.suppress(ValueError, OSError):  # some systems have bounds of their own
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return


def room_for(connections: int) -> int:
    """Returns how many connections of clients this process can hold, `connections` at most.

    Serving one may take another descriptor, to AWS, and some are kept for files and the store.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return connections
    return min(connections, max(1, (soft - _OWN) // 2))
