"""Keys in the SQLite file."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

from sqlite_files import KEY, opened

from anthropic_bedrock_proxy.store.sqlite.schema import QUERIES


def test_a_page_of_keys_is_read_by_their_age(tmp_path):
    async def story():
        async with opened(tmp_path / "s.db") as store:
            await store.keys.create(KEY, b"a" * 32)

    asyncio.run(story())
    with closing(sqlite3.connect(tmp_path / "s.db")) as connection:
        parameters = {"created_at": 1, "id": "key_1", "limit": 10}
        plan = connection.execute(f"EXPLAIN QUERY PLAN {QUERIES['list_keys']}", parameters)
        (step,) = [row[3] for row in plan]
        assert step.startswith("SEARCH keys USING INDEX keys_by_age")
