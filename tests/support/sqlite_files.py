"""A store over a SQLite file, and what tests write to it."""

from __future__ import annotations

from contextlib import asynccontextmanager

from anthropic_bedrock_proxy.store.base.callers import KeyRecord
from anthropic_bedrock_proxy.store.base.usage import UsageBatch, UsageRecord
from anthropic_bedrock_proxy.store.sqlite.store import SQLiteStore

KEY = KeyRecord(id="key_1", name="n", secret_hint="h", created_at=1, updated_at=1)


@asynccontextmanager
async def opened(path, **options):
    store = SQLiteStore(path, **options)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def standings(store, key_id):
    return await store.ledger.standings(f"key:{key_id}", now=0)


async def counted(store) -> int:
    return sum(total.requests for total in await store.usage.totals())


def batch(start: int, stop: int) -> UsageBatch:
    return UsageBatch(tuple(usage(number) for number in range(start, stop)), "w", start)


def usage(number: int) -> UsageRecord:
    return UsageRecord(
        id=str(number), key_id="k", at_ms=1, model="m", bedrock_model_id="b", dialect="invoke"
    )
