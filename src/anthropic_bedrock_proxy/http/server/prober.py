"""The question to a client that is not read whether it is still there.

A client that leaves and one that has only sent all it has look the same: a FIN comes. And of one
that has sent far ahead of its answers nothing is read, its FIN included. So something is written
that means nothing (`Connection.probe`); the kernel of a client that has left answers it by a reset,
which a look at the socket shows:

     0.00 s   the FIN comes while a request is served      begin
     0.25 s   a 100 Continue is written
     0.50 s   a reset has come: the request is cancelled; or none has, and it goes on
    15.50 s   the next question
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from .bounds import ConnectionBounds
from .connection import Connection
from .request_reader import Leave


class Probed(Protocol):
    """A connection on its transport, as far as a `Prober` has to do with it."""

    connection: Connection
    reading: bool

    @property
    def serving(self) -> bool:
        """Tells whether a request is being served."""
        ...

    @property
    def peer_is_gone(self) -> bool:
        """Tells whether a reset has come."""
        ...

    def act(self) -> None:
        """Does what the connection says is to be done."""
        ...


class Prober:
    """Questions to the client of one connection, while a request of it is served."""

    __slots__ = ("_bounds", "_loop", "_probed", "_timer")

    def __init__(
        self, probed: Probed, bounds: ConnectionBounds, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._probed = probed
        self._bounds = bounds
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Asks from now on, until the client is read again or no request is served."""
        if self._timer is None:
            self._timer = self._loop.call_later(self._bounds.probe_seconds, self._ask)

    def stop(self) -> None:
        """Asks no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ask(self) -> None:
        self._timer = None
        probed = self._probed
        if probed.reading or not probed.serving:
            return
        if probed.connection.probe():
            probed.act()
            self._timer = self._loop.call_later(self._bounds.probe_seconds, self._look)
        else:  # there is nothing to say just now
            self._ask_later()

    def _look(self) -> None:
        self._timer = None
        if self._probed.peer_is_gone:
            self._probed.connection.leave = Leave.ABORT
            self._probed.act()
        else:
            self._ask_later()

    def _ask_later(self) -> None:
        self._timer = self._loop.call_later(self._bounds.next_probe_seconds, self._ask)
