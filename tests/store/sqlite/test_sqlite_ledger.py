"""Budgets in the SQLite file, which many processes borrow from."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

from sqlite_files import opened, standings

from anthropic_bedrock_proxy.store.base.ledger import Account
from anthropic_bedrock_proxy.store.sqlite.store import SQLiteStore


def test_processes_that_borrow_at_once_never_exceed_the_budget(tmp_path):
    async def story():
        stores = [SQLiteStore(tmp_path / "s.db") for _ in range(3)]
        for store in stores:
            await store.open()
        account = Account("key:k", "total")
        granted = await asyncio.gather(
            *(
                stores[n % 3].ledger.borrow(
                    account, holder=f"w{n}", amount_nano=7, budget_nano=100, now=0, until=60
                )
                for n in range(60)
            )
        )
        assert sum(nano for nano, _ in granted) == 100
        (standing,) = await standings(stores[0], "k")
        assert standing.held_nano == 100
        for store in stores:
            await store.close()

    asyncio.run(story())


def test_holds_of_days_that_are_over_do_not_pile_up(tmp_path):
    async def story():
        async with opened(tmp_path / "s.db") as store:
            for day in range(5):
                account = Account("key:k", f"2026-11-{day:02}")
                now = day * 86_400
                await store.ledger.borrow(
                    account, holder="w", amount_nano=1, budget_nano=9, now=now, until=now + 60
                )

    asyncio.run(story())
    with closing(sqlite3.connect(tmp_path / "s.db")) as connection:
        assert connection.execute("SELECT count(*) FROM holds").fetchone() == (1,)
