"""The watchdog of the event loop: when it stands still, one warning says where.

The loop beats a few times a second; a thread looks whether it still does. When a beat is overdue,
the thread notes where the loop is (functions of this package, no values), and tells it when the
loop goes on, or after a while if it does not. A process that was stopped or got no CPU is no fault
of its loop: its thread is late as well then, and it has used no time.
Prior art: asyncio's debug mode, which costs something for every callback and knows no place.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

BEAT_SECONDS: Final = 0.25
LAG_SECONDS: Final = 0.5  # overdue by this much, the loop stands still; seen within two beats more
TOLD_SECONDS: Final = 5.0  # a stall of so long is told while it still lasts
QUIET_SECONDS: Final = 10.0  # between two warnings
_BUSY_SHARE: Final = 0.5  # of a stall; a process that used less CPU was kept from running
_MAX_PLACES: Final = 8
_PACKAGE: Final = str(Path(__file__).parents[1]) + "/"
_log = logging.getLogger("anthropic_bedrock_proxy.telemetry")


class _Stall:
    """A stall: the loop has not run since a beat, and stands at these places."""

    __slots__ = ("places", "since", "told")

    def __init__(self, since: float, places: list[str]) -> None:
        self.since = since
        self.places = places
        self.told = False


class Lag:
    """The decisions of the watchdog, from beats and looks: when a stall is to be told."""

    def __init__(
        self,
        where: Callable[[], list[str]],
        tell: Callable[[float, list[str], int], None],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        used: Callable[[], float] = time.process_time,
        told_seconds: float = TOLD_SECONDS,
    ) -> None:
        """`tell` is given the seconds, the places and how many times it was not called before.

        `used` is the CPU time of the process.
        """
        self._where = where
        self._tell = tell
        self._monotonic = monotonic
        self._used = used
        self._told_seconds = told_seconds
        self._beat = self._looked = monotonic()
        self._used_then = used()
        self._stall: _Stall | None = None
        self._untold = 0
        self._quiet_until = self._beat

    def beat(self) -> None:
        """Notes that the loop runs."""
        self._beat = self._monotonic()

    def look(self) -> None:
        """Looks for a stall. Call it a few times a second from somewhere else than the loop."""
        now, used, beat = self._monotonic(), self._used(), self._beat
        late = now - self._looked - BEAT_SECONDS
        was_kept = late > LAG_SECONDS and used - self._used_then < _BUSY_SHARE * late
        self._looked, self._used_then = now, used
        stall = self._stall
        if stall is not None:
            goes_on = beat > stall.since
            if not stall.told and (goes_on or now - stall.since > self._told_seconds):
                stall.told = True
                self._report((beat if goes_on else now) - stall.since - BEAT_SECONDS, stall.places)
            if goes_on:
                self._stall = None
        if was_kept:
            self._beat = now
        elif self._stall is None and now - beat - BEAT_SECONDS > LAG_SECONDS:
            self._stall = _Stall(beat, self._where())

    def _report(self, seconds: float, places: list[str]) -> None:
        if self._looked < self._quiet_until:
            self._untold += 1
            return
        self._tell(seconds, places, self._untold)
        self._untold, self._quiet_until = 0, self._looked + QUIET_SECONDS


class Watchdog:
    """The thread that looks and the timer that beats; `start` it on the loop to watch."""

    def __init__(self, told_seconds: float = TOLD_SECONDS) -> None:
        self._told_seconds = told_seconds
        self._ended = threading.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Watches the running loop until `stop`."""
        loop, thread = asyncio.get_running_loop(), threading.get_ident()
        lag = Lag(lambda: places_of(thread), warn, told_seconds=self._told_seconds)

        def beat() -> None:
            lag.beat()
            self._timer = loop.call_later(BEAT_SECONDS, beat)

        def look() -> None:
            while not self._ended.wait(BEAT_SECONDS):
                lag.look()

        beat()
        self._thread = threading.Thread(target=look, name="watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stops looking. Idempotent."""
        self._ended.set()
        if self._timer is not None:
            self._timer.cancel()
        if self._thread is not None:
            self._thread.join()


def places_of(thread: int) -> list[str]:
    """Returns `file:line function` of this package's frames in a thread, the innermost first."""
    frame = sys._current_frames().get(thread)  # noqa: SLF001  # documented, in spite of its name
    places: list[str] = []
    while frame is not None and len(places) < _MAX_PLACES:
        code = frame.f_code
        if code.co_filename.startswith(_PACKAGE):
            file = code.co_filename.removeprefix(_PACKAGE)
            places.append(f"{file}:{frame.f_lineno} {code.co_name}")
        frame = frame.f_back
    return places or ["outside of this package"]


def warn(seconds: float, places: list[str], untold: int) -> None:
    """Writes the warning; `untold` stalls before it were not told."""
    _log.warning(
        "the event loop stood still: nobody was served meanwhile",
        extra={"ms": round(seconds * 1000), "where": places, "untold": untold},
    )
