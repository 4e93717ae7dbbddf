"""What is particular to the SQLite file: schema, several processes, and everything that breaks."""

from __future__ import annotations

import asyncio
import re
import resource
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import asynccontextmanager, closing

import msgspec
import pytest

from anthropic_bedrock_proxy.store.base.callers import KeyRecord
from anthropic_bedrock_proxy.store.base.catalog import ModelMapping
from anthropic_bedrock_proxy.store.base.errors import StoreError
from anthropic_bedrock_proxy.store.base.ledger import Account
from anthropic_bedrock_proxy.store.base.usage import UsageBatch, UsageRecord, UsageTotal
from anthropic_bedrock_proxy.store.memory.store import MemoryStore
from anthropic_bedrock_proxy.store.select import store_from_url
from anthropic_bedrock_proxy.store.sqlite.file import SQLiteFile
from anthropic_bedrock_proxy.store.sqlite.schema import QUERIES, SQL, connect, migrate, spilling
from anthropic_bedrock_proxy.store.sqlite.store import SQLiteStore
from anthropic_bedrock_proxy.store.sqlite.usage import UsageRow

KEY = KeyRecord(id="key_1", name="n", secret_hint="h", created_at=1, updated_at=1)


@asynccontextmanager
async def opened(path, **options):
    store = SQLiteStore(path, **options)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


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


def test_no_stop_signal_ever_goes_to_the_thread(tmp_path):
    """The main thread may hold it back; this one would end the process."""

    async def story():
        file = SQLiteFile(tmp_path / "s.db")
        await file.open()
        try:
            return await file.run(lambda _: signal.pthread_sigmask(signal.SIG_BLOCK, ()))
        finally:
            await file.close()

    assert {signal.SIGTERM, signal.SIGINT} <= asyncio.run(story())
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


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
                ("2026-11-30", "other", 1, 1, None),
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


async def standings(store, key_id):
    return await store.ledger.standings(f"key:{key_id}", now=0)


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


def test_writers_wait_for_each_other_and_no_change_is_lost(tmp_path):
    async def story():
        stores = [SQLiteStore(tmp_path / "s.db") for _ in range(3)]
        for store in stores:
            await store.open()
        await stores[0].keys.create(KEY, b"0" * 32)
        fields = ("rate_limit", "tpm_limit", "monthly_budget_nano")
        for number in range(20):
            await asyncio.gather(
                *(
                    store.keys.update("key_1", {field: number}, now=number)
                    for store, field in zip(stores, fields, strict=True)
                )
            )
            key = await stores[0].keys.get("key_1")
            assert [getattr(key, field) for field in fields] == [number] * 3
        for store in stores:
            await store.close()

    asyncio.run(story())


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


def test_a_writer_that_does_not_let_go(tmp_path):
    path = tmp_path / "s.db"

    async def story():
        async with opened(path, busy_timeout_seconds=0.01) as store:
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                with pytest.raises(StoreError, match=r"s\.db: locked by another process"):
                    await store.keys.create(KEY, b"a" * 32)
                assert await store.keys.list() == [], "readers go on"
                other.execute("ROLLBACK")
            await store.keys.create(KEY, b"a" * 32)

    asyncio.run(story())


def test_a_file_that_is_no_database(tmp_path):
    path = tmp_path / "s.db"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreError, match="not a SQLite database"):
        asyncio.run(SQLiteStore(path).open())
    assert path.read_bytes().startswith(b"not a database"), "and it is left as it was"


def test_a_damaged_database(tmp_path):
    path = tmp_path / "s.db"

    async def fill():
        async with opened(path) as store:
            await store.keys.create(KEY, b"a" * 32)

    async def read():
        async with opened(path) as store:
            await store.keys.list()

    asyncio.run(fill())
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    with pytest.raises(StoreError, match="damaged"):
        asyncio.run(read())


def test_a_path_that_cannot_be_one(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "directory").mkdir()
    with pytest.raises(StoreError, match="file"):
        asyncio.run(SQLiteStore(tmp_path / "file" / "s.db").open())
    with pytest.raises(StoreError, match="cannot be opened"):
        asyncio.run(SQLiteStore(tmp_path / "directory").open())


