"""The port of the limiter: what the gateway asks before a request runs, and tells it after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from . import gcra


class LimiterError(Exception):
    """The shared state cannot be reached, and the operator wants no requests without it."""


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
        """What taking `cost` tokens takes: never more than the bucket holds.

        Whoever settles tells the difference from this.
        """
        return gcra.charged(cost, self.limit)


Buckets = tuple[Bucket, ...]


class Slot(msgspec.Struct, frozen=True, gc=False):
    """One place among those that run at once."""

    name: str
    limit: int


class Level(msgspec.Struct, frozen=True, gc=False):
    """How full a bucket is."""

    limit: int
    remaining: int  # 0 also in debt
    reset_seconds: float  # until it is full again


class Decision(msgspec.Struct, gc=False):
    """What came of a take. Hand it back when the request is settled."""

    allowed: bool
    levels: list[Level]  # one per bucket, after the decision
    denied: int | None = None  # the bucket, or len(buckets) + the slot, one waits for longest
    retry_after: float = 0.0  # seconds; a slot may be free earlier or later
    by: object = None  # the limiter's own note


class Limiter(Protocol):
    """Counts what is used, for as many processes as share its state."""

    async def take(
        self, buckets: Buckets, costs: Sequence[int], slots: Sequence[Slot] = ()
    ) -> Decision:
        """Takes each bucket's cost of it, or nothing of any. None may be named twice.

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

    async def run(self) -> None:
        """Keeps the slots of this process, until cancelled; without it they lapse in 45 s."""
        ...

    async def close(self) -> None:
        """Tells the shared state what is known, and lets go."""
        ...
