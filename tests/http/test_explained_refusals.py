"""Refusals of the proxy's own, from the request to the words of `explain`."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import msgspec
import pytest
from http_client import Client
from streams import MESSAGE, encode

from anthropic_bedrock_proxy.admin.explanation import explain, facts_of
from anthropic_bedrock_proxy.gateway.admission.rate_limits import LimitOptions
from anthropic_bedrock_proxy.telemetry.access_log import RequestLines
from anthropic_bedrock_proxy.telemetry.request_log.record import decode
from anthropic_bedrock_proxy.telemetry.request_log.record import encode as encode_record
from anthropic_bedrock_proxy.telemetry.request_log.writer import record_of

BODY = {
    "model": "claude-haiku-4-5",
    "max_tokens": 50,
    "messages": [{"role": "user", "content": "Hello"}],
}
REQUEST = SimpleNamespace(method="POST", path="/v1/messages", client="", traceparent=None)
DOLLAR = 10**9


def ask(proxy, secret, step=None, body=BODY):
    """The status of one request, and what is noted of it."""
    proxy.upstream.script.append(encode(MESSAGE) if step is None else step)
    client = Client(proxy.app, headers={"x-api-key": secret}, body=body)
    answer = asyncio.run(client.send())
    noted = []

    def note(_, encoded, exchange):
        record = record_of(exchange, msgspec.Raw(encoded))
        noted.append(decode(encode_record(record)))

    RequestLines([note])(REQUEST, proxy.logged[-1])
    return answer.status, noted[0]


def reason(record):
    (why,) = [one for one in explain(record) if one.startswith("Why: ")]
    return why


def test_a_limit_is_told_with_its_height_what_is_left_and_what_raises_it(make_proxy):
    proxy = make_proxy(limits=LimitOptions())
    secret = proxy.add_key(rate_limit=1)
    ask(proxy, secret)
    status, record = ask(proxy, secret)
    assert (status, record.line.cause) == (429, "limit:key/requests")
    assert record.limits[0].limit == 1
    why = reason(record)
    assert "the limit of requests of its key (1, of which 0 were left; full again at 2" in why
    assert f"`keys update {record.line.key_id} --rate-limit N`" in why
    assert "The limits then: requests 0 of 1 left" in " ".join(explain(record))


@pytest.mark.parametrize(
    ("period", "option"),
    [("daily", "--daily-budget"), ("monthly", "--monthly-budget"), ("total", "--total-budget")],
)
def test_a_budget_is_told_with_what_is_left_and_when_it_begins_again(make_proxy, period, option):
    proxy = make_proxy()
    budgets = {"daily": 9, "monthly": 90, "total": 900} | {period: 0}
    secret = proxy.add_key(
        **{f"{name}_budget_nano": DOLLAR * amount for name, amount in budgets.items()}
    )
    status, record = ask(proxy, secret)
    assert (status, record.line.cause) == (403, "budget_exceeded")
    why = reason(record)
    assert f"The {period} budget of the key {record.line.key_id} is used up" in why
    assert "$0 of $0" in why
    assert f"`keys update {record.line.key_id} {option} USD`" in why
    assert ("begins again at 2" in why) == (period != "total")
    resets = {one["period"]: one["resets_at"] for one in facts_of(record)["budgets"]}
    assert (resets[period] is None) == (period == "total")
    assert all(at is None or at.endswith("T00:00:00Z") for at in resets.values())


def test_a_store_that_is_away(proxy):
    proxy.store.down = True
    status, record = ask(proxy, "sk-whose-is-it")
    assert (status, record.line.cause) == (503, "unavailable:store")
    assert "The store did not answer" in reason(record)


def test_a_bug_of_the_proxy(proxy):
    status, record = ask(proxy, "sk-master", RuntimeError("secret detail"))
    assert (status, record.line.cause) == (500, "internal")
    assert "its log tells where" in reason(record)


def test_a_provider_that_is_not_here(proxy):
    status, record = ask(proxy, proxy.add_key(provider="gone"))
    assert (status, record.line.cause) == (403, "no_provider")
    assert "`keys update --provider`" in reason(record)


def test_a_body_that_cannot_be_accepted_is_still_told_so(proxy):
    status, record = ask(proxy, "sk-master", body=BODY | {"max_tokens": -1})
    assert (status, record.line.cause) == (400, "")
    assert "the answer named the place" in reason(record)
    assert not record.error_message
