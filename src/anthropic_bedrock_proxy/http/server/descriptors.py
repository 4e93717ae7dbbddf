"""Descriptors: a connection of a client takes one, and serving it may take another."""

from __future__ import annotations

import contextlib
import resource


def room_for(connections: int) -> int:
    """Returns how many connections of clients this process can hold, `connections` at most.

    Raises the soft limit of descriptors as far as they need and the hard limit allows. Half of
    them are kept for what clients cause and the process needs: connections to AWS, files, logs.
    """
    wanted = 2 * connections
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return connections
    if soft < wanted:
        more = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(ValueError, OSError):  # some systems have bounds of their own
            resource.setrlimit(resource.RLIMIT_NOFILE, (more, hard))
            soft = more
    return min(connections, soft // 2)
