"""The time as a worker's connections know it: coarse, because it is looked at for every request."""

from __future__ import annotations


class Clock:
    """Coarse time, shared by all connections of a worker: looked at often, read off seldom."""

    __slots__ = ("date_line", "draining", "now")

    def __init__(self) -> None:
        self.now = 0.0  # seconds of a clock that never goes back, as of the last tick
        self.date_line = b"date: \r\n"
        self.draining = False  # every answer that begins from here on says that its connection ends
