"""Every kind of store for the conformance suite: a name, and what opens an empty one.

A further implementation adds one entry to `STORES`; `OPEN(tmp_path)` is an async context manager.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from dynamo_servers import TwiceDynamoDB, dynamo_store

from anthropic_bedrock_proxy.store.base.store import Store
from anthropic_bedrock_proxy.store.memory.store import MemoryStore
from anthropic_bedrock_proxy.store.sqlite.store import SQLiteStore


@asynccontextmanager
async def running(store: Store) -> AsyncIterator[Store]:
    """The store, open inside and closed afterwards."""
    await store.open()
    try:
        yield store
    finally:
        await store.close()


STORES: dict[str, Callable[[Path], AbstractAsyncContextManager[Store]]] = {
    "sqlite": lambda directory: running(SQLiteStore(directory / "s.db")),
    "memory": lambda _: running(MemoryStore()),
    "dynalite": lambda _: dynamo_store("dynalite"),
    "dynalite-twice": lambda _: dynamo_store("dynalite", TwiceDynamoDB),
    "moto": lambda _: dynamo_store("moto"),
}
