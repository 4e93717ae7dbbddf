"""The watchdog of the event loop: what it tells, when, and what it keeps to itself."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from anthropic_bedrock_proxy.telemetry.logs import JSONFormatter
from anthropic_bedrock_proxy.telemetry.watchdog import (
    BEAT_SECONDS,
    LAG_SECONDS,
    QUIET_SECONDS,
    TOLD_SECONDS,
    Lag,
    Watchdog,
    places_of,
    warn,
)


class Scene:
    """A loop and a thread whose clocks are moved by hand."""

    def __init__(self):
        self.now = self.used = 100.0
        self.stands_at = "a.py:1 f"
        self.told = []
        self.lag = Lag(
            lambda: [self.stands_at],
            lambda seconds, places, untold: self.told.append((round(seconds, 2), places, untold)),
            monotonic=lambda: self.now,
            used=lambda: self.used,
        )

    def run(self, seconds, *, blocked=False, stopped=False):
        """Looks come every beat; a process that is stopped neither looks nor works."""
        if stopped:
            self.now += seconds
            return
        for _ in range(round(seconds / BEAT_SECONDS)):
            self.now += BEAT_SECONDS
            if not blocked:
                self.lag.beat()
            self.lag.look()


@pytest.fixture
def scene():
    made = Scene()
    made.run(2)
    return made


def test_a_loop_that_runs_is_nothing_to_tell(scene):
    scene.run(60)
    assert scene.told == []


def test_a_loop_that_stood_still_is_told_once_with_how_long_and_where(scene):
    scene.run(0.75, blocked=True)
    scene.run(1.25, blocked=True)
    scene.stands_at = "elsewhere"
    assert scene.told == []
    scene.run(20)
    assert scene.told == [(2.0, ["a.py:1 f"], 0)]


def test_what_is_short_is_not_told(scene):
    for _ in range(10):
        scene.run(LAG_SECONDS, blocked=True)
        scene.run(1)
    assert scene.told == []


def test_a_loop_that_does_not_go_on_is_told_all_the_same_and_once(scene):
    scene.run(60, blocked=True)
    assert [places for _, places, _ in scene.told] == [["a.py:1 f"]]
    assert TOLD_SECONDS - 2 * BEAT_SECONDS <= scene.told[0][0] <= TOLD_SECONDS + BEAT_SECONDS
    scene.run(60)
    assert len(scene.told) == 1


def test_a_loop_that_stands_still_again_and_again_is_told_now_and_then(scene):
    for _ in range(20):
        scene.run(1, blocked=True)
        scene.run(1)
    assert 4 <= len(scene.told) <= 40 / QUIET_SECONDS + 1
    assert scene.told[0][2] == 0
    assert all(untold for _, _, untold in scene.told[1:])
    told = len(scene.told) + sum(untold for _, _, untold in scene.told)
    assert 20 - QUIET_SECONDS / 2 <= told <= 20


def test_a_process_that_was_stopped_is_no_fault_of_its_loop(scene):
    for _ in range(3):
        scene.run(60, stopped=True)
        scene.lag.look()  # the thread comes first
        scene.run(5)
    assert scene.told == []


def test_a_loop_that_lets_no_thread_run_is_told_too(scene):
    """A function of C that works for seconds keeps the thread from looking."""
    scene.now += 3
    scene.used += 3
    scene.lag.look()
    scene.run(5)
    assert [seconds for seconds, _, _ in scene.told] == [3.0]


def blocked_loop(until):
    """Stands for code of ours: the loop does nothing else until `until` is set."""
    until.wait(10)


def test_a_loop_that_really_stands_still(caplog):
    """The block ends when the watchdog has seen it, so nothing depends on how fast we are."""
    seen = threading.Event()

    class Seen(logging.Handler):
        def emit(self, record):
            seen.set()

    async def main():
        watchdog = Watchdog(told_seconds=0.0)
        watchdog.start()
        log = logging.getLogger("anthropic_bedrock_proxy.telemetry")
        handler = Seen()
        log.addHandler(handler)
        try:
            await asyncio.sleep(0)
            blocked_loop(seen)
        finally:
            log.removeHandler(handler)
            watchdog.stop()
            watchdog.stop()

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
    (record,) = caplog.records
    assert record.ms >= LAG_SECONDS * 1000
    assert record.where == ["outside of this package"]  # this file is
    assert not [thread for thread in threading.enumerate() if thread.name == "watchdog"]


def test_only_places_of_this_package_are_named():
    """And neither values nor anything else of a frame."""
    went_in, go_on = threading.Event(), threading.Event()

    def secret_prompt():
        went_in.set()
        go_on.wait(10)
        return []

    def work():
        lag = Lag(secret_prompt, warn, monotonic=lambda: next(clock), used=lambda: 0.0)
        lag.look()
        lag.look()

    clock = iter([0.0, 0.4, 0.8])
    thread = threading.Thread(target=work)
    thread.start()
    assert went_in.wait(10)
    found = places_of(thread.ident)
    go_on.set()
    thread.join()
    (place,) = found
    file, _, rest = place.partition(":")
    assert file == "telemetry/watchdog.py"
    assert rest.endswith(" look")
    assert places_of(thread.ident) == ["outside of this package"]


def test_the_line(caplog):
    with caplog.at_level(logging.WARNING):
        warn(1.2345, ["a.py:1 f"], 3)
    line = JSONFormatter().format(caplog.records[0])
    assert '"ms":1234' in line
    assert '"where":["a.py:1 f"]' in line
    assert '"untold":3' in line
