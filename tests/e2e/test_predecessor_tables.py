"""The predecessor's tables under a real proxy: used as they are, migrated while it runs."""

from __future__ import annotations

import asyncio
import json
import time
from decimal import Decimal

import anthropic
import dynamo_servers
import msgspec
import predecessor_tables as predecessor
import pytest
from servers import command, proxy_environment, wait_for

from anthropic_bedrock_proxy.aws.dynamodb_values import to_item
from anthropic_bedrock_proxy.store.dynamodb.legacy import key_id_of
from anthropic_bedrock_proxy.store.dynamodb.schema import create_tables

ALIAS = "fast"  # in the predecessor's mapping
HAIKU = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
ANSWER = "It moved."
REPLY = {
    "reply": {
        "content": [{"type": "text", "text": ANSWER}],
        "usage": {"input_tokens": 100, "output_tokens": 20},
    },
    "times": "forever",
}
COST = Decimal("0.0014")  # at the predecessor's price: 4 USD for input, 50 for output
WORKING = (predecessor.PLAIN, predecessor.LIMITED, predecessor.BARE)


@pytest.fixture
def tables():
    """`tables(work)`: runs `await work(client, names)` on the predecessor's tables."""
    url, names = dynamo_servers.server("dynalite"), dynamo_servers.fresh_names()

    def run(work):
        async def story():
            client = dynamo_servers.client(url)
            try:
                return await work(client, names)
            finally:
                await client.close()

        return asyncio.run(story())

    run.settings = {
        "STORE_URL": "dynamodb://",
        "DYNAMODB_ENDPOINT_URL": url,
        **{
            f"DYNAMODB_{kind.upper()}_TABLE": name
            for kind, name in msgspec.structs.asdict(names).items()
        },
    }
    run(_fill)
    return run


async def _fill(client, names):
    await create_tables(client, names)
    await predecessor.fill(client, names)
    price = {
        **predecessor.MODEL_PRICING[0],
        "model_id": HAIKU,
        "input_price": 4,
        "output_price": 50,
    }
    await client.call("PutItem", {"TableName": names.model_pricing, "Item": to_item(price)})
    # Used up in whatever month the test runs.
    (spent,) = (key for key in predecessor.API_KEYS if key["api_key"] == predecessor.SPENT)
    key = {**spent, "budget_mtd_month": time.strftime("%Y-%m", time.gmtime())}
    await client.call("PutItem", {"TableName": names.api_keys, "Item": to_item(key)})


def ask(proxy, secret):
    """The answer's text, or the status and the error code."""
    with anthropic.Anthropic(base_url=proxy.url, api_key=secret, max_retries=0) as client:
        try:
            message = client.messages.create(
                model=ALIAS, max_tokens=100, messages=[{"role": "user", "content": "Did it?"}]
            )
        except anthropic.APIStatusError as error:
            return error.status_code, error.body["error"].get("details", {}).get("error_code")
    return message.content[0].text


def check_keys(proxy):
    """Every key is what it was under the predecessor."""
    for secret in WORKING:
        assert ask(proxy, secret) == ANSWER
    assert ask(proxy, predecessor.REVOKED) == (403, "left the company")
    assert ask(proxy, predecessor.SPENT) == (403, "budget_exceeded")
    for stranger in (predecessor.DELETED, key_id_of(predecessor.PLAIN), "sk-nobody"):
        assert ask(proxy, stranger) == (401, None)


def test_tables_of_the_predecessor(sim, start, tmp_path, tables):
    sim.script([REPLY])
    settings = {**tables.settings, "JOURNAL_INTERVAL": "0.1", "KEY_CACHE_TTL": "0.1"}
    with start(make_key=False, **settings) as proxy:
        check_keys(proxy)
        answers = [ask(proxy, predecessor.LIMITED) for _ in range(8)]
        assert answers[:6] == [ANSWER] * 6, "with the one before: seven in a minute"
        assert (429, None) in answers[6:]
        wait_for(lambda: booked(proxy, predecessor.PLAIN) == (1, COST), "the price is applied")
        assert proxy.stop() == 0, proxy.logged()

    environment = proxy_environment(tmp_path, "http://127.0.0.1:1", settings)
    before = tables(predecessor.everything)
    dry = command(tmp_path, environment, "tables", "migrate", "--dry-run")
    assert (dry["dry_run"], dry["keys"], dry["usage_rows"]) == (True, 6, len(predecessor.USAGE))
    assert tables(predecessor.everything) == before

    with start(make_key=False, **settings) as proxy:
        check_keys(proxy)
        done = proxy.command("tables", "migrate", "--yes")
        assert {**done, "dry_run": True} == dry
        check_keys(proxy)
        legacy_rows = sum(row["api_key"] == predecessor.PLAIN for row in predecessor.USAGE)
        expected = (legacy_rows + 3, 3 * COST)
        wait_for(lambda: booked(proxy, predecessor.PLAIN) == expected, "old and new usage")
        assert proxy.stop() == 0, proxy.logged()
        assert_nowhere(predecessor.SECRETS, json.dumps(tables(predecessor.everything), default=str))
        assert_nowhere(predecessor.SECRETS, proxy.logged())


def booked(proxy, secret):
    """Requests and USD on the books of a key."""
    total = proxy.command("usage", "--key", key_id_of(secret))["total"]
    return total["requests"], Decimal(str(total["cost_usd"]))


def assert_nowhere(secrets, text):
    assert [secret for secret in secrets if secret in text] == []
