"""Holds for what dead processes spent, until it is delivered."""

from __future__ import annotations

import asyncio

import pytest
from journals import Held, drain, line, record

from anthropic_bedrock_proxy.store.base.errors import StoreError
from anthropic_bedrock_proxy.store.base.ledger import Account
from anthropic_bedrock_proxy.store.journal import Journal
from anthropic_bedrock_proxy.store.segment import BATCH, Name, Segment


def test_what_the_dead_spent_is_told_by_writer_until_it_is_delivered(tmp_path, store):
    paid = {"at_ms": 0, "cost_nano": 5, "team_id": "t"}
    for number, name in enumerate(["a", "b", "a"]):
        segment = Segment.create(tmp_path, Name(name, number))
        for one in range(BATCH + 1):
            segment.append(line(f"{name}{number}-{one}", **paid))
        segment.append(line(f"{number} unpriced"))
        segment.append(b"no record\n")
        segment.close()
    living = Journal(tmp_path)
    living.append(record("mine", **paid))
    ledger = Held()
    journal = Journal(tmp_path, ledger)
    store.down = True
    asyncio.run(journal.hold_inherited())
    told = dict(ledger.by_writer)
    assert set(told) == {"a", "b"}, "not what the living spent"
    assert told["a"][Account("key:k", "1970-01")] == 2 * 5 * (BATCH + 1)
    assert told["b"] == {
        Account(owner, period): 5 * (BATCH + 1)
        for owner in ("key:k", "team:t")
        for period in ("1970-01", "1970-01-01", "total")
    }
    with pytest.raises(StoreError):
        drain(journal, store)
    assert ledger.by_writer == told
    store.down = False
    drain(journal, store)
    assert ledger.by_writer == {}


def test_the_ledger_holds_what_the_dead_spent_until_it_is_delivered(tmp_path, store):
    keys = [f"key_{number}" for number in range(100)]
    (tmp_path / "usage-1-dead.jsonl").write_bytes(
        b"".join(line(key, key_id=key, at_ms=0, cost_nano=5) for key in keys)
    )
    journal = Journal(tmp_path, store.ledger, now=lambda: 0.0)

    async def held(now):
        return [
            standing.held_nano
            for key in keys
            for standing in await store.ledger.standings(f"key:{key}", now=now)
        ]

    class Shut:
        async def append(self, batch):
            raise StoreError("throttled")

    async def story():
        await journal.hold_inherited(Account("key:key_7", "total"))
        assert await held(0) == [5], "at once, where it is to be lent from"
        with pytest.raises(StoreError):
            await journal.drain(Shut())
        assert await held(86_000) == [5] * 300
        await journal.drain(store.usage)
        assert await held(0) == [0] * 300
        assert (await store.usage.totals(by=()))[0].cost_nano == 500

    asyncio.run(story())
