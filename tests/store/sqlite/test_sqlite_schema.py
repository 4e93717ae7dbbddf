"""The schema of the SQLite file: made once, private, and brought up to date from every version."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing

import msgspec
import pytest
from sqlite_files import KEY, counted, opened, standings, usage

from anthropic_bedrock_proxy.store.base.catalog import ModelMapping
from anthropic_bedrock_proxy.store.base.errors import StoreError
from anthropic_bedrock_proxy.store.base.usage import UsageBatch, UsageRecord, UsageTotal
from anthropic_bedrock_proxy.store.sqlite.schema import SQL, migrate


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_rows_outlive_the_process_and_migrations_run_once(tmp_path):
    path = tmp_path / "s.db"

    async def story():
        async with opened(path) as store:
            await store.keys.create(KEY, b"a" * 32)
        async with opened(path) as store:
            assert await store.keys.list() == [KEY]

    asyncio.run(story())
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute("SELECT name FROM schema_migrations").fetchall()
        assert names == [(path.name,) for path in sorted((SQL / "migrations").iterdir())]
        assert len(names) >= 3
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_sums_that_became_floats_are_the_most_that_fits_after_the_migration(tmp_path):
    """The version before let them: then no report could be made, and no budget told."""
    path = tmp_path / "s.db"
    older = tmp_path / "migrations"
    older.mkdir()
    for name in ("0001_keys_and_usage.sql", "0002_catalog.sql", "0003_money.sql"):
        shutil.copy(SQL / "migrations" / name, older)
    total = dict.fromkeys(UsageTotal.__struct_fields__, 2.0**63)
    total |= {"day": "2026-11-30", "key_id": "k", "user_id": "", "team_id": "", "model": "m"}
    total |= {"requests": 1, "errors": 0, "estimated": 0, "disconnected": 0, "unpriced": 0}
    account = {"owner": "key:k", "period": "total"}
    held = {"holder": "h", "held_nano": -(2.0**63), "expires_at": 100}
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        migrate(connection, older)
        insert(connection, "usage_daily", total)
        insert(connection, "accounts", {**account, "spent_nano": 1.5 * 2**63})
        insert(connection, "holds", {**account, **held})

    async def story():
        async with opened(path) as store:
            (found,) = await store.usage.totals(by=())
            assert msgspec.structs.astuple(found)[10:] == (2**63 - 1,) * 10
            (standing,) = await standings(store, "k")
            assert repr(standing.spent_nano) == str(2**63 - 1)

    asyncio.run(story())


def test_directory_and_files_are_private(tmp_path):
    path = tmp_path / "deep" / "data" / "s.db"

    async def story():
        async with opened(path) as store:
            await store.keys.create(KEY, b"a" * 32)
            assert {mode(file) for file in path.parent.iterdir()} == {0o600}
            assert len(list(path.parent.iterdir())) == 3, "the database, its -wal and its -shm"

    asyncio.run(story())
    assert mode(path.parent) == 0o700


def test_a_migration_is_all_or_nothing(tmp_path):
    (tmp_path / "0001_good.sql").write_text("CREATE TABLE a (x);\n")
    bad = tmp_path / "0002_bad.sql"
    bad.write_text("CREATE TABLE b (x);\nCREATE TABLE b (x);\n")
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        with pytest.raises(sqlite3.OperationalError, match="already exists"):
            migrate(connection, tmp_path)
        assert not connection.in_transaction
        bad.write_text("CREATE TABLE b (\n  x TEXT DEFAULT ';'\n);\nCREATE TABLE c (x);\n")
        migrate(connection, tmp_path)
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        assert {"a", "b", "c"} < {row["name"] for row in tables}
        bad.unlink()
        with pytest.raises(StoreError, match=r"newer version.*0002_bad"):
            migrate(connection, tmp_path)


FIRST_COLUMNS = (
    *("id", "name", "secret_hint", "created_at", "updated_at", "user_id", "is_active"),
    *("deactivated_reason", "expires_at", "rate_limit", "tpm_limit", "monthly_budget_nano"),
    *("service_tier", "cache_ttl"),
)


def insert(connection, table, row):
    columns, values = ", ".join(row), ", ".join(f":{column}" for column in row)
    connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({values})", row)


def test_a_file_of_the_first_version_is_upgraded_in_place(tmp_path):
    path = tmp_path / "s.db"
    first = tmp_path / "migrations"
    first.mkdir()
    shutil.copy(SQL / "migrations" / "0001_keys_and_usage.sql", first)
    row = msgspec.structs.asdict(KEY)
    row = {column: row[column] for column in FIRST_COLUMNS}
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        migrate(connection, first)
        insert(connection, "keys", row)

    async def story():
        async with opened(path) as store:
            assert await store.keys.list() == [KEY]
            changed = await store.keys.update("key_1", {"provider": "west"}, now=2)
            assert changed.provider == "west"
            assert await store.catalog.version() == 0
            await store.catalog.put_mapping(ModelMapping(alias="a", bedrock_id="b", updated_at=1))
        async with opened(path) as store, opened(path) as other:
            assert await store.keys.list() == [changed]
            await store.catalog.remove_mapping("a")
            assert await other.catalog.version() == 2, "what one process changes another sees"

    asyncio.run(story())


def test_what_an_older_version_learned_has_no_evidence(tmp_path):
    path = tmp_path / "s.db"
    older = tmp_path / "migrations"
    older.mkdir()
    for name in ("0001_keys_and_usage.sql", "0002_catalog.sql", "0003_money.sql"):
        shutil.copy(SQL / "migrations" / name, older)
    fields = {"model": "m", "dialect": "invoke", "kind": "beta", "name": "f", "allowed": 0,
              "source": "learned", "reason": "", "updated_at": 1}  # fmt: skip
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        migrate(connection, older)
        insert(connection, "capability_overrides", fields)

    async def story():
        async with opened(path) as store:
            (override,) = await store.catalog.overrides()
            assert (override.witnesses, override.confirmations, override.expires_at) == (
                (),
                0,
                None,
            )

    asyncio.run(story())


def test_the_usage_of_an_older_version_is_summed_and_spent(tmp_path):
    path = tmp_path / "s.db"
    older = tmp_path / "migrations"
    older.mkdir()
    for name in ("0001_keys_and_usage.sql", "0002_catalog.sql"):
        shutil.copy(SQL / "migrations" / name, older)
    november_30 = 1_795_996_800_000
    rows = [
        {"id": "1", "at_ms": november_30 - 1, "cost_nano": 1, "input_tokens": 10},
        {"id": "2", "at_ms": november_30, "cost_nano": 2, "error": "api_error"},
        {"id": "3", "at_ms": november_30 + 86_400_000, "cost_nano": 4, "estimated": 1},
        {"id": "4", "at_ms": november_30, "cost_nano": None},
        {"id": "5", "at_ms": november_30, "cost_nano": None, "key_id": "other"},
    ]
    usage_columns = UsageRecord.__struct_fields__[:20]
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        migrate(connection, older)
        key = msgspec.structs.asdict(KEY)
        insert(connection, "keys", {c: key[c] for c in (*FIRST_COLUMNS, "provider")})
        for row in rows:
            full = msgspec.structs.asdict(usage(0)) | row
            insert(connection, "usage", {column: full[column] for column in usage_columns})

    async def story():
        async with opened(path) as store:
            assert await store.keys.list() == [KEY]
            totals = await store.usage.totals(by=("day", "key_id"))
            assert [(t.day, t.key_id, t.requests, t.unpriced, t.cost_nano) for t in totals] == [
                ("2026-11-29", "k", 1, 0, 1),
                ("2026-11-30", "k", 2, 1, 2),
                ("2026-11-30", "other", 1, 1, 0),
                ("2026-12-01", "k", 1, 0, 4),
            ]
            (total,) = await store.usage.totals(by=())
            assert (total.input_tokens, total.errors, total.estimated) == (10, 1, 1)
            assert [(s.account.period, s.spent_nano) for s in await standings(store, "k")] == [
                ("2026-11", 3),
                ("2026-11-29", 1),
                ("2026-11-30", 2),
                ("2026-12", 4),
                ("2026-12-01", 4),
                ("total", 7),
            ]
            assert await standings(store, "other") == []
            first = (await store.usage.records())[0]
            assert (first.id, first.cost_nano, first.user_id, first.place) == ("1", 1, None, "")
            # A record that was there before counts no second time.
            await store.usage.append(UsageBatch((first,), "w", 1))
            assert await counted(store) == 5

    asyncio.run(story())


OPEN_MANY = """
import asyncio, sys, time
from pathlib import Path
from anthropic_bedrock_proxy.store.base.usage import UsageBatch, UsageRecord
from anthropic_bedrock_proxy.store.sqlite.store import SQLiteStore

async def main(directory, me):
    print("ready", flush=True)
    start = float(sys.stdin.readline())
    for number in range(30):
        while time.time() < start + 0.01 * number:
            pass  # all of them at the same moment: that is the point
        store = SQLiteStore(directory / f"{number}.db")
        await store.open()
        await store.usage.append(UsageBatch((UsageRecord(
            id=me, key_id="k", at_ms=1, model="m", bedrock_model_id="b", dialect="invoke"),)))
        await store.close()

asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""


def test_processes_that_start_at_once_on_a_new_file(tmp_path):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN_MANY, tmp_path, str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    start = time.time() + 0.01
    for process in processes:
        process.stdin.write(f"{start}\n")
        process.stdin.flush()
    for process in processes:
        _, errors = process.communicate(timeout=30)
        assert (process.returncode, errors) == (0, "")
    for number in range(30):
        with closing(sqlite3.connect(tmp_path / f"{number}.db")) as connection:
            assert connection.execute("SELECT count(*) FROM usage").fetchone() == (4,)
