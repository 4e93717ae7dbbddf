"""Limits and budgets as clients see them."""

from __future__ import annotations

import asyncio

import pytest
from http_client import Client
from streams import MESSAGE, STREAM, encode

from anthropic_bedrock_proxy.gateway.admission.rate_limits import LimitOptions
from anthropic_bedrock_proxy.store.base.callers import OwnerRecord

BODY = {
    "model": "claude-haiku-4-5",
    "max_tokens": 50,
    "messages": [{"role": "user", "content": "Hello"}],
}
TIMES = {"created_at": 0, "updated_at": 0}
LIMITS = LimitOptions()


def ask(proxy, secret, *, step=None, body=BODY, **options):
    proxy.upstream.script.append(encode(MESSAGE) if step is None else step)
    client = Client(proxy.app, headers={"x-api-key": secret}, body=body, **options)
    return asyncio.run(client.send())


def rate_headers(answer):
    return {name: value for name, value in answer.headers.items() if "ratelimit" in name}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_answers_say_where_a_key_stands(make_proxy, stream):
    proxy = make_proxy(limits=LIMITS)
    secret = proxy.add_key(rate_limit=10, tpm_limit=100_000, output_tpm_limit=1000)
    body = BODY | {"stream": stream}
    headers = ask(proxy, secret, step=[STREAM] if stream else None, body=body).headers
    assert headers["anthropic-ratelimit-requests-limit"] == "10"
    assert headers["anthropic-ratelimit-requests-remaining"] == "9"
    assert headers["anthropic-ratelimit-requests-reset"].endswith("Z")
    assert headers["anthropic-ratelimit-tokens-limit"] == "100000"
    assert int(headers["anthropic-ratelimit-tokens-remaining"]) < 100_000 - 50
    assert headers["anthropic-ratelimit-output-tokens-remaining"] == "950"
    assert "anthropic-ratelimit-input-tokens-limit" not in headers
    assert headers["x-ratelimit-limit"] == "10"
    assert headers["x-ratelimit-remaining"] == "9"
    assert headers["x-ratelimit-reset"].isdecimal()


def test_the_next_request_over_a_limit_is_429(make_proxy):
    proxy = make_proxy(limits=LIMITS)
    secret = proxy.add_key(rate_limit=2)
    assert [ask(proxy, secret).status for _ in range(2)] == [200, 200]
    refused = ask(proxy, secret)
    assert refused.status == 429
    error = refused.json["error"]
    assert error["type"] == "rate_limit_error"
    assert "2 requests per minute of the key key_" in error["message"]
    assert refused.headers["anthropic-ratelimit-requests-remaining"] == "0"
    assert 1 <= int(refused.headers["retry-after"]) <= 30
    assert len(proxy.records) == 2, "a refused request used nothing"
    other = proxy.add_key(rate_limit=2)
    assert ask(proxy, other).status == 200, "every key has its own"


def test_keys_without_a_rate_have_the_default_one_and_the_master_none(make_proxy):
    proxy = make_proxy(limits=LimitOptions(requests=3, window_seconds=60))
    secret = proxy.add_key()
    assert [ask(proxy, secret).status for _ in range(4)] == [200, 200, 200, 429]
    assert {ask(proxy, "sk-master").status for _ in range(8)} == {200}
    assert rate_headers(ask(proxy, "sk-master")) == {}
    limited = make_proxy(limits=LimitOptions(master_requests=1))
    assert [ask(limited, "sk-master").status for _ in range(2)] == [200, 429]


@pytest.mark.parametrize("kind", ["user", "team"])
def test_the_narrowest_of_key_user_and_team_wins(make_proxy, kind):
    proxy = make_proxy(limits=LIMITS)
    owner = OwnerRecord(kind=kind, id="o", name="O", rate_limit=3, **TIMES)
    one = proxy.add_key(rate_limit=2, **{kind: owner, f"{kind}_id": "o"})
    two = proxy.add_key(rate_limit=50, **{f"{kind}_id": "o"})
    assert [ask(proxy, one).status for _ in range(3)] == [200, 200, 429]
    answer = ask(proxy, two)
    assert (answer.status, answer.headers["x-ratelimit-limit"]) == (200, "3")
    refused = ask(proxy, two)
    assert refused.status == 429
    assert f"of the {kind} o" in refused.json["error"]["message"]


