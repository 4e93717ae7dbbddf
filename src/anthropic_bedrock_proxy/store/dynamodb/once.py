"""Counting a batch once, without transactions.

Theory of operation:
- An item that a batch changes remembers, in the same write, the number of that batch: attribute
  "w#<writer>" is {"n": number, "at": when}. Its condition is that the item has no number of this
  writer, or a lower one. So a batch that comes again, after a crash anywhere between its first
  write and its last, changes only the items that it had not changed yet.
- This builds on the journal's order: a writer's batches come one after the other, and one that
  failed comes again before the next.
- Item ("writer#<writer>", "done") says up to which number everything of a writer is counted. A
  batch at or below it is not applied again, so items may forget it: they remember the writers of
  the last minute and those whose batch broke off, and stay small (DynamoDB bills a write by the
  size of its item). A batch that broke off and comes again after `_REMEMBERED_SECONDS` may be
  counted twice in an item that many others have changed since.

Example: batch 7 of writer a1 adds 5 to two items; the process dies between the two writes.

    write                                    sum#2026-11-23           spent#key:k
    before                                   cost 10, w#a1 n=6        cost 10, w#a1 n=6
    batch 7: SET w#a1, ADD cost 5            cost 15, w#a1 n=7        (killed)
    batch 7 again, if no w#a1 or n < 7       refused: 7 < 7 fails     cost 15, w#a1 n=7
    mark_done                                writer#a1 n=7: whoever sends batch 7 once more is told
                                             so before anything is written
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

import msgspec

from ...aws.dynamodb_values import Item
from ..base.usage import UsageBatch
from .items import ItemChange
from .tables import Tables

_PREFIX: Final = "w#"
_UNNAMED: Final = "~"
_KEPT: Final = 8  # writers of 40 bytes in an item; with more, old ones are looked for
_RECENT_SECONDS: Final = 60  # a write of that writer could still be under way
_REMEMBERED_SECONDS: Final = 30 * 86_400
_DONE_SECONDS: Final = 400 * 86_400  # longer than any journal waits to be delivered
_MOST_REMOVED: Final = 64  # by one write


class Delivery(msgspec.Struct, frozen=True):
    """One batch under way, or several at once: `number` of the first, `last` of the last one."""

    writer: str
    number: int
    at: int  # epoch seconds of this try
    last: int

    @property
    def name(self) -> str:
        """Returns a row's `batch`: "<writer>#<number>", or "<writer>#<first>-<last>"."""
        several = f"-{self.last}" if self.last != self.number else ""
        return f"{self.writer}#{self.number}{several}"

    @property
    def mark(self) -> str:
        """Returns the attribute in which an item remembers this writer's last batch."""
        return f"{_PREFIX}{self.writer}"

    def wrote(self, row: Item) -> bool:
        """Tells whether a row came with this batch, alone or among several."""
        writer, _, numbers = row.get("batch", "").rpartition("#")
        if writer != self.writer:
            return False
        first, _, last = numbers.partition("-")
        return int(first) <= self.number <= int(last or first)

    def counted_in(self, item: Item) -> bool:
        """Tells whether this batch, or a later one, has changed `item` before."""
        last = item.get(self.mark)
        return last is not None and last["n"] >= self.number

    def once(self, change: ItemChange) -> ItemChange:
        """Makes `change` remember this batch in the item, on condition that it does not yet."""
        condition = "(attribute_not_exists(#w) OR #w.#n < :n)"
        more = change.update.removeprefix("SET ")
        comma = ", " if more != change.update else " "
        return ItemChange(
            update=f"SET #w = :w{comma}{more}",
            condition=f"{condition} AND {change.condition}" if change.condition else condition,
            names={**change.names, "#w": self.mark, "#n": "n"},
            values={
                **change.values,
                ":w": {"n": self.last, "at": self.at},
                ":n": self.number,
            },
        )


def delivery_of(batch: UsageBatch, *, now: int) -> Delivery:
    """Names a batch; one without a writer is named by a hash of its records' ids."""
    if batch.writer:
        last = batch.number if batch.through is None else batch.through
        return Delivery(batch.writer, batch.number, now, last)
    ids = "\n".join(sorted(record.id for record in batch.records))
    return Delivery(f"{_UNNAMED}{sha256(ids.encode()).hexdigest()[:24]}", 1, now, 1)


def is_unnamed(row: Item) -> bool:
    """Tells whether a row came with a batch without a writer."""
    batch: str = row.get("batch", "")
    return batch.startswith(_UNNAMED)


async def is_done(tables: Tables, delivery: Delivery) -> bool:
    """Tells whether everything of a batch is counted."""
    item = await tables.get(tables.names.state, _key(delivery.writer))
    return item is not None and bool(item["n"] >= delivery.number)


async def mark_done(tables: Tables, delivery: Delivery) -> None:
    """Remembers that everything of a batch, and of those before it, is counted."""
    change = ItemChange(
        update="SET #n = :n, #ttl = :ttl",
        condition="attribute_not_exists(#n) OR #n < :n",
        names={"#n": "n", "#ttl": "ttl"},
        values={":n": delivery.last, ":ttl": delivery.at + _DONE_SECONDS},
    )
    await tables.update(tables.names.state, _key(delivery.writer), change)


async def change_once(tables: Tables, key: Item, delivery: Delivery, change: ItemChange) -> bool:
    """Changes an item once for a delivery; False if that is done, or another condition failed."""
    after = await tables.update(tables.names.state, key, delivery.once(change))
    if after is None:
        return False
    await _forget_writers(tables, key, after, now=delivery.at)
    return True


async def _forget_writers(tables: Tables, key: Item, item: Item, *, now: int) -> None:
    """Removes writers that `item` need not remember any more, if there are many."""
    marks = {name: mark for name, mark in item.items() if name.startswith(_PREFIX)}
    if len(marks) <= _KEPT:
        return
    quiet = [name for name in marks if marks[name]["at"] < now - _RECENT_SECONDS]
    if len(quiet) <= _KEPT:
        return
    old = await _forgotten(tables, {name: marks[name] for name in quiet[:_MOST_REMOVED]}, now)
    if not old:
        return
    # If one of these writers has written again meanwhile, all keep their entries for now.
    numbers = {f":n{n}": item[name]["n"] for n, name in enumerate(old)}
    await tables.update(
        tables.names.state,
        key,
        ItemChange(
            update="REMOVE " + ", ".join(f"#w{n}" for n in range(len(old))),
            condition=" AND ".join(f"#w{n}.#n = :n{n}" for n in range(len(old))),
            names={f"#w{n}": name for n, name in enumerate(old)} | {"#n": "n"},
            values=numbers,
        ),
    )


async def _forgotten(tables: Tables, marks: dict[str, Any], now: int) -> list[str]:
    """Returns the marks whose batch is counted everywhere, and those that are too old."""
    writers = [name.removeprefix(_PREFIX) for name in marks]
    found = await tables.get_many(tables.names.state, map(_key, writers), ConsistentRead=False)
    done = {item["pk"]: item["n"] for item in found}
    oldest = now - _REMEMBERED_SECONDS
    return [
        name
        for name, mark in marks.items()
        if mark["at"] < oldest or done.get(_key(name.removeprefix(_PREFIX))["pk"], -1) >= mark["n"]
    ]


def _key(writer: str) -> Item:
    return {"pk": f"writer#{writer}", "sk": "done"}
