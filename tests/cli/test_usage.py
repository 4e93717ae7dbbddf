"""`usage`, as a user types it."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from anthropic_bedrock_proxy.admin.usage import csv_text, record_document
from anthropic_bedrock_proxy.store.base.usage import UsageBatch, UsageRecord
from anthropic_bedrock_proxy.store.sqlite.store import SQLiteStore


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
    record(
        3,
        at_ms=at(2026, 1, 2, 12),
        model="haiku",
        cache_creation_input_tokens=4,
        user_id="ann",
        team_id="red",
    ),
    record(4, at_ms=at(2026, 1, 3), key_id="key_b", error="api_error"),
]


both = pytest.mark.parametrize("run", ["local", "remote"], indirect=True)


@pytest.fixture
def usage(run):
    """Runs `usage` over the records above."""

    async def fill():
        store = SQLiteStore(Path("s.db"))
        await store.open()
        await store.usage.append(UsageBatch(tuple(RECORDS)))
        await store.close()

    asyncio.run(fill())

    def invoke(*words):
        return run("usage", *words)

    return invoke


@pytest.fixture
def document(usage):
    """The one JSON document that the command prints, its numbers exact."""

    def invoke(*words):
        result = usage(*words, "--json")
        assert (result.exit_code, result.stderr) == (0, "")
        return json.loads(result.stdout, parse_float=Decimal)

    return invoke


@both
def test_rows_are_per_key_and_model(document):
    usage = document()
    opus = usage["rows"][1]
    assert list(opus)[:2] == ["key_id", "model"]
    assert (
        opus.items()
        >= {
            "key_id": "key_a",
            "model": "opus",
            "requests": 2,
            "errors": 0,
            "unpriced": 0,
            "input_tokens": 20,
            "output_tokens": 5,
            "cache_read_input_tokens": 3,
            "cache_creation_input_tokens": 0,
            "cost_usd": Decimal("0.300000003"),
        }.items()
    )
    assert [(row["key_id"], row["model"], row["cost_usd"]) for row in usage["rows"]] == [
        ("key_a", "haiku", 0),
        ("key_a", "opus", Decimal("0.300000003")),
        ("key_b", "opus", 0),
    ]
    assert not usage["total"].keys() & {"key_id", "model", "user_id", "team_id", "day"}
    assert (
        usage["total"].items()
        >= {
            "requests": 4,
            "errors": 1,
            "unpriced": 2,
            "input_tokens": 40,
            "output_tokens": 5,
            "cache_read_input_tokens": 3,
            "cache_creation_input_tokens": 4,
            "cost_usd": Decimal("0.300000003"),
        }.items()
    )


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
        ("--since 2026-01-02T00:00:00Z", 3),
        ("--since 2026-01-03T01:00:00+01:00", 1),
        ("--key key_b", 1),
        ("--key key_a --since 2026-01-02", 2),
        ("--key unheard-of", 0),
    ],
)
def test_filters(document, words, requests):
    assert document(*words.split())["total"]["requests"] == requests


@both
def test_rows_by_user_and_team(document):
    rows = document("--by", "team", "--by", "user")["rows"]
    seen = {(row["team_id"], row["user_id"], row["key_id"]): row["requests"] for row in rows}
    assert seen == {("red", "ann", None): 1, (None, None, None): 3}


@both
def test_the_table_ends_with_the_total(usage):
    result = usage("--by", "day", "--by", "model")
    assert result.exit_code == 0
    header, *rows, total = result.stdout.splitlines()
    assert header.split()[:3] == ["DAY", "MODEL", "REQUESTS"]
    assert len(rows) == 4
    assert total.split() == ["total", "4", "1", "40", "5", "3", "4", "0.300000003", "2"]


@pytest.mark.parametrize(
    "words",
    [
        "--since yesterday",
        "--by hour",
        "--until 2026-13-01",
        "--since 2026-01-02T12:00:00Z",
        "--until 1969-12-31",
    ],
)
def test_bad_input(usage, words):
    result = usage(*words.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert words.split()[0] in result.stderr.splitlines()[-1]


def test_a_moment_within_a_day_is_refused_with_the_reason(usage):
    assert "sums are kept per day" in usage("--since", "2026-01-02T12:00:00Z").stderr


@both
def test_export_as_csv(usage):
    result = usage("export", "--since", "2026-01-02", "--key", "key_a")
    assert (result.exit_code, result.stderr) == (0, "")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["id"] for row in rows] == ["2", "3"]
    assert rows[0]["at"] == "2026-01-02T00:00:00.000Z"
    assert (rows[0]["cost_usd"], rows[1]["cost_usd"]) == ("0.200000002", "")
    assert (rows[1]["user_id"], rows[1]["stream"]) == ("ann", "false")


@both
def test_export_as_json_lines(usage):
    result = usage("export", "--format", "json", "--until", "2026-01-02T12:00:00Z")
    rows = [json.loads(line, parse_float=Decimal) for line in result.stdout.splitlines()]
    assert [row["id"] for row in rows] == ["1", "2"]
    assert rows[0]["cost_usd"] == Decimal("0.100000001")
    assert "at_ms" not in rows[0]
    assert usage("export", "--key", "nobody", "--format", "json").stdout == ""


def test_a_table_holds_no_formula():
    row = record_document(record(1, model="=1+1", user_id="@a"))
    (cells,) = csv.DictReader(io.StringIO(csv_text([row], header=True)))
    assert (cells["model"], cells["user_id"]) == ("'=1+1", "'@a")
    for begin in "+-\t\r\n\uff1d\uff0b\uff0d\uff20":
        text = csv_text([record_document(record(1, model=f"{begin}1"))], header=False)
        assert f"'{begin}1" in text