def test_a_disk_that_is_full(tmp_path):
    """The limit on the size of files stands in for the disk."""

    async def story():
        async with opened(tmp_path / "s.db") as store:
            await store.usage.append(batch(0, 1))
            soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
            try:
                with pytest.raises(StoreError, match="disk"):
                    await store.usage.append(batch(1, 3000))
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            assert await counted(store) == 1, "all or none"
            await store.usage.append(batch(1, 3000))
            assert await counted(store) == 3000

    asyncio.run(story())


def test_white_box_a_database_that_is_full_says_so_and_keeps_what_it_has(tmp_path):
    async def story():
        async with opened(tmp_path / "s.db") as store:
            await store.usage.append(batch(0, 100))
            pages = await store._file.run(lambda c: c.execute("PRAGMA page_count").fetchone()[0])

            async def limit(count):
                await store._file.run(lambda c: c.execute(f"PRAGMA max_page_count = {count}"))

            await limit(pages)
            with pytest.raises(StoreError, match=r"s\.db: the disk is full"):
                await store.usage.append(batch(100, 1000))
            assert await counted(store) == 100
            await limit(2**30)
            await store.usage.append(batch(100, 1000))
            assert await counted(store) == 1000

    asyncio.run(story())


async def counted(store) -> int:
    return sum(total.requests for total in await store.usage.totals())


def batch(start: int, stop: int) -> UsageBatch:
    return UsageBatch(tuple(usage(number) for number in range(start, stop)), "w", start)


def usage(number: int) -> UsageRecord:
    return UsageRecord(
        id=str(number), key_id="k", at_ms=1, model="m", bedrock_model_id="b", dialect="invoke"
    )


def test_a_number_too_big_for_a_column_is_a_store_error(tmp_path):
    async def story():
        async with opened(tmp_path / "s.db") as store:
            await store.keys.create(KEY, b"a" * 32)
            with pytest.raises(StoreError, match="too large"):
                await store.keys.update("key_1", {"rate_limit": 2**64}, now=2)
            assert await store.keys.get("key_1") == KEY

    asyncio.run(story())


def test_before_open_and_after_close(tmp_path):
    async def story():
        store = SQLiteStore(tmp_path / "s.db")
        await store.close()
        with pytest.raises(StoreError, match="not open"):
            await store.keys.list()
        for _ in range(2):
            await store.open()
            assert await store.keys.list() == []
            await store.close()
            await store.close()
            with pytest.raises(StoreError, match="not open"):
                await store.keys.list()

    asyncio.run(story())


USE_AFTER_FORK = """
import asyncio, os, sys
from pathlib import Path
from anthropic_bedrock_proxy.store.base.errors import StoreError
from anthropic_bedrock_proxy.store.sqlite.store import SQLiteStore

store = SQLiteStore(Path(sys.argv[1]))
asyncio.run(store.open())
child = os.fork()
if child == 0:
    try:
        asyncio.run(store.keys.list())
    except StoreError as error:
        print(error, flush=True)
    os._exit(0)
os.waitpid(child, 0)
print("keys:", asyncio.run(store.keys.list()))
asyncio.run(store.close())
"""


def test_a_store_opened_before_a_fork_says_so_in_the_child(tmp_path):
    # -W: newer Pythons warn of a fork beside a thread, which is the very mistake made here.
    command = [sys.executable, "-W", "ignore", "-c", USE_AFTER_FORK, tmp_path / "s.db"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    child, parent = done.stdout.splitlines()
    assert "before a fork" in child
    assert parent == "keys: []"


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


def test_urls(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    async def touch(url):
        store = store_from_url(url)
        await store.open()
        await store.close()
        return store

    asyncio.run(touch("sqlite:///data/relative.db"))
    asyncio.run(touch(f"sqlite:///{tmp_path}/absolute.db"))
    assert (tmp_path / "data" / "relative.db").exists()
    assert (tmp_path / "absolute.db").exists()
    assert isinstance(asyncio.run(touch("memory://")), MemoryStore)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgres://user:hunter2@host/db", "no store for a URL postgres://; use sqlite:///"),
        ("data/proxy.db", "without a scheme"),
        ("sqlite://data.db", "sqlite:/// and a path"),
        ("sqlite:///", "sqlite:/// and a path"),
        ("sqlite:////", "sqlite:/// and a path"),
        ("sqlite:///x.db?mode=ro", "without parameters"),
        ("sqlite:///:memory:", "memory://"),
        ("memory://x", "no path"),
    ],
)
def test_urls_that_name_no_store(url, message):
    with pytest.raises(StoreError) as caught:
        store_from_url(url)
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)


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
