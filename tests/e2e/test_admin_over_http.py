"""`--url` against a proxy with two workers: what is changed there is in force in both of them."""

from __future__ import annotations

import asyncio

from servers import MASTER_KEY, clean_environment, command, wait_for
from streaming import MODEL, post

KEY_CACHE_TTL = 1.0
CATALOG_REFRESH = 0.3
SLACK_SECONDS = 2.0  # for a machine that is busy
CONNECTIONS = 8  # new ones each time: all on one worker is as good as excluded
REPLY = {
    "reply": {
        "content": [{"type": "text", "text": "Yes."}],
        "usage": {"input_tokens": 1000, "output_tokens": 200},
    },
    "times": "forever",
}


class Office:
    """The proxy as its operator and its clients know it: by its address."""

    def __init__(self, folder, proxy):
        self.proxy = proxy
        self._folder = folder
        self._environment = clean_environment(folder, ADMIN_API_KEY=MASTER_KEY)
        self.requests = 0

    def run(self, *arguments):
        """One command; it knows nothing of the store."""
        return command(self._folder, self._environment, *arguments, "--url", self.proxy.url)

    def ask(self, secret):
        """What a few clients are answered: status and error code, of each answer once."""

        async def ask_all():
            clients = (post(self.proxy.url, secret, stream=False) for _ in range(CONNECTIONS))
            return await asyncio.gather(*clients)

        answers = asyncio.run(ask_all())
        self.requests += sum(answer.status == 200 for answer in answers)
        return {(answer.status, b"budget_exceeded" in answer.body) for answer in answers}

    def becomes(self, secret, *outcome, seconds=KEY_CACHE_TTL):
        """Both workers answer so, within `seconds`."""
        what = f"{outcome} everywhere"
        wait_for(lambda: self.ask(secret) == {outcome}, what, seconds + SLACK_SECONDS)

    def cost_of(self, key_id):
        """USD on the books, once every request is there."""

        def booked():
            total = self.run("usage", "--key", key_id, "--by", "key")["total"]
            return total["requests"] == self.requests and total

        return wait_for(booked, "every request is on the books")["cost_usd"]


def test_a_proxy_with_two_workers_is_run_by_its_address(sim, start, tmp_path):
    sim.script([REPLY])
    proxy = start(
        make_key=False,
        WORKERS="2",
        KEY_CACHE_TTL=str(KEY_CACHE_TTL),
        CATALOG_REFRESH=str(CATALOG_REFRESH),
        JOURNAL_INTERVAL="0.1",
        REQUIRE_API_KEY="true",
    )
    office = Office(tmp_path, proxy)
    created = office.run("keys", "create", "--name", "by address", "--monthly-budget", "5000")
    key_id, secret = created["id"], created["key"]
    assert office.ask(secret) == {(200, False)}
    assert office.cost_of(key_id) == CONNECTIONS * 0.002, "Haiku's shipped price"
    follow_a_price(office, key_id, secret)
    follow_a_budget(office, key_id, secret)
    newer = follow_a_rotation(office, key_id, secret)
    assert office.run("keys", "revoke", key_id)["is_active"] is False
    office.becomes(newer, 403, False)
    check_audit(office, key_id, [secret, newer])
    assert proxy.stop() == 0, proxy.logged()
    assert secret not in proxy.logged()


def follow_a_price(office, key_id, secret):
    prices = ("--input", "100", "--output", "1000")
    assert office.run("prices", "set", MODEL, *prices)["source"] == "store"

    def everywhere():
        before = office.cost_of(key_id)
        assert office.ask(secret) == {(200, False)}
        return round(office.cost_of(key_id) - before, 9) == round(CONNECTIONS * 0.3, 9)

    wait_for(everywhere, "the new price is in force", CATALOG_REFRESH + SLACK_SECONDS)


def follow_a_budget(office, key_id, secret):
    office.run("keys", "update", key_id, "--monthly-budget", "0")
    office.becomes(secret, 403, True)
    office.run("keys", "update", key_id, "--monthly-budget", "none")
    office.becomes(secret, 200, False)


def follow_a_rotation(office, key_id, secret):
    rotated = office.run("keys", "rotate", key_id)
    assert rotated["id"] == key_id
    assert office.ask(rotated["key"]) == {(200, False)}, "the new secret works at once"
    office.becomes(secret, 401, False)
    return rotated["key"]


def check_audit(office, key_id, secrets):
    trail = office.run("audit")["records"]
    changes = [(row["actor"], row["action"], row["object"]) for row in reversed(trail)]
    assert changes == [
        ("master", "keys.create", key_id),
        ("master", "prices.set", MODEL),
        ("master", "keys.update", key_id),
        ("master", "keys.update", key_id),
        ("master", "keys.rotate", key_id),
        ("master", "keys.revoke", key_id),
    ]
    budgets = [(row["before"], row["after"]) for row in trail if row["action"] == "keys.update"]
    amounts = [(old["monthly_budget_usd"], new["monthly_budget_usd"]) for old, new in budgets]
    assert amounts == [(0, None), (5000, 0)]
    assert [secret for secret in secrets if secret in repr(trail)] == []
