"""Old usage records go, in stores that do not see to it themselves."""

from __future__ import annotations

import asyncio
import logging

import pytest

from anthropic_bedrock_proxy.store.base.usage import UsageBatch, UsageRecord
from anthropic_bedrock_proxy.store.memory.store import MemoryStore
from anthropic_bedrock_proxy.store.retention import expire_usage

DAY = 86_400


def a_record(day):
    return UsageRecord(
        id=f"req_{day}",
        key_id="key_1",
        at_ms=day * DAY * 1000,
        model="m",
        bedrock_model_id="m",
        dialect="invoke",
        cost_nano=1,
    )


def test_records_expire_every_hour_and_sums_stay(caplog):
    async def run():
        store = MemoryStore()
        await store.usage.append(UsageBatch(tuple(map(a_record, range(10)))))
        hours, left = 0, []

        async def sleep(seconds):
            nonlocal hours
            assert seconds == 3600
            left.append(len(store.usage.by_id))
            store.down = hours == 1
            hours += 1
            if hours == 4:
                raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            await expire_usage(store.usage, days=7, now=lambda: (9 + hours // 3) * DAY, sleep=sleep)
        assert left == [10, 8, 8, 7], "nothing before the first hour, nor while the store is down"
        (total,) = await store.usage.totals()
        assert (total.requests, total.cost_nano) == (10, 10)

    with caplog.at_level(logging.WARNING):
        asyncio.run(run())
    assert [record.levelname for record in caplog.records] == ["WARNING"]
