"""`usage`, as a user types it."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner

from anthropic_bedrock_proxy.cli.main import cli
from anthropic_bedrock_proxy.store.records import UsageRecord
from anthropic_bedrock_proxy.store.sqlite import SQLiteStore


def at(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp()) * 1000


def record(identity: int, **fields) -> UsageRecord:
    return UsageRecord(
        **{"id": str(identity), "key_id": "key_a", "model": "opus", "dialect": "invoke"}
        | {"bedrock_model_id": "b", "at_ms": at(2026, 1, 1), "input_tokens": 10}
        | fields
    )


RECORDS = [
    record(1, output_tokens=5, cache_read_input_tokens=3, cost_nano=100_000_001),
    record(2, at_ms=at(2026, 1, 2), cost_nano=200_000_002),
    record(3, at_ms=at(2026, 1, 2, 12), model="haiku", cache_creation_input_tokens=4),
    record(4, at_ms=at(2026, 1, 3), key_id="key_b", error="api_error"),
]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs `usage` over the records above; away from any .env."""
    monkeypatch.chdir(tmp_path)

    async def fill():
        store = SQLiteStore(Path("s.db"))
        await store.open()
        await store.usage.append(RECORDS)
        await store.close()

    asyncio.run(fill())

    def invoke(*words):
        return CliRunner(env={"STORE_URL": "sqlite:///s.db"}).invoke(cli, ["usage", *words])

    return invoke


@pytest.fixture
def document(run):
    """The one JSON document that the command prints, its numbers exact."""

    def invoke(*words):
        result = run(*words, "--json")
        assert (result.exit_code, result.stderr) == (0, "")
        return json.loads(result.stdout, parse_float=Decimal)

    return invoke


def test_rows_are_per_key_and_model(document):
    usage = document()
    assert usage["rows"][1] == {
        "key_id": "key_a",
        "model": "opus",
        "requests": 2,
        "errors": 0,
        "input_tokens": 20,
        "output_tokens": 5,
        "cache_read_input_tokens": 3,
        "cache_creation_input_tokens": 0,
        "cost_usd": Decimal("0.300000003"),
    }
    assert [(row["key_id"], row["model"], row["cost_usd"]) for row in usage["rows"]] == [
        ("key_a", "haiku", None),
        ("key_a", "opus", Decimal("0.300000003")),
        ("key_b", "opus", None),
    ]
    assert usage["total"] == {
        "requests": 4,
        "errors": 1,
        "input_tokens": 40,
        "output_tokens": 5,
        "cache_read_input_tokens": 3,
        "cache_creation_input_tokens": 4,
        "cost_usd": Decimal("0.300000003"),
    }


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (["key"], [(None, "key_a", None, 3), (None, "key_b", None, 1)]),
        (["model"], [(None, None, "haiku", 1), (None, None, "opus", 3)]),
        (["day"], [("2026-01-01", None, None, 1), ("2026-01-02", None, None, 2),
                   ("2026-01-03", None, None, 1)]),
        (["day", "key"], [("2026-01-01", "key_a", None, 1), ("2026-01-02", "key_a", None, 2),
                          ("2026-01-03", "key_b", None, 1)]),
    ],
)  # fmt: skip
def test_rows_by(document, by, expected):
    rows = document(*(word for name in by for word in ("--by", name)))["rows"]
    seen = [(row.get("day"), row["key_id"], row["model"], row["requests"]) for row in rows]
    assert seen == expected
    assert all(("day" in row) == ("day" in by) for row in rows)


@pytest.mark.parametrize(
    ("words", "requests"),
    [
        ("--since 2026-01-02", 3),
        ("--until 2026-01-02", 1),
        ("--since 2026-01-02 --until 2026-01-03", 2),
        ("--since 2026-01-02T12:00:00Z", 2),
        ("--since 2026-01-02T12:00:01", 1),
        ("--since 2026-01-02T12:00:00+01:00", 2),
        ("--key key_b", 1),
        ("--key key_a --since 2026-01-02", 2),
        ("--key unheard-of", 0),
    ],
)
def test_filters(document, words, requests):
    assert document(*words.split())["total"]["requests"] == requests


def test_the_table_ends_with_the_total(run):
    result = run("--by", "day", "--by", "model")
    assert result.exit_code == 0
    header, *rows, total = result.stdout.splitlines()
    assert header.split()[:3] == ["DAY", "MODEL", "REQUESTS"]
    assert len(rows) == 4
    assert total.split() == ["total", "4", "1", "40", "5", "3", "4", "0.300000003"]


@pytest.mark.parametrize("words", ["--since yesterday", "--by hour", "--until 2026-13-01"])
def test_bad_input(run, words):
    result = run(*words.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert words.split()[0] in result.stderr.splitlines()[-1]
