"""Outages of Redis: their beginning and end, and the pauses between tries. Pure.

An outage begins with a failure. It ends when Redis has counted for a while without another one:
until then a failure belongs to the same outage, and the pauses before the next try go on growing.
So a server that answers now and then makes one outage and not many. The ledger has another rule
(`LedgerOutage`): it is asked again after a second, and one answer ends its outage.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

FIRST_PAUSE: Final = 0.1  # a server that was only restarted is back at once
LONGEST_PAUSE: Final = 5.0
STEADY_SECONDS: Final = 10.0


class RedisOutage:
    """The current outage: it `lasts` from a failure to its end; `away` while Redis is not asked."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.lasts = False
        self.away = False
        self._monotonic = monotonic
        self._pause = FIRST_PAUSE
        self._next = 0.0

    def fail(self) -> bool:
        """Notes a failure: a pause follows. Returns whether an outage begins with it."""
        begins = not self.lasts
        self.lasts = self.away = True
        self._next = self._monotonic() + self._pause
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        return begins

    def answer(self) -> None:
        """Notes that a try succeeded: Redis is asked again, on trial."""
        self.away = False
        self._next = self._monotonic() + STEADY_SECONDS

    def due(self) -> bool:
        """Tells whether it is time for another try (while `away`), or to end the outage (else)."""
        return self.lasts and self._monotonic() >= self._next

    def end(self) -> None:
        """Ends the outage: the next failure begins another one."""
        self.lasts = False
        self._pause = FIRST_PAUSE
