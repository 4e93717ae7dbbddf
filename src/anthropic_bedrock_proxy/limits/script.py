"""One call of limits.lua: all changes and questions that a process has at that moment.

A call names each bucket and slot once, however many requests draw from it. For a slot it tells the
total that this process holds, so that the next call makes good a lost one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha1
from pathlib import Path
from typing import Final

import msgspec

from . import gcra
from .base import Bucket, Buckets, Decision, Level, Slot

SCRIPT: Final = Path(__file__).with_name("limits.lua").read_text("utf-8")
SHA: Final = sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()  # Redis names scripts so
_MOST: Final = 2**53  # whole in Lua; a limit or a cost beyond it is as good as this
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[list[int]]).decode


class Question(msgspec.Struct, frozen=True):
    """The buckets, costs and slots of one request."""

    buckets: Buckets
    costs: Sequence[int]
    slots: Sequence[Slot]

    def charged(self) -> list[int]:
        """Returns the tokens that the request draws from each bucket, if it is allowed."""
        return [b.charged(cost) for b, cost in zip(self.buckets, self.costs, strict=True)]


class ScriptCall:
    """The arguments of a call while they are collected."""

    def __init__(self, *, prefix: str, holder: str, lapse_us: int) -> None:
        self._prefix = prefix
        self._head = [holder, lapse_us]
        self._buckets: dict[Bucket, int] = {}
        self.slots: dict[str, int] = {}  # name -> its number among the slots, from 1
        self._changes: list[tuple[int, int]] = []
        self._held: list[int] = []
        self._takes: list[tuple[list[tuple[int, int]], list[tuple[int, int]]]] = []

    def change(self, bucket: Bucket, change: int) -> None:
        """Adds a change to a bucket: tokens to charge, or to give back if negative."""
        self._changes.append((self._bucket(bucket), max(-_MOST, min(change, _MOST))))

    def hold(self, name: str, count: int) -> None:
        """Adds the number of a slot that this process holds."""
        if name not in self.slots:
            self.slots[name] = len(self._held) + 1
            self._held.append(count)

    def ask(self, question: Question, held: Mapping[str, int]) -> None:
        """Adds the question of a request; `held` is how many this process has of each slot."""
        for slot in question.slots:
            self.hold(slot.name, held.get(slot.name, 0))
        charged = zip(question.buckets, question.charged(), strict=True)
        self._takes.append(
            (
                [(self._bucket(bucket), min(cost, _MOST)) for bucket, cost in charged],
                [(self.slots[slot.name], min(slot.limit, _MOST)) for slot in question.slots],
            )
        )

    def arguments(self) -> list[bytes | int]:
        """Returns the arguments of EVALSHA after the hash: number of keys, keys, packed rest."""
        prefix = self._prefix
        names = [f"{prefix}b:{b.limit}:{b.window_us}:{b.name}" for b in self._buckets]
        names += [f"{prefix}s:{name}" for name in self.slots]
        keys = [name.encode("utf-8", "surrogatepass") for name in names]
        rates = [(min(b.limit, _MOST), min(b.window_us, _MOST)) for b in self._buckets]
        rest = _encode([*self._head, rates, self._changes, self._held, self._takes])
        return [len(keys), *keys, rest]

    def _bucket(self, bucket: Bucket) -> int:
        index = self._buckets.get(bucket)
        if index is None:
            index = self._buckets[bucket] = len(self._buckets) + 1
        return index


def decisions(questions: Sequence[Question], answer: bytes) -> list[Decision]:
    """Decodes the answer of a call.

    Raises `msgspec.MsgspecError` or `ValueError` if it is none.
    """
    return [
        _decision(question.buckets, *told)
        for question, told in zip(questions, _decode(answer), strict=True)
    ]


def _decision(buckets: Buckets, denied: int, wait: int, *levels: int) -> Decision:
    return Decision(
        not denied,
        [_level(bucket, level) for bucket, level in zip(buckets, levels, strict=True)],
        denied - 1 if denied else None,
        wait / 1e6,
    )


def _level(bucket: Bucket, level: int) -> Level:
    limit, window = bucket.limit, bucket.window_us
    return Level(
        limit,
        gcra.remaining(level, limit, window),
        gcra.reset(level, limit, window) / 1e6,
    )
