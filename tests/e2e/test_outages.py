"""The store or Redis goes away under load and comes back: nobody notices but the log.

OUTAGE_SECONDS sets for how long; the issue's figure is 60.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time

import msgspec
import pytest
from dynamo_servers import fresh_names, server
from redisprocess import RedisProcess
from relay import Relay
from servers import command, proxy_environment, wait_for
from streaming import post

SECONDS = float(os.environ.get("OUTAGE_SECONDS", "4"))
CLIENTS = 8


class LockedFile:
    """An SQLite file that somebody else is writing to, and goes on and on.

    `exclusive`: nobody can even read it; only before anybody else has opened it.
    """

    def __init__(self, path, *, exclusive=False):
        self.path = path
        self.exclusive = exclusive

    def begin(self):
        self.connection = sqlite3.connect(
            self.path, isolation_level=None, timeout=30, check_same_thread=False
        )
        if self.exclusive:
            self.connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        self.connection.execute("BEGIN IMMEDIATE")

    def end(self):
        self.connection.execute("COMMIT")
        self.connection.close()


class MovedFile:
    """An SQLite file on a volume that is not there."""

    def __init__(self, path):
        self.folder = path.parent

    def begin(self):
        self.folder.rename(self.folder.with_name("away"))

    def end(self):
        self.folder.with_name("away").rename(self.folder)


class CutRelay:
    """DynamoDB behind a network that is down."""

    def __init__(self, relay):
        self.begin, self.end = relay.cut, relay.mend


class KilledRedis:
    """A Redis that was killed, and comes back empty."""

    def __init__(self, redis):
        self.begin, self.end = redis.kill, redis.start


class ReadOnlyRedis:
    """A Redis that was made a replica: it answers, and takes nothing that is written."""

    def __init__(self, redis):
        self.redis = redis

    def begin(self):
        assert self.redis.tell("REPLICAOF", "127.0.0.1", "1") == b"+OK"

    def end(self):
        assert self.redis.tell("REPLICAOF", "NO", "ONE") == b"+OK"


@pytest.fixture(
    params=["locked file", "moved file", "moved folder", "dynamodb", "redis", "read-only redis"]
)
def stricken(request, tmp_path):
    """Settings of a proxy, and the outage that will strike it."""
    path = tmp_path / "data" / "proxy.db"
    files = {"STORE_URL": f"sqlite:///{path}", "JOURNAL_DIR": f"{tmp_path}/journal"}
    if request.param == "locked file":
        yield files, LockedFile(path)
    elif request.param == "moved file":
        yield files, MovedFile(path)
    elif request.param == "moved folder":  # with the journal, and all else of this machine
        yield {"STORE_URL": f"sqlite:///{path}"}, MovedFile(path)
    elif request.param.endswith("redis"):
        with RedisProcess() as redis:
            outage = KilledRedis if request.param == "redis" else ReadOnlyRedis
            yield {**files, "LIMITS_URL": redis.url}, outage(redis)
    else:
        relay = Relay(server("dynalite"))
        names = msgspec.structs.asdict(fresh_names())
        settings = {
            "STORE_URL": "dynamodb://",
            "DYNAMODB_ENDPOINT_URL": relay.url,
            **{f"DYNAMODB_{name.upper()}_TABLE": table for name, table in names.items()},
        }
        environment = proxy_environment(tmp_path, "http://127.0.0.1:1", settings)
        command(tmp_path, environment, "tables", "create")
        yield settings, CutRelay(relay)


async def load(url, key, outage):
    """The statuses of clients that never pause, and the longest that one of them waited."""
    statuses: list[int] = []
    slowest = 0.0
    over = asyncio.Event()

    async def client(number):
        nonlocal slowest
        while not over.is_set():
            began = time.monotonic()
            read = await post(url, key, stream=number % 2 == 0)
            slowest = max(slowest, time.monotonic() - began)
            statuses.append(read.status)

    clients = [asyncio.create_task(client(number)) for number in range(CLIENTS)]
    await asyncio.sleep(1)
    await asyncio.to_thread(outage.begin)
    try:
        await asyncio.sleep(SECONDS)
    finally:
        await asyncio.to_thread(outage.end)
    await asyncio.sleep(1)
    over.set()
    await asyncio.gather(*clients)
    return statuses, slowest


def test_an_outage_under_load(start, tmp_path, stricken):
    settings, outage = stricken
    proxy = start(tmp_path / "proxy", JOURNAL_INTERVAL="0.2", **settings)
    limits = ("--rate-limit", "10000000", "--tpm-limit", "10000000000", "--monthly-budget", "1000")
    key_id, key = proxy.create_key("limited", *limits)
    statuses, slowest = asyncio.run(load(proxy.url, key, outage))
    print(f"{len(statuses)} requests, slowest {slowest:.2f} s")
    assert set(statuses) == {200}

    def booked():
        total = proxy.command("usage", "--key", key_id)["total"]
        return total["requests"] >= len(statuses) and total

    total = wait_for(booked, "every row is there", 60)
    assert total["requests"] == len(statuses)
    assert proxy.stop() == 0, proxy.logged()
    lines = [line for line in proxy.logged().splitlines() if '"level":"error"' in line.lower()]
    assert len(lines) <= 10, "an outage is told, not repeated"
    assert sum("does not count the limits" in line for line in lines) <= 1


def test_a_store_that_is_down_at_the_start(start, tmp_path):
    """It says so, serves the master key at once and everybody else when the store comes."""
    path = tmp_path / "data" / "proxy.db"
    before = start(tmp_path / "before", STORE_URL=f"sqlite:///{path}")
    key = before.key
    assert before.stop() == 0
    lock = LockedFile(path, exclusive=True)
    lock.begin()
    try:
        proxy = start(
            tmp_path / "proxy", make_key=False, STORE_URL=f"sqlite:///{path}", JOURNAL_DIR="j"
        )
        assert asyncio.run(post(proxy.url, "master-key-of-the-tests", stream=False)).status == 200
        refused = asyncio.run(post(proxy.url, key, stream=False))
        assert refused.status == 503, "an outage is no wrong key"
        assert "retry-after" in refused.headers
        assert "the store does not answer" in proxy.logged()
    finally:
        lock.end()
    wait_for(
        lambda: asyncio.run(post(proxy.url, key, stream=False)).status == 200, "the key works", 30
    )
