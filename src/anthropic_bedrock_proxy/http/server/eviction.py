"""The connection that ends for a new one, where there is no more room.

It is the one that has waited longest for a request: whoever is served stays. It may be the newest,
and wait for nothing, where all others are served. It is cut at once: one that ends in its own time
would stand beside those that came for it.

A look at all connections finds the 64 that have waited longest, and the next 64 newcomers cost no
look: who comes in a flood must not cost a look at all others each time. Whoever begins to wait
later is younger than these; whoever of them was served meanwhile has another `since`, and is passed
over. For 3 connections, a flood, and a look that finds 2:

    wait since     the look finds   a newcomer ends
    A 1, B 2, C 3  A, B             A
    B 2, C 3, D 4                   B
    C 3, D 4, E 5  C, D             C
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter
from typing import Final

from .protocol import HTTPProtocol

_AT_A_TIME: Final = 64  # connections that one look finds


class Eviction:
    """The choice of who makes room."""

    def __init__(self) -> None:
        self._longest: dict[HTTPProtocol, float] = {}  # some that wait, the longest last

    def end_one(self, connections: Iterable[HTTPProtocol]) -> None:
        """Ends the one of `connections` that has waited longest; at least one of them waits."""
        while True:
            if not self._longest:
                self._look(connections)
            one, since = self._longest.popitem()
            if one.waiting and one.connection.since == since:
                one.abort()
                return

    def forget(self, connection: HTTPProtocol) -> None:
        """Forgets a connection that has ended."""
        if self._longest:
            self._longest.pop(connection, None)

    def _look(self, connections: Iterable[HTTPProtocol]) -> None:
        waiting = [(one, one.connection.since) for one in connections if one.waiting]
        waiting.sort(key=itemgetter(1))
        self._longest = dict(reversed(waiting[:_AT_A_TIME]))
