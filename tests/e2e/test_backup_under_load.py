"""A backup that is taken while clients ask without a pause, restored: its books are balanced."""

from __future__ import annotations

import asyncio
import json
import shutil
import urllib.request
from decimal import Decimal

import pytest
from servers import MASTER_KEY, start_proxy, wait_for
from streaming import post

CLIENTS = 8
FIRST = 16  # answers that have reached the store before the load begins


async def ask(proxy):
    answer = await post(proxy.url, proxy.key, stream=False)
    assert answer.status == 200


async def load_around(proxy, work):
    """Asks from several clients at once until `work`, in a thread, has ended; tells how often."""
    asked = 0
    done = asyncio.create_task(asyncio.to_thread(work))

    async def client():
        nonlocal asked
        while not done.done():
            await ask(proxy)
            asked += 1

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    await done
    return asked


def admin(proxy, path):
    """The document of one operation of the proxy's admin API, amounts exact."""
    request = urllib.request.Request(
        f"{proxy.url}/admin/api/{path}", headers={"x-api-key": MASTER_KEY}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer, parse_float=Decimal)


def requests_of(proxy):
    return admin(proxy, "usage")["total"]["requests"]


def records_of(proxy):
    """Every usage record, page by page."""
    found, after = [], ""
    while after is not None:
        page = admin(proxy, f"usage/records?limit=1000{after and '&after='}{after}")
        found += page["records"]
        after = page["next"]
    return found


@pytest.fixture
def backed_up(start, tmp_path):
    """A proxy, a copy of its store that was made under load, and the answers meanwhile."""
    proxy = start(WORKERS="2", JOURNAL_INTERVAL="0.05")
    proxy.command("keys", "update", proxy.key_id, "--total-budget", "100")

    async def first():
        for _ in range(FIRST):
            await ask(proxy)

    asyncio.run(first())
    wait_for(
        lambda: requests_of(proxy) == FIRST,
        "the first answers are in the store",
    )
    copy = tmp_path / "copy.db"
    asked = asyncio.run(load_around(proxy, lambda: proxy.command("backup", str(copy))))
    return proxy, copy, asked


def test_a_backup_under_load_is_restored_with_equal_sums(backed_up, simulator, tmp_path):
    proxy, copy, asked = backed_up
    assert asked >= CLIENTS
    assert proxy.stop() == 0
    folder = tmp_path / "restored"
    folder.mkdir()
    shutil.copy(copy, folder / "proxy.db")
    with start_proxy(folder, simulator, make_key=False, JOURNAL_INTERVAL="0.05") as restored:
        restored.key_id, restored.key = proxy.key_id, proxy.key
        before = check_books(restored)
        assert FIRST <= before <= FIRST + asked
        asyncio.run(ask(restored))
        wait_for(lambda: requests_of(restored) == before + 1, "the next answer is counted")
        assert check_books(restored) == before + 1


def check_books(proxy):
    """Compares sums, records and what was spent; returns how many requests are in them."""
    total, records = admin(proxy, "usage")["total"], records_of(proxy)
    assert total["requests"] == len(records)
    for name in ("input_tokens", "output_tokens", "cost_usd"):
        assert total[name] == sum(record[name] for record in records), name
    spent = admin(proxy, f"budgets/key/{proxy.key_id}/history")["history"]
    assert {row["spent_usd"] for row in spent} == {total["cost_usd"]}
    assert len(spent) > 1
    return len(records)
