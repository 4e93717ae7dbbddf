"""The port of the limiter: asked before a request runs, told its true cost after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from . import gcra


class LimiterError(Exception):
    """The shared state cannot be reached: told where nothing may stand in, and to who checks."""


class Bucket(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """A limit per time. A full bucket holds `limit` tokens and refills in `seconds`.

    The limit is part of which bucket it is: a changed limit begins with a full one.
    """

    name: str
    limit: int  # below 1: nothing passes
    seconds: float = 60.0

    @property
    def window_us(self) -> int:
        """`seconds` in whole microseconds."""
        return int(self.seconds * 1e6) or 1

    def charged(self, cost: int) -> int:
        """Returns the tokens that a request of `cost` draws: never more than the bucket holds.

        `settle` is told the difference between this and the true cost.
        """
        return gcra.charged(cost, self.limit)


Buckets = tuple[Bucket, ...]


class Slot(msgspec.Struct, frozen=True, gc=False):
    """A limit of requests that run at once; a request takes one place of it."""

    name: str
    limit: int


class Level(msgspec.Struct, frozen=True, gc=False):
    """The state of a bucket after a decision."""

    limit: int
    remaining: int  # 0 also in debt
    reset_seconds: float  # until it is full again


class Decision(msgspec.Struct, gc=False):
    """The result of a take, to be given to `settle` when the request is over."""

    allowed: bool
    levels: list[Level]  # one per bucket, after the decision
    denied: int | None = None  # index of the longest wait: a bucket, or len(buckets) + a slot
    retry_after: float = 0.0  # seconds; a slot may be free earlier or later
    by: object = None  # the limiter that decided, where that was a stand-in


class Limiter(Protocol):
    """The counter of rates and slots for all processes that share its state."""

    async def take(
        self, buckets: Buckets, costs: Sequence[int], slots: Sequence[Slot] = ()
    ) -> Decision:
        """Draws each bucket's cost and a place of each slot, or nothing at all.

        No bucket may be named twice.

        Raises `LimiterError` if the shared state cannot be reached and nothing may stand in.
        """
        ...

    def settle(
        self,
        decision: Decision,
        buckets: Buckets,
        changes: Sequence[int],
        slots: Sequence[Slot] = (),
    ) -> None:
        """Corrects what an allowed decision took, and releases its slots.

        A positive change charges its bucket more, maybe into debt; a negative one gives back,
        never beyond full. Never raises, never waits.
        """
        ...

    async def check(self) -> None:
        """Raises `LimiterError` while this process does not count with the others it should."""
        ...

    async def run(self) -> None:
        """Keeps the slots of this process, until cancelled; without it they lapse in 45 s."""
        ...

    async def close(self) -> None:
        """Writes what is pending to the shared state, and lets go of it."""
        ...
