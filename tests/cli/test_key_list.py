"""`keys list`: what it shows, and by what it is narrowed down."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from store_rows import a_record

from anthropic_bedrock_proxy.store.base.usage import UsageBatch
from anthropic_bedrock_proxy.store.sqlite.store import SQLiteStore

both = pytest.mark.parametrize("run", ["local", "remote"], indirect=True)


def use(key_id, at):
    async def story():
        store = SQLiteStore(Path("s.db"))
        await store.open()
        record = a_record(f"r{at}", key_id=key_id, at_ms=int(at * 1000))
        await store.usage.append(UsageBatch((record,)))
        await store.close()

    asyncio.run(story())


@both
@pytest.mark.parametrize(
    ("options", "names"),
    [
        ((), ["ci one", "CI two", "old", "other"]),
        (("--name", "ci*"), ["ci one", "CI two"]),
        (("--name", "ci"), []),
        (("--status", "active"), ["ci one", "other"]),
        (("--status", "revoked"), ["CI two"]),
        (("--status", "expired"), ["old"]),
        (("--status", "active", "--name", "ci*"), ["ci one"]),
        (("--team", "t"), ["other"]),
        (("--user", "u"), ["ci one"]),
    ],
)
def test_keys_are_narrowed_down(run, document, options, names):
    document("keys", "create", "--name", "ci one", "--user-id", "u")
    document("keys", "create", "--name", "CI two")
    document("keys", "create", "--name", "old", "--expires-at", "2001-01-01")
    document("keys", "create", "--name", "other", "--team", "t")
    document("keys", "revoke", "CI two")
    found = {key["name"] for key in document("keys", "list", *options)["keys"]}
    assert found == set(names)
    shown = run("keys", "list", *options).stdout
    assert [name in shown for name in names] == [True] * len(names)


@both
def test_limits_and_the_last_day_of_use_are_shown(run, document):
    key = document("keys", "create", "--name", "a", "--rate-limit", 60, "--concurrency-limit", 4)
    unused = document("keys", "create", "--name", "b")
    now = time.time()
    for ago in (3, 40, 2):
        use(key["id"], now - ago * 86_400)
    header, *lines = run("keys", "list").stdout.splitlines()
    assert header.split("  ")[0] == "ID"
    rows = {line.split()[0]: line for line in lines}
    assert "60 requests/min, 4 at once" in rows[key["id"]]
    assert time.strftime("%Y-%m-%d", time.gmtime(now - 2 * 86_400)) in rows[key["id"]]
    assert rows[unused["id"]].split()[-2:-1] == ["-"]


BUDGETS = (
    (("--daily-budget", 1), "1.00/day"),
    (("--monthly-budget", 50), "50.00/month"),
    (("--daily-budget", 1, "--total-budget", "0.5"), "1.00/day, 0.50 in all"),
    ((), "-"),
)


@pytest.mark.parametrize(("options", "shown"), BUDGETS)
def test_every_budget_is_shown(run, options, shown):
    run("keys", "create", "--name", "a", *options)
    run("teams", "create", "red", *options)
    for words in (("keys", "list"), ("teams", "list")):
        header, line = run(*words).stdout.splitlines()
        at = header.index("BUDGET USD")
        assert line[at:].split("  ")[0].strip() == shown
