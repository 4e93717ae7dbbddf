from __future__ import annotations

import asyncio
import logging
import sys

import pytest
from draws import Take, draw

from anthropic_bedrock_proxy.app.build import check
from anthropic_bedrock_proxy.config import SettingsError, load_settings
from anthropic_bedrock_proxy.limits.base import Bucket
from anthropic_bedrock_proxy.limits.memory import MemoryLimiter
from anthropic_bedrock_proxy.limits.redis import RedisLimiter
from anthropic_bedrock_proxy.limits.select import FILE_NAME, limiter_from_url
from anthropic_bedrock_proxy.limits.shared import SharedLimiter


def test_memory_is_shared_by_the_processes_of_the_machine(tmp_path):
    (tmp_path / "data").mkdir()

    async def story():
        limiters = [limiter_from_url("memory://", directory=tmp_path / "data") for _ in range(2)]
        assert all(isinstance(limiter, SharedLimiter) for limiter in limiters)
        for limiter, left in zip(limiters, (9, 8), strict=True):
            decision = await draw(limiter, [Take(Bucket("b", 10, 50_000), 1)])
            assert decision.levels[0].remaining == left
            await limiter.close()

    asyncio.run(story())
    assert (tmp_path / "data" / FILE_NAME).exists()


def test_a_place_for_the_file_that_is_not_there_is_told_at_once(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    limiter_from_url("memory://", directory=tmp_path / "file")
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_a_system_without_file_locks_counts_in_each_process(tmp_path, monkeypatch, caplog):
    monkeypatch.delitem(sys.modules, "anthropic_bedrock_proxy.limits.shared")
    monkeypatch.delitem(sys.modules, "anthropic_bedrock_proxy.limits.table")
    monkeypatch.setitem(sys.modules, "fcntl", None)
    limiter = limiter_from_url("memory://", directory=tmp_path)
    assert isinstance(limiter, MemoryLimiter)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


@pytest.mark.parametrize(
    "url",
    [
        "redis://user:secret@host:1/2",
        "rediss://user:secret@host:1/2?ssl_ca_certs=/ca.pem",
        "REDIS://host",
        "redis+sentinel://user:secret@one:1,two/mymaster/2?sentinel_password=secret",
        "rediss+sentinel://one/mymaster",
        "redis+cluster://user:secret@one:1,two:2/0?prefix=team-a",
        "rediss+cluster://one",
    ],
)
def test_redis(tmp_path, url):
    async def story():
        limiter = limiter_from_url(url, directory=tmp_path)
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
        "redis://host:1/0?no_such_parameter=secret",
        "redis://one:1,two:2/0?password=secret",
        "redis://host:1/0?prefix={sec}ret",
        "redis+sentinel://:secret@host:1",
        "redis+sentinel://:secret@host:1/mymaster?no_such_parameter=1",
        "redis+cluster://:secret@host:1/3",
        "redis+cluster://host:1?no_such_parameter=secret",
        "redis+other://:secret@host:1",
    ],
)
def test_other_urls_are_refused_without_their_passwords(tmp_path, url):
    with pytest.raises(ValueError, match="use memory://, redis://host") as caught:
        limiter_from_url(url, directory=tmp_path)
    assert "sec" not in str(caught.value)


def test_a_missing_client_is_named(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "anthropic_bedrock_proxy.limits.connect")
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(ValueError, match="needs the extra `redis`"):
        limiter_from_url("redis://host", directory=tmp_path)


def test_a_url_that_no_limiter_can_be_made_for_is_a_wrong_setting(tmp_path):
    """`serve` says so before it forks, instead of workers that end at once."""
    url = "redis://host:1/0?no_such_parameter=secret"
    environ = {"LIMITS_URL": url, "STORE_URL": f"sqlite:///{tmp_path}/proxy.db"}
    loaded = load_settings(environ=environ, env_file=None)
    with pytest.raises(SettingsError, match=r"LIMITS_URL: the redis:// .* parameter") as caught:
        check(loaded)
    assert "secret" not in str(caught.value)
