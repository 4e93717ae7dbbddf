"""Draws as pairs, which read better in tests than two lists."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import NamedTuple

from anthropic_bedrock_proxy.limits.base import Bucket, Decision, Limiter, Slot


class Take(NamedTuple):
    bucket: Bucket
    cost: int

    @property
    def charged(self) -> int:
        return self.bucket.charged(self.cost)


def draw(
    limiter: Limiter, takes: Sequence[Take], slots: Sequence[Slot] = ()
) -> Awaitable[Decision]:
    buckets, costs = _apart(takes)
    return limiter.take(buckets, costs, slots)


def settle(
    limiter: Limiter, decision: Decision, changes: Sequence[Take], slots: Sequence[Slot] = ()
) -> None:
    limiter.settle(decision, *_apart(changes), slots)


def _apart(takes: Sequence[Take]) -> tuple[tuple[Bucket, ...], list[int]]:
    return tuple(bucket for bucket, _ in takes), [cost for _, cost in takes]
