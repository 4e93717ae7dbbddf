"""Usage in the SQLite file: what is read, and what is bound, to write it."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from contextlib import closing

import msgspec
import pytest
from sqlite_files import batch, counted, opened, usage

from anthropic_bedrock_proxy.store.base.usage import UsageBatch, UsageRecord, UsageTotal
from anthropic_bedrock_proxy.store.sqlite.schema import QUERIES, connect, spilling
from anthropic_bedrock_proxy.store.sqlite.usage import UsageRow


def test_many_records_expire(tmp_path):
    async def story():
        async with opened(tmp_path / "s.db") as store:
            await store.usage.append(batch(0, 12_000))
            new = UsageBatch((msgspec.structs.replace(usage(12_000), at_ms=2),), "w", 12_000)
            await store.usage.append(new)
            assert await store.usage.expire(2) == 12_000
            assert await store.usage.records() == list(new.records)
            assert await counted(store) == 12_001

    asyncio.run(story())


NEEDED = [
    ("totals", r"SEARCH usage_daily USING PRIMARY KEY \(day>\? AND day<\?\)"),
    ("totals_of_key", r"SEARCH usage_daily USING INDEX usage_daily_by_key \(key_id=\? AND day>"),
    ("list_usage", r"SEARCH usage USING PRIMARY KEY \(id>\?\)$"),
    ("list_usage_of_key", r"SEARCH usage USING INDEX usage_by_key \(key_id=\? AND id>\?\)$"),
    ("expire_usage", r"usage USING (COVERING )?INDEX usage_by_time \(at_ms<\?\)"),
    ("list_standings", r"SEARCH accounts USING PRIMARY KEY \(owner=\?\)"),
    ("list_standings", r"SEARCH holds USING PRIMARY KEY \(owner=\?\)"),
    ("list_audit_of_object", r"SEARCH audit USING INDEX audit_by_object \(object=\?"),
    ("remove_lapsed_holds", r"SEARCH holds USING PRIMARY KEY \(owner=\?\)"),
]


@pytest.mark.parametrize(("query", "step"), NEEDED)
def test_what_grows_is_searched_not_scanned(tmp_path, query, step):
    async def story():
        async with opened(tmp_path / "s.db"):
            pass

    asyncio.run(story())
    parameters = dict.fromkeys(re.findall(r":(\w+)", QUERIES[query]), 1)
    with closing(sqlite3.connect(tmp_path / "s.db")) as connection:
        plan = connection.execute("EXPLAIN QUERY PLAN " + QUERIES[query], parameters).fetchall()
    steps = [row[-1] for row in plan]
    assert any(re.search(step, one) for one in steps), steps
    if query.startswith("list_usage"):
        assert not any("TEMP B-TREE" in one for one in steps), "no page is sorted"


@pytest.mark.parametrize(
    ("query", "table", "record"),
    [("append_usage", "usage", UsageRecord), ("append_daily", "usage_daily", UsageTotal)],
)
def test_rows_are_inserted_by_position_in_the_order_of_fields(query, table, record):
    columns = re.search(rf"INSERT INTO {table} \((.*?)\)", QUERIES[query], re.DOTALL)[1]
    assert tuple(re.findall(r"\w+", columns)) == record.__struct_fields__


def test_a_column_that_was_told_once_stays_bound_so_that_statements_are_few():
    row = UsageRow()
    plain, late = usage(1), msgspec.structs.replace(usage(2), ttft_ms=0)
    failed = msgspec.structs.replace(usage(3), error="api_error", stream=True)
    texts = []
    for records in ([plain], [plain, late], [plain], [late], [failed], [plain] * 3, [late, failed]):
        text, values = row.bind(records)
        assert {len(bound) for bound in values} == {text.count("?")}
        texts.append(text)
    assert len(set(texts)) == 3
    assert [text.count("?") for text in texts] == sorted(text.count("?") for text in texts)


def test_what_is_sorted_may_spill_into_a_file(tmp_path):
    def temp_store():
        return connection.execute("PRAGMA temp_store").fetchone()[0]

    def sort():
        with spilling(connection):
            assert temp_store() == 1
            raise ZeroDivisionError

    connection, _ = connect(tmp_path / "proxy.db", 1.0)
    with closing(connection):
        assert temp_store() == 2
        with pytest.raises(ZeroDivisionError):
            sort()
        assert temp_store() == 2
