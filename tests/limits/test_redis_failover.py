"""Redis fails over or does not take what is written: it is left, and found wherever it is then."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from clocks import Clock
from draws import Take, draw
from redisprocess import RedisProcess
from redistopologies import clustered, watched

from anthropic_bedrock_proxy.limits.base import Bucket, LimiterError
from anthropic_bedrock_proxy.limits.memory import MemoryLimiter
from anthropic_bedrock_proxy.limits.outage import FIRST_PAUSE, LONGEST_PAUSE, STEADY_SECONDS
from anthropic_bedrock_proxy.limits.redis import RedisLimiter

MANY = Bucket("many", 1000, 50_000.0)  # nothing comes back while a test runs
TRIES = 20  # in vain, while an outage lasts


@asynccontextmanager
async def opened(url, clock, **options):
    options = {"timeout_seconds": 10, "fail": "closed"} | options
    limiter = RedisLimiter(url, fallback=MemoryLimiter(), monotonic=clock, **options)
    try:
        yield limiter
    finally:
        await limiter.close()


async def take(limiter, cost=1):
    """What is left; None if the request is refused with 503. Nothing else may come of it."""
    try:
        decision = await draw(limiter, [Take(MANY, cost)])
    except LimiterError:
        return None
    return decision.levels[0].remaining


async def later(limiter, clock, seconds=LONGEST_PAUSE):
    """Lets time pass, asks once, and waits until the call that nobody waits for has ended."""
    await idle(limiter)
    clock.now += seconds
    await take(limiter, 0)
    await idle(limiter)


async def idle(limiter):
    while limiter._courier is not None:
        await asyncio.sleep(0.001)


async def back(limiter, clock):
    """Waits until Redis is asked again, and then until the outage is over."""
    for _ in range(100):
        if not limiter.degraded:
            break
        await later(limiter, clock)
        await asyncio.sleep(0.05)
    assert not limiter.degraded
    await later(limiter, clock, STEADY_SECONDS)


def clients_of(server):
    """How many connections others have to it."""
    return server.tell_all("CLIENT", "LIST", "TYPE", "normal").count(b" cmd=") - 1


class Relay:
    """Leads new connections to one server or another, and answers after `delay` seconds."""

    def __init__(self, url):
        self.delay = 0
        self.lead_to(url)

    def lead_to(self, url):
        self.target = urlsplit(url)

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        port = self.server.sockets[0].getsockname()[1]
        self.url = f"redis://127.0.0.1:{port}"
        self.tasks = set()
        return self

    async def __aexit__(self, *_):
        self.server.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def serve(self, reader, writer):
        self.tasks.add(asyncio.current_task())
        there, to_there = await asyncio.open_connection(self.target.hostname, self.target.port)
        try:
            await asyncio.gather(self.pump(reader, to_there), self.pump(there, writer))
        finally:
            writer.close()
            to_there.close()

    async def pump(self, reader, writer):
        while data := await reader.read(65_536):
            await asyncio.sleep(self.delay / 2)
            writer.write(data)
        writer.close()


def told(caplog):
    return [record.levelno for record in caplog.records if record.name.endswith("limits")]


ONCE = [logging.ERROR, logging.INFO]


class Refusal:
    """A server that answers, but not as a primary does."""

    def __init__(self, begin, end, *setup):
        self.begin, self.end, self.setup = begin, end, setup


REFUSALS = {
    "read-only": Refusal("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
    "replica without its primary": Refusal(
        "REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", "CONFIG SET replica-serve-stale-data no"
    ),
    "out of memory": Refusal(
        "CONFIG SET maxmemory 1",
        "CONFIG SET maxmemory 0",
        "CONFIG SET maxmemory-policy noeviction",
    ),
    "too few replicas": Refusal(
        "CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0"
    ),
    "no permission": Refusal("ACL SETUSER default -set", "ACL SETUSER default +set"),
    "no scripts": Refusal(
        "ACL SETUSER default -evalsha -eval", "ACL SETUSER default +evalsha +eval"
    ),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_a_server_that_refuses_writes_is_one_outage(what, caplog):
    refusal, clock = REFUSALS[what], Clock()

    async def story(server):
        async with opened(server.url, clock) as limiter:
            assert await take(limiter) == 999
            server.tell(*refusal.begin.split())
            assert await take(limiter) is None
            for _ in range(TRIES):
                await later(limiter, clock)
                assert limiter.degraded
                assert clients_of(server) == 0, "every connection is closed"
            server.tell(*refusal.end.split())
            await later(limiter, clock)
            assert await take(limiter) == 998
            await later(limiter, clock, STEADY_SECONDS)
            assert limiter.counts.refused == 2 + TRIES

    with RedisProcess() as server:
        for line in refusal.setup:
            server.tell(*line.split())
        asyncio.run(story(server))
    assert told(caplog) == ONCE


def test_an_address_that_leads_to_another_server_is_followed(caplog):
    """A virtual IP address, a balancer or DNS names the new primary; the old one lives on."""
    clock = Clock()

    async def story(old, new):
        async with Relay(old.url) as relay, opened(relay.url, clock) as limiter:
            assert await take(limiter) == 999
            relay.lead_to(new.url)
            assert await take(limiter) == 998, "as long as the old one counts"
            old.tell("REPLICAOF", "127.0.0.1", str(new.port))
            assert await take(limiter) is None
            await later(limiter, clock, FIRST_PAUSE)
            assert await take(limiter, 5) == 995, "the new one is empty"
            await back(limiter, clock)
            assert limiter.counts.refused == 2

    with RedisProcess() as old, RedisProcess() as new:
        asyncio.run(story(old, new))
    assert told(caplog) == ONCE


def test_a_server_that_answers_now_and_then_is_one_outage(caplog):
    """The try succeeds, what requests ask does not; 40 times."""
    clock = Clock()

    async def story(server):
        async with opened(server.url, clock) as limiter:
            for _ in range(40):
                server.tell("REPLICAOF", "127.0.0.1", "1")
                assert await take(limiter) is None
                server.tell("REPLICAOF", "NO", "ONE")
                await later(limiter, clock)
                assert not limiter.degraded
            await back(limiter, clock)

    with RedisProcess() as server:
        asyncio.run(story(server))
    assert told(caplog) == ONCE


def test_a_server_that_is_too_slow_for_requests_is_not_asked_again(caplog):
    """It answers a try within a second, but no request within LIMITS_TIMEOUT."""
    clock = Clock()

    async def story(server):
        async with (
            Relay(server.url) as relay,
            opened(relay.url, clock, timeout_seconds=0.4) as limiter,
        ):
            assert await take(limiter) == 999
            relay.delay = 0.3
            for _ in range(3):
                await later(limiter, clock)
                assert limiter.degraded
            relay.delay = 0
            await back(limiter, clock)
            assert await take(limiter) is not None

    with RedisProcess() as server:
        asyncio.run(story(server))
    assert told(caplog) == ONCE


def test_it_is_connected_and_heard_before_the_first_request(caplog):
    async def connected(server):
        async with opened(server.url, Clock()) as limiter:
            running = asyncio.create_task(limiter.run())
            async with asyncio.timeout(10):
                while not clients_of(server):
                    await asyncio.sleep(0.001)
            running.cancel()
            await asyncio.wait([running])
            assert limiter.counts.calls == 1
            assert told(caplog) == []

    async def in_vain(server):
        async with opened(server.url, Clock()) as limiter:
            running = asyncio.create_task(limiter.run())
            async with asyncio.timeout(10):
                while not told(caplog):
                    await asyncio.sleep(0.001)
            running.cancel()
            await asyncio.wait([running])
            assert limiter.degraded

    with RedisProcess() as server:
        asyncio.run(connected(server))
        server.kill()
        asyncio.run(in_vain(server))
    assert told(caplog) == [logging.ERROR]


def test_running_can_be_ended_at_any_moment_of_connecting():
    async def story(server):
        for steps in range(30):
            async with opened(server.url, Clock()) as limiter:
                running = asyncio.create_task(limiter.run())
                for _ in range(steps):
                    await asyncio.sleep(0)
                running.cancel()
                _, pending = await asyncio.wait([running], timeout=5)
                assert not pending

    with RedisProcess() as server:
        asyncio.run(story(server))


def test_an_idle_connection_that_was_closed_is_replaced_unnoticed(caplog):
    async def story(server):
        async with opened(server.url, Clock()) as limiter:
            assert await take(limiter) == 999
            server.tell("CLIENT", "KILL", "TYPE", "normal")
            await asyncio.sleep(0.01)  # idle: the loop sees the end of the connection
            assert await take(limiter) == 998

    with RedisProcess() as server:
        asyncio.run(story(server))
    assert told(caplog) == []


@pytest.mark.parametrize("planned", [True, False], ids=["planned", "killed"])
def test_sentinel_names_the_new_primary(tmp_path, caplog, planned):
    clock = Clock()

    async def story(servers):
        async with opened(servers.url, clock) as limiter:
            assert await take(limiter) == 999
            servers.replica.wait_until("DBSIZE", b":1")  # it has heard of it
            if planned:
                servers.sentinel.wait_until("SENTINEL FAILOVER mymaster", b"+OK")
            else:
                servers.primary.kill()
                assert await take(limiter) is None
            port = str(servers.replica.port).encode()
            servers.sentinel.wait_until("SENTINEL GET-MASTER-ADDR-BY-NAME mymaster", port)
            await take(limiter, 0)
            await back(limiter, clock)
            assert await take(limiter) == 998, "the replica knew what had been counted"

    with watched(tmp_path) as servers:
        asyncio.run(story(servers))
        servers.replica.wait_until("ROLE", b"master")
    # The primary that stands down closes its connections: between two requests nobody notices.
    assert told(caplog) == ONCE or (planned and not told(caplog))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with clustered(tmp_path_factory.mktemp("cluster")) as servers:
        yield servers


def test_a_cluster_gives_the_slot_to_a_replica(cluster, caplog):
    clock = Clock()

    async def story(owner, replica):
        async with opened(cluster.url, clock) as limiter:
            before = await take(limiter)
            replica.wait_until("DBSIZE", b":1")  # it has heard of it
            owner.kill()
            assert await take(limiter) is None
            replica.wait_until("ROLE", b"master")
            replica.wait_until("CLUSTER INFO", b"cluster_state:ok")
            await back(limiter, clock)
            assert await take(limiter) == before - 1

    number = cluster.owner_of("{abp}")
    asyncio.run(story(cluster.nodes[number], cluster.nodes[number + 3]))
    cluster.nodes[number].start()
    assert told(caplog) == ONCE
