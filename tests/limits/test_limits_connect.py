"""What LIMITS_URL can name, against real servers: TLS, users, Sentinel, a cluster that changes."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager

import pytest
from clocks import Clock
from draws import Take, draw, settle
from redisprocess import CA, RedisProcess
from redistopologies import clustered, watched

from anthropic_bedrock_proxy.limits.base import Bucket, Slot
from anthropic_bedrock_proxy.limits.memory import MemoryLimiter
from anthropic_bedrock_proxy.limits.outage import LONGEST_PAUSE
from anthropic_bedrock_proxy.limits.redis import RedisLimiter

MANY = Bucket("many", 1_000_000, 50_000.0)  # nothing comes back while a test runs
SLOT = Slot("slot", 1000)
# All that a user of Redis needs; a cluster's also `cluster|slots` and `command`.
COMMANDS = ["evalsha", "eval", "time", "get", "set", "del", "hgetall", "hset", "hdel", "pexpire"]


@asynccontextmanager
async def opened(url, **options):
    limiter = RedisLimiter(url, fallback=MemoryLimiter(), **{"timeout_seconds": 10} | options)
    try:
        yield limiter
    finally:
        await limiter.close()


async def counts(limiter):
    """Whether Redis has counted a request of several keys, and heard of its end."""
    decision = await draw(limiter, [Take(MANY, 1), Take(Bucket("few", 1000), 1)], [SLOT])
    settle(limiter, decision, [Take(MANY, 5)], [SLOT])
    await draw(limiter, [Take(MANY, 0)])
    return decision.allowed and not limiter.degraded


def connects(url, **options):
    async def story():
        async with opened(url, **options) as limiter:
            return await counts(limiter)

    return asyncio.run(story())


@pytest.fixture(scope="module")
def tls():
    with RedisProcess("--bind", "127.0.0.1 127.0.0.2", tls=True) as running:
        yield running


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with clustered(tmp_path_factory.mktemp("cluster")) as servers:
        yield servers


def test_tls_trusts_the_authorities_of_the_system(tls, monkeypatch):
    """As for ElastiCache, whose certificates are Amazon's public ones."""
    assert not connects(tls.tls_url)
    monkeypatch.setenv("SSL_CERT_FILE", str(CA))
    assert connects(tls.tls_url)


def test_tls_trusts_an_authority_of_ones_own(tls):
    assert connects(f"{tls.tls_url}?ssl_ca_certs={CA}")


def test_tls_refuses_a_server_of_another_name(tls):
    url = f"rediss://127.0.0.2:{tls.tls_port}/0?ssl_ca_certs={CA}"
    assert not connects(url)
    assert connects(f"{url}&ssl_check_hostname=false")


def test_tls_to_a_server_without_it_and_the_other_way_round(tls, caplog):
    assert not connects(f"rediss://localhost:{tls.port}/0?ssl_ca_certs={CA}", timeout_seconds=1)
    assert not connects(f"redis://localhost:{tls.tls_port}/0", timeout_seconds=1)
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2


def test_a_client_certificate(tls):
    key = CA.with_name("server.key")
    with RedisProcess("--tls-auth-clients", "yes", tls=True) as server:
        url = f"{server.tls_url}?ssl_ca_certs={CA}"
        assert not connects(url)
        assert connects(f"{url}&ssl_certfile={CA}&ssl_keyfile={key}")


def test_a_user_needs_a_few_commands_and_the_keys_of_the_prefix(caplog):
    rules = [f"+{command}" for command in [*COMMANDS, "select"]]
    with RedisProcess() as server:
        user = ("proxy", "on", ">p@ss/word", "~abp:*", "-@all", *rules)
        assert server.tell("ACL", "SETUSER", *user) == b"+OK"
        assert server.tell("ACL", "SETUSER", "default", "off") == b"+OK"
        url = f"redis://proxy:p%40ss%2Fword@127.0.0.1:{server.port}/1"
        assert connects(url)
        assert not caplog.records
        assert not connects(f"{url}?prefix=other")
        assert not connects(url.replace("%40", ""))
    assert "ss/word" not in caplog.text


def test_a_user_of_a_cluster(cluster):
    rules = [f"+{command}" for command in [*COMMANDS, "cluster|slots", "command"]]
    for node in cluster.nodes:
        answer = node.tell("ACL", "SETUSER", "proxy", "on", ">secret", "~{abp}:*", "-@all", *rules)
        assert answer == b"+OK"
    assert connects(cluster.url.replace("://", "://proxy:secret@"), fail="closed")


