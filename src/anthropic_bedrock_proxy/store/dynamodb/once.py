"""Counting a batch once, without transactions.

An item that a batch changes remembers, in the same write, which was the last batch of that writer:
attribute "w#<writer>" holds its number and when it came. The same batch again, after a crash
anywhere between its first write and its last, changes only what it had not changed yet. This
builds on the journal's order: a writer's batches come one after the other, and one that failed
comes again before the next.

What is remembered is bounded: the last `_KEPT` writers, and any of the last days up to `_MOST`. A
batch that lay about for longer than that and had been counted in part would be counted twice there.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

import msgspec

from ...aws.dynamodb_values import Item
from ..records import UsageBatch
from .tables import Change, Tables

_PREFIX: Final = "w#"
_KEPT: Final = 64
_MOST: Final = 512  # some 40 KB: DynamoDB bills a write by the size of its item
_REMEMBERED_SECONDS: Final = 8 * 86_400
_MOST_REMOVED: Final = 64  # by one write


class Delivery(msgspec.Struct, frozen=True):
    """One batch on its way."""

    writer: str
    number: int
    at: int  # epoch seconds, now

    @property
    def name(self) -> str:
        """What rows say about where they came from."""
        return f"{self.writer}#{self.number}"

    def counted_in(self, item: Item) -> bool:
        """Whether this batch has changed `item` before."""
        last = item.get(f"{_PREFIX}{self.writer}")
        return last is not None and last["n"] >= self.number

    def once(self, change: Change) -> Change:
        """`change`, whose update begins with SET, for an item that was not changed so before."""
        condition = "(attribute_not_exists(#w) OR #w.#n < :n)"
        return Change(
            update=change.update.replace("SET ", "SET #w = :w, ", 1),
            condition=f"{condition} AND {change.condition}" if change.condition else condition,
            names={**change.names, "#w": f"{_PREFIX}{self.writer}", "#n": "n"},
            values={
                **change.values,
                ":w": {"n": self.number, "at": self.at},
                ":n": self.number,
            },
        )


def delivery_of(batch: UsageBatch, *, now: int) -> Delivery:
    """What a batch is known by: one without a writer by the ids of its records."""
    if batch.writer:
        return Delivery(batch.writer, batch.number, now)
    ids = "\n".join(sorted(record.id for record in batch.records))
    return Delivery(f"~{sha256(ids.encode()).hexdigest()[:24]}", 1, now)


async def forget_writers(tables: Tables, key: Item, item: Item, *, now: int) -> None:
    """Forgets those that `item` need not remember any more, if there are many."""
    old = _forgotten(item, now)[:_MOST_REMOVED]
    if not old:
        return
    # A writer that comes back in this very moment keeps its entry, and the others theirs for now.
    numbers = {f":n{n}": item[name]["n"] for n, name in enumerate(old)}
    await tables.update(
        tables.names.state,
        key,
        Change(
            update="REMOVE " + ", ".join(f"#w{n}" for n in range(len(old))),
            condition=" AND ".join(f"#w{n}.#n = :n{n}" for n in range(len(old))),
            names={f"#w{n}": name for n, name in enumerate(old)} | {"#n": "n"},
            values=numbers,
        ),
    )


def _forgotten(item: dict[str, Any], now: int) -> list[str]:
    """Oldest first."""
    names = [name for name in item if name.startswith(_PREFIX)]
    if len(names) <= _KEPT:
        return []
    names.sort(key=lambda name: (item[name]["at"], name))
    oldest = now - _REMEMBERED_SECONDS
    return [
        name
        for place, name in enumerate(names[:-_KEPT])
        if item[name]["at"] < oldest or place < len(names) - _MOST
    ]