def test_tokens_are_estimated_first_and_settled_after(make_proxy):
    proxy = make_proxy(limits=LIMITS)
    secret = proxy.add_key(tpm_limit=10_000)
    remaining = []
    for _ in range(2):
        answer = ask(proxy, secret, body=BODY | {"max_tokens": 4000})
        assert answer.status == 200
        remaining.append(int(answer.headers["anthropic-ratelimit-tokens-remaining"]))
    # 4000 and the prompt were taken, but the answer had 12 + 3 + 34 tokens.
    assert 5900 <= remaining[0] <= 6000
    assert remaining[1] >= remaining[0] - 60


def test_a_prompt_over_the_whole_limit_passes_when_nothing_else_was_used(make_proxy):
    proxy = make_proxy(limits=LIMITS)
    secret = proxy.add_key(tpm_limit=100)
    assert ask(proxy, secret, body=BODY | {"max_tokens": 4000}).status == 200
    assert ask(proxy, secret, body=BODY | {"max_tokens": 4000}).status == 429


def test_requests_at_once(make_proxy):
    proxy = make_proxy(limits=LIMITS)
    secret = proxy.add_key(concurrency_limit=1)

    async def run():
        proxy.upstream.script += [encode(MESSAGE), encode(MESSAGE)]
        gate = asyncio.Event()
        call = proxy.upstream.call

        async def slow(what):
            await gate.wait()
            return await call(what)

        proxy.upstream.call = slow
        headers = {"x-api-key": secret}
        first = asyncio.create_task(Client(proxy.app, headers=headers, body=BODY).send())
        await asyncio.sleep(0)
        second = await Client(proxy.app, headers=headers, body=BODY).send()
        assert second.status == 429
        assert "1 requests at once" in second.json["error"]["message"]
        gate.set()
        assert (await first).status == 200
        assert (await Client(proxy.app, headers=headers, body=BODY).send()).status == 200

    asyncio.run(run())


def test_a_used_up_budget(make_proxy):
    proxy = make_proxy(limits=LIMITS)
    secret = proxy.add_key(rate_limit=10, daily_budget_nano=0)
    refused = ask(proxy, secret)
    assert refused.status == 403
    error = refused.json["error"]
    assert error["type"] == "permission_error"
    assert error["details"] == {"error_code": "budget_exceeded"}
    assert "daily budget of 0 USD of the key" in error["message"]
    assert "It resets at " in error["message"]
    assert refused.headers["x-should-retry"] == "false"
    assert refused.headers["x-ratelimit-limit"] == "10"
    again = ask(proxy, secret)
    assert again.headers["x-ratelimit-remaining"] == "9", "a refused request takes no place"
    assert not proxy.upstream.calls


@pytest.mark.parametrize(
    ("allowed", "code", "status"),
    [
        ({"allowed_models": ("claude-opus-*",)}, "model_not_allowed", 400),
        ({"allowed_tools": ("get_*",)}, "tool_not_allowed", 403),
        ({"allowed_networks": ("10.0.0.0/8",)}, "network_not_allowed", 403),
    ],
)
def test_what_a_key_may_not_do(proxy, allowed, code, status):
    secret = proxy.add_key(**allowed)
    tools = [{"name": "delete_all", "input_schema": {"type": "object"}}]
    refused = ask(proxy, secret, body=BODY | {"tools": tools})
    assert refused.status == status
    assert refused.json["error"]["details"] == {"error_code": code}
    assert not proxy.upstream.calls


def test_forwarded_addresses_count_behind_a_trusted_balancer(make_proxy):
    proxy = make_proxy(trusted_networks=("127.0.0.0/8",))
    secret = proxy.add_key(allowed_networks=("10.0.0.0/8",))
    proxy.upstream.script += [encode(MESSAGE)]
    headers = {"x-api-key": secret, "x-forwarded-for": "10.1.1.1"}
    assert asyncio.run(Client(proxy.app, headers=headers, body=BODY).send()).status == 200
    headers["x-forwarded-for"] = "11.1.1.1"
    assert asyncio.run(Client(proxy.app, headers=headers, body=BODY).send()).status == 403
