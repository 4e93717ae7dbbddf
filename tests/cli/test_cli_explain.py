"""`explain`, as a user types it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import msgspec
import pytest

from anthropic_bedrock_proxy.store.base.usage import UsageBatch, UsageRecord
from anthropic_bedrock_proxy.store.sqlite.store import SQLiteStore
from anthropic_bedrock_proxy.telemetry.access_log import RequestLine
from anthropic_bedrock_proxy.telemetry.request_log.record import RequestRecord, encode

both = pytest.mark.parametrize("run", ["local", "remote"], indirect=True)
NOTED = f"req_{int(time.time() * 1000):011x}0123456789ab1"  # older ones are not told
BOOKED = "req_019d2f3c41a0123456789ab2"


def note():
    line = RequestLine("1970-01-01T00:00:01.000Z", "POST /v1/messages", 200, NOTED, 12.0, model="m")
    record = RequestRecord(line=msgspec.Raw(msgspec.json.encode(line)), started=1.0, ended=2.0)
    Path("requests").mkdir()
    Path("requests/00000000001-1-x.jsonl").write_bytes(encode(record) + b"\n")


def book():
    record = UsageRecord(
        id=BOOKED,
        key_id="key_a",
        model="opus",
        dialect="invoke",
        bedrock_model_id="b",
        at_ms=0x019D2F3C41A,
        latency_ms=34,
    )

    async def main():
        store = SQLiteStore(Path("s.db"))
        await store.open()
        await store.usage.append(UsageBatch((record,), "w", 1))
        await store.close()

    asyncio.run(main())


@both
def test_a_request_is_told_in_plain_words(run):
    note()
    result = run("explain", NOTED)
    assert result.exit_code == 0
    assert result.stdout.startswith("POST /v1/messages at 1970-01-01T00:00:00+00:00, for m as a")


@both
def test_one_that_is_only_booked_is_told_of_by_its_usage_record(run):
    book()
    result = run("explain", BOOKED)
    assert "Asked for opus, served by b (invoke): answered in 34 ms." in result.stdout
    assert "Only its usage record is here." in result.stdout


@both
@pytest.mark.parametrize("name", ["req_019d2f3c41a0123456789ab9", "nonsense", "../x"])
def test_one_that_nobody_knows_is_an_error_that_says_where_to_look(run, name):
    book()
    result = run("explain", name)
    assert result.exit_code == 1
    assert "nothing is known of this request" in result.stderr
    assert "on the machine that served them" in result.stderr


def test_facts_are_one_document(document):
    note()
    facts = document("explain", NOTED)
    assert (facts["source"], facts["facts"]["ended_ms"]) == ("request_log", 1000.0)
