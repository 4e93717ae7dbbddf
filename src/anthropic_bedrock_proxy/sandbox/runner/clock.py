"""The clock of a cell, which runs only while its code can. Pure: it is told the time."""

from __future__ import annotations


class CodeClock:
    """Counts seconds of code: stands still while a call that was told is unanswered."""

    def __init__(self, seconds: float, now: float) -> None:
        self._left = seconds
        self._since: float | None = now

    def stop(self, now: float) -> None:
        """Stands still; once more changes nothing."""
        if self._since is not None:
            self._left -= now - self._since
            self._since = None

    def go_on(self, now: float) -> None:
        """Runs again; once more changes nothing."""
        if self._since is None:
            self._since = now

    def deadline(self) -> float | None:
        """Returns when the time is used up if it goes on running; None while it stands still."""
        return None if self._since is None else self._since + self._left