def test_a_prefix_keeps_installations_apart(cluster):
    async def story(url):
        async with opened(url) as one, opened(f"{url}?prefix=team-a") as other:
            first = await draw(one, [Take(Bucket("apart", 10), 10)])
            second = await draw(other, [Take(Bucket("apart", 10), 10)])
            assert first.allowed
            assert second.allowed
            assert not one.degraded
            assert not other.degraded

    asyncio.run(story(cluster.url))
    with RedisProcess() as server:
        asyncio.run(story(server.url))


def test_a_cluster_that_is_asked_as_one_server_is_named_in_the_log(cluster, caplog):
    """MOVED or CROSSSLOT: an outage, and nobody but the operator hears of it."""

    async def story(url):
        async with opened(url) as limiter:
            assert (await draw(limiter, [Take(MANY, 1)])).allowed

    for node in cluster.primaries:
        asyncio.run(story(node.url))
    assert caplog.text.count("MovedError") == 2
    assert not connects(cluster.primaries[0].url)
    assert "ClusterCrossSlotError" in caplog.text


def test_a_slot_moves_to_another_shard_under_requests(cluster, caplog):
    """ASK, TRYAGAIN and MOVED never reach a request, which waits no longer than it may."""
    owner = cluster.owner_of("{abp}")
    old, new = cluster.primaries[owner], cluster.primaries[owner - 1]
    slot = old.tell("CLUSTER", "KEYSLOT", "{abp}")[1:].decode()
    names = {node: node.tell_all("CLUSTER", "MYID").split()[1].decode() for node in (old, new)}
    slowest, clock = 0.0, Clock()

    async def take(limiter, number):
        nonlocal slowest
        began = time.monotonic()
        takes = [Take(MANY, 1), Take(Bucket(f"new {number}", 10), 1)]
        assert (await draw(limiter, takes, [SLOT])).allowed
        slowest = max(slowest, time.monotonic() - began)

    async def story():
        async with opened(cluster.url, timeout_seconds=1, monotonic=clock) as limiter:
            assert await counts(limiter)
            assert new.tell("CLUSTER", "SETSLOT", slot, "IMPORTING", names[old]) == b"+OK"
            assert old.tell("CLUSTER", "SETSLOT", slot, "MIGRATING", names[new]) == b"+OK"
            for number in range(3):
                await take(limiter, number)
            while (keys := old.tell_all("CLUSTER", "GETKEYSINSLOT", slot, "100")) != b"*0\r\n":
                for key in keys.decode().split("\r\n")[2::2]:
                    assert old.tell("MIGRATE", "127.0.0.1", str(new.port), key, "0", "5000") in {
                        b"+OK",
                        b"+NOKEY",
                    }
            for number in range(3):
                await take(limiter, number)
            for node in (new, old, cluster.primaries[owner - 2]):
                assert node.tell("CLUSTER", "SETSLOT", slot, "NODE", names[new]) == b"+OK"
            for number in range(3):
                await take(limiter, number)
            for _ in range(100):
                while limiter._courier is not None:
                    await asyncio.sleep(0.001)
                clock.now += LONGEST_PAUSE
                await take(limiter, 0)
                if not limiter.degraded:
                    break
            assert await counts(limiter)
            assert b"abp" in new.tell_all("CLUSTER", "GETKEYSINSLOT", slot, "100")

    asyncio.run(story())
    assert slowest < 2
    assert len(caplog.records) <= 1


def test_sentinels_that_hang_or_are_gone_are_passed_over(tmp_path):
    with watched(tmp_path) as servers, RedisProcess() as hanging:
        hanging.hang()
        url = servers.url.replace("://", f"://127.0.0.1:{hanging.port},")

        async def story():
            async with opened(url, timeout_seconds=2, fail="closed") as limiter:
                assert await counts(limiter)

        asyncio.run(story())
        hanging.wake()


def test_sentinels_with_a_password_and_tls(tmp_path):
    """User and password of the URL are Redis' own, those of Sentinel are parameters."""
    with watched(tmp_path, password="servers", sentinel_password="sentinels", tls=True) as servers:
        url = servers.url.replace("://", "://:servers@")
        assert connects(f"{url}&sentinel_password=sentinels", fail="open")
        assert not connects(url)
        assert not connects(f"{url}&sentinel_password=servers")
