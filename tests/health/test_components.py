"""Components are looked at when somebody asks, by one look at a time, and nobody waits for long."""

from __future__ import annotations

import asyncio
import logging

import pytest
from clocks import Clock

from anthropic_bedrock_proxy.health.components import KEPT_SECONDS, Components, Look
from anthropic_bedrock_proxy.health.findings import OK, Finding

DOWN = Finding(state="failed", reason="connection refused", detail="sk-secretsecret at 10.0.0.7")


class Part:
    """A component whose looks are counted, and end as `finding` says, or not before `free`."""

    def __init__(self):
        self.finding = OK
        self.looks = 0
        self.free = asyncio.Event()
        self.free.set()

    async def look(self):
        self.looks += 1
        await self.free.wait()
        if isinstance(self.finding, Exception):
            raise self.finding
        return {"store": self.finding}


@pytest.fixture
def run():
    def begin(work, **times):
        async def main():
            part, clock = Part(), Clock()
            components = Components([Look(("store",), part.look)], monotonic=clock, **times)
            try:
                await work(components, part, clock)
            finally:
                await components.close()

        asyncio.run(main())

    return begin


def test_nobody_looks_until_somebody_asks(run):
    async def work(components, part, clock):
        assert components.known()["store"].state == "unknown"
        assert part.looks == 0
        assert (await components.current())["store"].state == "ok"
        assert part.looks == 1

    run(work)


def test_what_was_found_is_kept_for_a_while_and_then_looked_at_anew(run):
    async def work(components, part, clock):
        await components.current()
        part.finding = DOWN
        clock.now += KEPT_SECONDS - 0.1
        kept = (await components.current())["store"]
        assert (kept.state, kept.age_seconds) == ("ok", pytest.approx(KEPT_SECONDS - 0.1))
        clock.now += 0.1
        assert (await components.current())["store"].state == "failed"
        part.finding = OK
        clock.now += KEPT_SECONDS
        assert (await components.current())["store"].state == "ok"
        assert part.looks == 3

    run(work)


def test_however_many_ask_one_look_is_under_way(run):
    async def work(components, part, clock):
        asked = [asyncio.create_task(components.current()) for _ in range(100)]
        answers = await asyncio.gather(*asked)
        assert part.looks == 1
        assert all(answer["store"].state == "ok" for answer in answers)  # all waited for the first
        clock.now += KEPT_SECONDS
        part.free.clear()
        first = asyncio.create_task(components.current())
        await asyncio.sleep(0)
        other = (await components.current())["store"]  # at once
        assert (other.state, other.age_seconds) == ("ok", KEPT_SECONDS)
        assert not first.done()
        part.free.set()
        assert (await first)["store"].age_seconds == 0
        assert part.looks == 2

    run(work)


def test_who_asks_first_does_not_wait_for_a_part_that_hangs(run):
    async def work(components, part, clock):
        part.free.clear()
        assert (await components.current())["store"].state == "unknown"

    run(work, wait_seconds=0.01)


def test_a_look_that_hangs_is_given_up_and_told(run):
    async def work(components, part, clock):
        part.free.clear()
        seen = (await components.current())["store"]
        assert (seen.state, seen.reason) == ("failed", "no answer in 2 s")

    run(work, look_seconds=0.01)


def test_changes_of_state_are_logged_once_without_secrets(run, caplog):
    async def work(components, part, clock):
        for finding in (OK, DOWN, DOWN, OK, OK):
            part.finding = finding
            await components.current()
            clock.now += KEPT_SECONDS

    with caplog.at_level(logging.INFO, "anthropic_bedrock_proxy.health"):
        run(work)
    assert caplog.messages == [
        "health: store is failed: connection refused (sk-(hidden) at 10.0.0.7)",
        "health: store is ok again",
    ]


def test_a_fault_of_a_look_is_told_as_one_of_its_component(run):
    async def work(components, part, clock):
        part.finding = RuntimeError("secret words")
        seen = (await components.current())["store"]
        assert (seen.state, seen.reason) == ("failed", "no look: see the log")

    run(work)


def test_what_has_answered_once_is_remembered(run):
    async def work(components, part, clock):
        part.finding = DOWN
        assert not (await components.current())["store"].once_ok
        for finding in (OK, DOWN):
            part.finding = finding
            clock.now += KEPT_SECONDS
            assert (await components.current())["store"].once_ok

    run(work)


def test_what_was_not_asked_yet_is_no_trouble_that_the_log_tells_of(run, caplog):
    async def work(components, part, clock):
        for state in ("unknown", "ok", "unknown", "idle"):
            part.finding = Finding(state=state, reason="it has not been asked yet")
            assert (await components.current())["store"].state == state
            clock.now += KEPT_SECONDS
        assert caplog.records == []
        part.finding = DOWN
        await components.current()
        assert caplog.messages[-1].startswith("health: store is failed")

    run(work)


def test_what_begins_when_it_is_needed_is_no_trouble_that_the_log_tells_of(run, caplog):
    async def work(components, part, clock):
        for state in ("idle", "ok", "idle"):
            part.finding = Finding(state=state, reason="it starts later")
            assert (await components.current())["store"].state == state
            clock.now += KEPT_SECONDS
        assert caplog.records == []
        part.finding = DOWN
        await components.current()
        clock.now += KEPT_SECONDS
        part.finding = Finding(state="idle")
        await components.current()
        assert caplog.messages[-1] == "health: store is idle again"

    run(work)
