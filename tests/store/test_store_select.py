"""STORE_URL to store."""

from __future__ import annotations

import asyncio

import pytest

from anthropic_bedrock_proxy.store.base.errors import StoreError
from anthropic_bedrock_proxy.store.memory.store import MemoryStore
from anthropic_bedrock_proxy.store.select import store_from_url


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
