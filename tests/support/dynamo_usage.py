"""Usage for stores in DynamoDB: records, batches, and a store that may break off."""

from __future__ import annotations

from contextlib import asynccontextmanager

from dynamo_servers import client, server

from anthropic_bedrock_proxy.store.base.usage import UsageBatch, UsageRecord
from anthropic_bedrock_proxy.store.dynamodb.store import DynamoDBStore

AT_MS = 1_795_996_800_000  # 2026-11-30T00:00Z


def a_record(number: int, **fields) -> UsageRecord:
    return UsageRecord(
        **{
            "id": f"req_{AT_MS:011x}{number:04}",
            "key_id": f"key_{number % 2}",
            "at_ms": AT_MS + number,
            "model": "m",
            "bedrock_model_id": "b",
            "dialect": "invoke",
            "user_id": "u",
            "input_tokens": 1,
            "cost_nano": 10,
        }
        | fields
    )


def a_batch(number: int, count: int = 30, *, first: int = 0, writer: str = "w") -> UsageBatch:
    return UsageBatch(tuple(a_record(first + n) for n in range(count)), writer, number)


def store_of(names, kind=None, **options) -> DynamoDBStore:
    options = {"kind": kind, **options} if kind else options
    return DynamoDBStore(lambda: client(server("dynalite"), **options), names)


@asynccontextmanager
async def opened(store):
    await store.open()
    try:
        yield store
    finally:
        await store.close()
