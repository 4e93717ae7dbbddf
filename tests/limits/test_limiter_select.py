from __future__ import annotations

import asyncio
import logging
import sys

import pytest
from draws import Take, draw

from anthropic_bedrock_proxy.limits.base import Bucket
from anthropic_bedrock_proxy.limits.memory import MemoryLimiter
from anthropic_bedrock_proxy.limits.redis import RedisLimiter
from anthropic_bedrock_proxy.limits.select import FILE_NAME, limiter_from_url
from anthropic_bedrock_proxy.limits.shared import SharedLimiter


def test_memory_is_shared_by_the_processes_of_the_machine(tmp_path):
    async def story():
        limiters = [
            limiter_from_url("memory://", directory=tmp_path / "new" / "data") for _ in range(2)
        ]
        assert all(isinstance(limiter, SharedLimiter) for limiter in limiters)
        for limiter, left in zip(limiters, (9, 8), strict=True):
            decision = await draw(limiter, [Take(Bucket("b", 10, 50_000), 1)])
            assert decision.levels[0].remaining == left
            await limiter.close()

    asyncio.run(story())
    assert (tmp_path / "new" / "data" / FILE_NAME).exists()


def test_without_a_place_for_the_file_each_process_counts_alone(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    limiter = limiter_from_url("memory://", directory=tmp_path / "file")
    assert isinstance(limiter, MemoryLimiter)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
def test_redis(tmp_path, scheme):
    async def story():
        limiter = limiter_from_url(f"{scheme}://user:secret@host:1/2", directory=tmp_path)
        assert isinstance(limiter, RedisLimiter)
        await limiter.close()

    asyncio.run(story())


@pytest.mark.parametrize(
    "url",
    [
        "",
        "memory",
        "memory://secret",
        "memcached://user:secret@host",
        "redis:secret",
        "redis://user:secret@host:port",
        "redis://:sec#ret@host:1",
        "rediss://host:1/0?socket_timeout=secret",
    ],
)
def test_other_urls_are_refused_without_their_passwords(tmp_path, url):
    with pytest.raises(ValueError, match="use memory://, redis://host") as caught:
        limiter_from_url(url, directory=tmp_path)
    assert "sec" not in str(caught.value)


def test_a_missing_client_is_named(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "anthropic_bedrock_proxy.limits.redis")
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(ValueError, match=r"anthropic-bedrock-proxy\[redis\]"):
        limiter_from_url("redis://host", directory=tmp_path)
