"""`users`, `teams`, `budgets`, `audit` and `backup`, as a user types them."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from anthropic_bedrock_proxy.store.base.ledger import Account
from anthropic_bedrock_proxy.store.sqlite.store import SQLiteStore

both = pytest.mark.parametrize("run", ["local", "remote"], indirect=True)
KINDS = pytest.mark.parametrize("kind", ["user", "team"])


def spend(owner, period, nano):
    async def story():
        store = SQLiteStore(Path("s.db"))
        await store.open()
        try:
            await store.ledger.import_spent(Account(owner, period), nano)
        finally:
            await store.close()

    asyncio.run(story())


@both
@KINDS
def test_a_life(run, document, kind):
    kinds = f"{kind}s"
    created = document(kinds, "create", "a/b", "--monthly-budget", "12.50", "--rate-limit", 5)
    assert "claude-fable-5-2" in created.pop("warnings")[0]
    assert created["created_at"] == created["updated_at"]
    assert (
        created.items()
        >= {
            "id": "a/b",
            "name": "a/b",
            "kind": kind,
            "is_active": True,
            "monthly_budget_usd": 12.5,
            "rate_limit": 5,
            "tpm_limit": None,
        }.items()
    )
    assert document(kinds, "show", "a/b") == created
    assert document(kinds, "list") == {kinds: [created]}
    assert "12.50" in run(kinds, "list").stdout
    words = ("--name", "A", "--inactive", "--rate-limit", "none")
    changed = document(kinds, "update", "a/b", *words)
    assert (changed["name"], changed["rate_limit"]) == ("A", None)
    assert (changed["is_active"], changed["deactivated_reason"]) == (False, "disabled")
    assert "disabled" in run(kinds, "list").stdout
    assert "Warning: no price" in run(kinds, "update", "a/b", "--daily-budget", 1).stderr
    active = document(kinds, "update", "a/b", "--active")
    assert (active["is_active"], active["deactivated_reason"]) == (True, None)
    assert document(kinds, "remove", "a/b") == {"id": "a/b", "removed": True}
    assert document(kinds, "list") == {kinds: []}


@both
@KINDS
def test_refusals(run, kind):
    kinds = f"{kind}s"
    for word in ("show", "remove"):
        assert (
            run(kinds, word, "x").stderr
            == f"Error: no {kind} has the id x, and no {kind} is named so\n"
        )
    assert run(kinds, "update", "x").exit_code == 2
    assert run(kinds, "create", "a b").exit_code == 1
    assert run(kinds, "create", "a", "--daily-budget", "-1").exit_code == 2
    assert run(kinds, "create", "a").exit_code == 0
    again = run(kinds, "create", "a", "--json")
    assert (again.exit_code, again.stdout) == (1, "")


@both
def test_budgets(run, document):
    key = document("keys", "create", "--name", "a", "--total-budget", 10)["id"]
    spend(f"key:{key}", "total", 2_500_000_000)
    spend(f"key:{key}", "2001-02", 1)
    month, day, total = document("budgets", "show", "key", key)["budgets"]
    assert [row["kind"] for row in (month, day, total)] == ["month", "day", "total"]
    assert (month["budget_usd"], month["remaining_usd"], month["spent_usd"]) == (None, None, 0)
    assert month["resets_at"].endswith("-01T00:00:00Z")
    assert total == {
        "kind": "total",
        "period": "total",
        "budget_usd": 10,
        "spent_usd": 2.5,
        "held_usd": 0,
        "remaining_usd": 7.5,
        "resets_at": None,
    }
    assert run("budgets", "show", "key", key).stdout.splitlines()[-1].split() == [
        *("total", "10.00", "2.50", "0.00", "7.50", "-")
    ]
    history = document("budgets", "history", "key", key)["history"]
    assert [(row["period"], row["spent_usd"]) for row in history] == [
        ("2001-02", 1e-9),
        ("total", 2.5),
    ]
    spend("user:u", "total", 1)
    assert document("budgets", "show", "user", "u")["budgets"][2]["spent_usd"] == 1e-9
    assert (
        run("budgets", "show", "team", "u").stderr
        == "Error: no team has the id u, and no team is named so\n"
    )
    assert run("budgets", "show", "account", "u").exit_code == 2


@both
def test_audit(run, document):
    assert document("audit") == {"records": []}
    created = document("keys", "create", "--name", "a", "--monthly-budget", "0.1")
    document("keys", "update", created["id"], "--monthly-budget", "0.2", "--name", "b")
    document("teams", "create", "t")
    newest, changed, made = document("audit")["records"]
    assert newest["action"] == "teams.create"
    assert (made["before"], made["after"]["name"]) == (None, "a")
    assert changed["object"] == created["id"]
    assert changed["before"]["monthly_budget_usd"] == 0.1
    assert changed["after"]["monthly_budget_usd"] == 0.2
    assert {record["actor"] for record in (newest, changed, made)} <= {"cli", "master"}
    line = run("audit", "--object", created["id"], "--limit", 1).stdout.splitlines()[-1]
    assert line.endswith("name, monthly_budget_usd")
    assert created["key"] not in run("audit", "--json").stdout


def test_backup(run, document):
    key = document("keys", "create", "--name", "a")
    assert document("backup", "copy.db")["bytes"] == Path("copy.db").stat().st_size
    with sqlite3.connect("copy.db") as copy:
        assert "ok" in copy.execute("PRAGMA integrity_check").fetchone()
    copy.close()
    assert document("keys", "list", url="sqlite:///copy.db")["keys"][0]["id"] == key["id"]
    again = run("backup", "copy.db")
    assert again.exit_code == 1
    assert "copy.db" in again.stderr
    assert run("backup", "other.db", url="memory://").exit_code == 1
