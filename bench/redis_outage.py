"""Outages of Redis as clients see them: `python -m bench.redis_outage`.

Three clients ask the real limiter ten times a second, which refuses what Redis does not count
(LIMITS_ON_FAILURE=closed). After two seconds Redis fails in one of several ways, after twenty more
it is mended, if nobody has done that by then. Told are how many were refused, how long after the
beginning the last one was, and the lines in the log ("does not count", "counts again").
"""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

sys.path[:0] = [str(Path(__file__).parents[1] / "tests" / "support")]

from redisprocess import RedisProcess  # noqa: E402  # from the path above
from redistopologies import clustered, watched  # noqa: E402

from anthropic_bedrock_proxy.limits.base import Bucket, LimiterError  # noqa: E402
from anthropic_bedrock_proxy.limits.memory import MemoryLimiter  # noqa: E402
from anthropic_bedrock_proxy.limits.redis import RedisLimiter  # noqa: E402

_CLIENTS = 3
_PAUSE_SECONDS = 0.1
_BEFORE_SECONDS, _OUTAGE_SECONDS, _AFTER_SECONDS = 2.0, 20.0, 16.0
_BUCKETS = (Bucket("b", 10**9, 60.0),)


class _Outage(NamedTuple):
    url: str
    begin: Callable[[], object]
    end: Callable[[], object]


def main() -> None:
    """Prints the table; arguments name the outages to try."""
    print(f"{'outage':28} asked refused  last after  lines")
    for name in sys.argv[1:] or _OUTAGES:
        with _OUTAGES[name]() as outage:
            asyncio.run(_try(name, outage))


async def _try(name: str, outage: _Outage) -> None:
    lines = _Lines()
    limiter = RedisLimiter(outage.url, fallback=MemoryLimiter(), fail="closed")
    running = asyncio.create_task(limiter.run())
    seen = _Seen()
    clients = [asyncio.create_task(_ask(limiter, seen)) for _ in range(_CLIENTS)]
    await asyncio.sleep(_BEFORE_SECONDS)
    began = time.monotonic()
    await asyncio.to_thread(outage.begin)
    await asyncio.sleep(_OUTAGE_SECONDS)
    await asyncio.to_thread(outage.end)
    await asyncio.sleep(_AFTER_SECONDS)
    for task in (*clients, running):
        task.cancel()
    await asyncio.gather(*clients, running, return_exceptions=True)
    await limiter.close()
    last = f"{seen.last_refused - began:.1f} s" if seen.last_refused else "-"
    print(f"{name:28} {seen.asked:5} {seen.refused:7} {last:>11}  {lines.count()}", flush=True)


class _Seen:
    """What the clients have seen."""

    asked = refused = 0
    last_refused = 0.0


async def _ask(limiter: RedisLimiter, seen: _Seen) -> None:
    while True:
        seen.asked += 1
        try:
            decision = await limiter.take(_BUCKETS, [1])
            limiter.settle(decision, _BUCKETS, [-1])
        except LimiterError:
            seen.refused += 1
            seen.last_refused = time.monotonic()
        await asyncio.sleep(_PAUSE_SECONDS)


class _Lines(logging.Handler):
    """Counts the lines of the log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._levels: list[str] = []
        logger = logging.getLogger("anthropic_bedrock_proxy.limits")
        logger.handlers, logger.propagate = [self], False

    def emit(self, record: logging.LogRecord) -> None:
        """Notes a line."""
        self._levels.append(record.levelname)

    def count(self) -> str:
        """Returns how many outages began, and ended."""
        return f"{self._levels.count('ERROR')} lost, {self._levels.count('WARNING')} again"


@contextmanager
def _read_only() -> Iterator[_Outage]:
    with RedisProcess() as server:
        yield _Outage(
            server.url,
            lambda: server.tell("REPLICAOF", "127.0.0.1", "1"),
            lambda: server.tell("REPLICAOF", "NO", "ONE"),
        )


@contextmanager
def _out_of_memory() -> Iterator[_Outage]:
    with RedisProcess() as server:
        server.tell("CONFIG", "SET", "maxmemory-policy", "noeviction")
        yield _Outage(
            server.url,
            lambda: server.tell("CONFIG", "SET", "maxmemory", "1"),
            lambda: server.tell("CONFIG", "SET", "maxmemory", "0"),
        )


@contextmanager
def _killed() -> Iterator[_Outage]:
    with RedisProcess() as server:
        yield _Outage(server.url, server.kill, server.start)


@contextmanager
def _sentinel(*, planned: bool) -> Iterator[_Outage]:
    with tempfile.TemporaryDirectory() as folder, watched(Path(folder)) as servers:

        def fail_over() -> None:
            servers.sentinel.wait_until("SENTINEL FAILOVER mymaster", b"+OK")

        yield _Outage(servers.url, fail_over if planned else servers.primary.kill, lambda: None)


@contextmanager
def _cluster() -> Iterator[_Outage]:
    with tempfile.TemporaryDirectory() as folder, clustered(Path(folder)) as cluster:
        owner = cluster.nodes[cluster.owner_of("{abp}")]
        yield _Outage(cluster.url, owner.kill, lambda: None)


_OUTAGES = {
    "read-only": _read_only,
    "out of memory": _out_of_memory,
    "killed, back after 20 s": _killed,
    "Sentinel, primary killed": lambda: _sentinel(planned=False),
    "Sentinel, planned": lambda: _sentinel(planned=True),
    "cluster, owner killed": _cluster,
}

if __name__ == "__main__":
    main()
