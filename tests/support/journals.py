"""Journals in tests: what is written to them, and who listens to what they deliver."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import msgspec

from anthropic_bedrock_proxy.store.base.errors import StoreError
from anthropic_bedrock_proxy.store.base.usage import UsageBatch, UsageRecord
from anthropic_bedrock_proxy.store.segment import encode


def record(identity: object, **fields) -> UsageRecord:
    return UsageRecord(
        **{"id": str(identity), "key_id": "k", "at_ms": 1, "model": "m", "dialect": "invoke"}
        | {"bedrock_model_id": "b"}
        | fields
    )


def line(identity: object, **fields) -> bytes:
    return encode(record(identity, **fields))


def segments(directory: Path) -> list[Path]:
    return sorted(directory.glob("usage-*.jsonl"))


def errors(caplog) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def drain(journal, store) -> int:
    return asyncio.run(journal.drain(store.usage))


class Listener:
    """A log that remembers what it was given, and fails whenever it is told to."""

    batches_at_once = 1

    def __init__(self):
        self.batches: list[UsageBatch] = []
        self.fail_at = set()  # which calls, counted from 1
        self.calls = 0

    async def append(self, batch):
        self.calls += 1
        self.batches.append(msgspec.structs.replace(batch, through=None))
        if self.calls in self.fail_at:
            raise StoreError("maybe it arrived, maybe not")

    @property
    def numbers(self):
        return [batch.number for batch in self.batches]

    @property
    def ids(self):
        return [record.id for batch in self.batches for record in batch.records]


class Held:
    """A ledger that only tells what is held for the dead, by writer."""

    def __init__(self):
        self.by_writer = {}

    async def hold(self, holds, *, holder, until):
        del until
        held = self.by_writer.pop(holder, {}) | holds
        if held := {account: nano for account, nano in held.items() if nano}:
            self.by_writer[holder] = held


def listen(journal, log) -> int:
    return asyncio.run(journal.drain(log))
