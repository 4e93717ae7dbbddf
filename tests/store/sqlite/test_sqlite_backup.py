"""A backup is what the store held at one moment, whole, private, and over nobody's file."""

from __future__ import annotations

import asyncio
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import asynccontextmanager, closing, contextmanager

import pytest

from anthropic_bedrock_proxy.store.base.errors import AlreadyExistsError, StoreError
from anthropic_bedrock_proxy.store.base.usage import UsageBatch, UsageRecord
from anthropic_bedrock_proxy.store.sqlite.store import SQLiteStore


@asynccontextmanager
async def opened(path):
    store = SQLiteStore(path)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def batch(start: int, stop: int) -> UsageBatch:
    records = (
        UsageRecord(
            id=f"{number:06}",
            key_id="k",
            at_ms=1,
            model="m",
            bedrock_model_id="b",
            dialect="invoke",
            cost_nano=1,
        )
        for number in range(start, stop)
    )
    return UsageBatch(tuple(records), "w", start)


WRITE_FOREVER = """
import asyncio, sys
from pathlib import Path
from anthropic_bedrock_proxy.store.base.usage import UsageBatch, UsageRecord
from anthropic_bedrock_proxy.store.sqlite.store import SQLiteStore

async def main():
    store = SQLiteStore(Path(sys.argv[1]))
    await store.open()
    number = 0
    while True:
        records = tuple(
            UsageRecord(id=f"x{number:06}-{n}", key_id="k", at_ms=1, model="m",
                        bedrock_model_id="b", dialect="invoke", cost_nano=1)
            for n in range(10))
        await store.usage.append(UsageBatch(records, "x", number))
        number += 1
        print(number, flush=True)

asyncio.run(main())
"""


@contextmanager
def writing(path):
    command = [sys.executable, "-c", WRITE_FOREVER, path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        try:
            yield writer
        finally:
            writer.kill()


def test_a_backup_while_another_process_writes(tmp_path):
    path, target = tmp_path / "s.db", tmp_path / "backup.db"

    async def story():
        async with opened(path) as store:
            await store.usage.append(batch(0, 5000))
            with writing(path) as writer:
                for _ in range(5):
                    writer.stdout.readline()
                reading = asyncio.create_task(store.usage.totals(by=()))
                await store.backup(target)
                await reading
                for _ in range(5):
                    writer.stdout.readline()
        assert stat.S_IMODE(target.stat().st_mode) == 0o600
        assert sorted(file.name for file in tmp_path.glob("backup*")) == ["backup.db"]
        with closing(sqlite3.connect(target)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        async with opened(target) as copy:
            (total,) = await copy.usage.totals(by=())
            records = await copy.usage.records(limit=10**6)
            (standing,) = [
                s
                for s in await copy.ledger.standings("key:k", now=0)
                if s.account.period == "total"
            ]
            assert total.requests == len(records) == standing.spent_nano >= 5050
            assert total.requests % 10 == 0, "whole transactions"

    asyncio.run(story())


def test_a_backup_overwrites_nothing(tmp_path):
    target = tmp_path / "precious"
    target.write_text("mine")

    async def story():
        async with opened(tmp_path / "s.db") as store:
            with pytest.raises(AlreadyExistsError, match="precious exists"):
                await store.backup(target)

    asyncio.run(story())
    assert target.read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_backup_that_fails_leaves_nothing(tmp_path):
    async def story():
        async with opened(tmp_path / "s.db") as store:
            await store.usage.append(batch(0, 3000))
            soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
            try:
                with pytest.raises(StoreError, match="disk"):
                    await store.backup(tmp_path / "backup.db")
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            with pytest.raises(StoreError, match="No such file"):
                await store.backup(tmp_path / "nowhere" / "backup.db")
        assert [file.name for file in tmp_path.iterdir()] == ["s.db"]
        nothing = SQLiteStore(tmp_path / "missing.db")
        with pytest.raises(StoreError, match=r"missing\.db: the file cannot be opened"):
            await nothing.backup(tmp_path / "backup.db")
        assert [file.name for file in tmp_path.iterdir()] == ["s.db"]

    asyncio.run(story())


KILLED = """
import asyncio, resource, signal, sys
from pathlib import Path
from anthropic_bedrock_proxy.store.sqlite.backup import back_up

signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # which Python ignores
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
asyncio.run(back_up(Path(sys.argv[1]), Path(sys.argv[2])))
"""


def test_a_backup_that_was_killed_leaves_no_file_that_looks_like_one(tmp_path):
    path, target = tmp_path / "s.db", tmp_path / "backup.db"
    partial = tmp_path / "backup.db.partial"

    async def make():
        async with opened(path) as store:
            await store.usage.append(batch(0, 100))

    async def again():
        async with opened(path) as store:
            with pytest.raises(AlreadyExistsError, match="partial exists: another backup"):
                await store.backup(target)
            assert partial.exists(), "it may be another's"
            partial.unlink()
            await store.backup(target)

    asyncio.run(make())
    done = subprocess.run([sys.executable, "-c", KILLED, path, target], check=False)
    assert done.returncode == -signal.SIGXFSZ
    assert (target.exists(), partial.exists()) == (False, True)
    asyncio.run(again())
    assert [file.name for file in tmp_path.glob("backup*")] == ["backup.db"]
