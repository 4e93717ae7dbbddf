"""What a spent budget answers with, by setting and client."""

from __future__ import annotations

import asyncio

import pytest
from http_client import Client

from anthropic_bedrock_proxy.errors import PermissionDeniedError
from anthropic_bedrock_proxy.http.anthropic.budget_status import BudgetStatus

BODY = {
    "model": "claude-haiku-4-5",
    "max_tokens": 10,
    "messages": [{"role": "user", "content": "Hello"}],
}
CLAUDE_CODE = ("claude-cli/2.1.330 (external, cli)", "claude-code/2.1.330")


def ask(proxy, *, agent="Anthropic/Python 2.14.0", **budget):
    secret = proxy.add_key(**(budget or {"monthly_budget_nano": 0}))
    headers = {"x-api-key": secret, "user-agent": agent}
    return asyncio.run(Client(proxy.app, "POST", headers=headers, body=BODY).send())


@pytest.mark.parametrize(
    ("choice", "agent", "status"),
    [
        ("auto", "Anthropic/Python 2.14.0", 403),
        ("auto", "Mozilla claude-cli/2", 403),
        ("auto", CLAUDE_CODE[0], 429),
        ("auto", CLAUDE_CODE[1], 429),
        ("403", CLAUDE_CODE[0], 403),
        ("429", "Anthropic/Python 2.14.0", 429),
    ],
)
def test_the_status(make_proxy, choice, agent, status):
    answer = ask(make_proxy(budget_status=choice), agent=agent)
    error = answer.json["error"]
    kinds = {403: "permission_error", 429: "billing_error"}
    assert (answer.status, error["type"]) == (status, kinds[status])
    assert error["details"]["error_code"] == "budget_exceeded"
    assert "is used up" in error["message"]
    assert answer.headers["x-should-retry"] == "false"
    assert 0 < int(answer.headers["retry-after"]) <= 31 * 86_400


def test_a_budget_that_never_resets_names_no_time(make_proxy):
    answer = ask(make_proxy(), agent=CLAUDE_CODE[0], total_budget_nano=0)
    assert answer.status == 429
    assert "retry-after" not in answer.headers


def test_a_model_that_the_key_may_not_use_is_no_failed_log_in(make_proxy):
    answer = ask(make_proxy(), agent=CLAUDE_CODE[0], allowed_models=("claude-opus-*",))
    assert (answer.status, answer.json["error"]["type"]) == (400, "invalid_request_error")
    assert answer.json["error"]["details"] == {"error_code": "model_not_allowed"}
    assert answer.headers["x-should-retry"] == "false"


def test_another_refusal_is_told_as_it_is():
    error = PermissionDeniedError("m", error_code="tool_not_allowed")
    assert BudgetStatus("429").told(error, request=None) is error
