"""Folders, the SQLite file and open files of a machine, in every state."""

from __future__ import annotations

import asyncio
import resource
import shutil
import sqlite3
from typing import NamedTuple

import pytest

from anthropic_bedrock_proxy.diagnosis.machine import (
    check_folder,
    check_log,
    check_open_files,
    check_sqlite,
)
from anthropic_bedrock_proxy.store.sqlite.schema import SQL
from anthropic_bedrock_proxy.store.sqlite.store import SQLiteStore

MIGRATIONS = {path.name for path in (SQL / "migrations").glob("*.sql")}


class Usage(NamedTuple):
    free: int


def test_a_folder_that_is_there_and_one_that_will_be(tmp_path):
    assert check_folder(tmp_path).state == "ok"
    later = check_folder(tmp_path / "a" / "b")
    assert (later.state, "made at the first start" in later.found) == ("ok", True)
    assert list(tmp_path.iterdir()) == []


def test_the_file_of_the_log_is_made_in_a_folder_that_is_there(tmp_path):
    assert check_log(tmp_path / "proxy.log").state == "ok"
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "proxy.log").write_text("a line\n")
    assert check_log(tmp_path / "proxy.log").state == "ok"
    for never in (tmp_path, tmp_path / "nowhere" / "proxy.log", tmp_path / "proxy.log" / "x"):
        line = check_log(never)
        assert (line.state, str(never) in line.found) == ("fail", True)
        assert "LOG_OUTPUT" in line.mend


def test_a_file_where_a_folder_should_be(tmp_path):
    (tmp_path / "data").write_text("")
    line = check_folder(tmp_path / "data" / "journal")
    assert (line.state, str(tmp_path / "data") in line.found) == ("fail", True)


@pytest.mark.parametrize(
    ("free", "state"), [(2 * 1024**3, "ok"), (500 * 1024**2, "warn"), (1024**2, "fail")]
)
def test_room(tmp_path, monkeypatch, free, state):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(free))
    assert check_folder(tmp_path).state == state


class TestTheSQLiteFile:
    @pytest.fixture
    def path(self, tmp_path):
        async def make():
            store = SQLiteStore(tmp_path / "proxy.db")
            await store.open()
            await store.close()

        asyncio.run(make())
        return tmp_path / "proxy.db"

    def test_is_not_there_yet(self, tmp_path):
        line = check_sqlite(tmp_path / "none.db", MIGRATIONS)
        assert (line.state, "not there yet" in line.found) == ("ok", True)
        assert list(tmp_path.iterdir()) == []

    def test_is_current(self, path):
        assert check_sqlite(path, MIGRATIONS).state == "ok"

    def test_is_of_an_older_version(self, path):
        line = check_sqlite(path, MIGRATIONS | {"0099_more.sql"})
        assert (line.state, "1 migrations to do" in line.found) == ("warn", True)

    def test_is_of_a_newer_version(self, path):
        line = check_sqlite(path, MIGRATIONS - {"0007_keys_by_age.sql"})
        assert (line.state, "0007_keys_by_age.sql" in line.found) == ("fail", True)

    def test_is_empty_or_noise(self, tmp_path):
        path = tmp_path / "odd.db"
        path.write_bytes(b"")
        assert check_sqlite(path, MIGRATIONS).state == "warn"
        path.write_bytes(b"noise" * 1000)
        assert check_sqlite(path, MIGRATIONS).state == "fail"

    def test_is_locked_by_somebody(self, path):
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        other.execute("INSERT INTO schema_migrations (name) VALUES ('x')")
        line = check_sqlite(path, MIGRATIONS)
        other.close()
        assert (line.state, "locked" in line.found) == ("fail", True)


@pytest.mark.parametrize(
    ("hard", "state"), [(resource.RLIM_INFINITY, "ok"), (264, "ok"), (263, "warn")]
)
def test_open_files(monkeypatch, hard, state):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100, hard))
    line = check_open_files(100)
    assert line.state == state
    if state == "warn":
        assert "MAX_CLIENT_CONNECTIONS=99" in line.mend
