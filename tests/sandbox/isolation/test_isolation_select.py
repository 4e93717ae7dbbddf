"""Which isolation is chosen, and what is said when there is none."""

from __future__ import annotations

import asyncio

import pytest

from anthropic_bedrock_proxy.sandbox.isolation.base import IsolationError, IsolationState
from anthropic_bedrock_proxy.sandbox.isolation.select import (
    FirstReady,
    IsolationOptions,
    make_isolation,
)


class Scripted:
    """An isolation that says what it is told to."""

    def __init__(self, name, status):
        self.name, self.status, self.answers = name, status, False
        self.calls = []

    async def open(self):
        self.calls.append("open")

    async def state(self):
        return IsolationState(self.status, f"{self.name} is {self.status}", answers=self.answers)

    async def start(self):
        return f"runner of {self.name}"

    async def close(self):
        self.calls.append("close")


async def chosen(*statuses):
    isolations = [
        Scripted(name, status) for name, status in zip(("first", "second"), statuses, strict=True)
    ]
    made = FirstReady(isolations)
    await made.open()
    return made, isolations


def test_the_first_that_is_ready_is_chosen():
    async def main():
        made, _ = await chosen("ready", "ready")
        assert (made.name, await made.start()) == ("first", "runner of first")
        made, _ = await chosen("unavailable", "ready")
        assert (made.name, await made.start()) == ("second", "runner of second")

    asyncio.run(main())


def test_one_that_is_coming_is_waited_for():
    async def main():
        made, (first, _) = await chosen("preparing", "ready")
        assert (await made.state()).status == "preparing"
        with pytest.raises(IsolationError, match="first is preparing"):
            await made.start()
        first.status = "ready"
        assert await made.start() == "runner of first"

    asyncio.run(main())


def test_none_says_how_to_mend_each_and_may_be_mended_later():
    async def main():
        made, (_, second) = await chosen("unavailable", "unavailable")
        state = await made.state()
        assert state.status == "unavailable"
        assert "first: first is unavailable. Or second: second is" in state.reason
        with pytest.raises(IsolationError, match="no sandboxes here"):
            await made.start()
        second.status = "ready"
        assert await made.start() == "runner of second"

    asyncio.run(main())


def test_one_that_answers_and_lacks_something_is_not_passed_over():
    async def main():
        made, (first, _) = await chosen("preparing", "ready")
        first.status, first.answers = "unavailable", True
        assert (await made.state()).reason == "first is unavailable"
        with pytest.raises(IsolationError, match="first is unavailable"):
            await made.start()
        first.status = "ready"
        assert await made.start() == "runner of first"

    asyncio.run(main())


def test_what_was_chosen_stays():
    async def main():
        made, (first, second) = await chosen("unavailable", "ready")
        first.status, second.status = "ready", "unavailable"
        assert (await made.state()).reason == "second is unavailable"
        await made.close()
        assert first.calls == second.calls == ["open", "close"]

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["auto", "docker", "sandlock"])
def test_each_kind_is_made_without_its_library_or_daemon(kind):
    assert make_isolation(IsolationOptions(kind=kind, command=("python3",))).name == kind


def test_another_kind_is_refused():
    with pytest.raises(ValueError, match="auto, docker, sandlock"):
        make_isolation(IsolationOptions(kind="none", command=("python3",)))
