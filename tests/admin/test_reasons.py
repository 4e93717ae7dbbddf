"""The reason that the explanation of a refused request ends with."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from test_explanation import line, record

import anthropic_bedrock_proxy
from anthropic_bedrock_proxy.admin.explanation import explain
from anthropic_bedrock_proxy.admin.reasons import reason_of
from anthropic_bedrock_proxy.errors import LimitState
from anthropic_bedrock_proxy.telemetry.request_log.record import BudgetState

PACKAGE = Path(anthropic_bedrock_proxy.__file__).parent


@pytest.mark.parametrize(
    ("cause", "error", "words"),
    [
        ("limit:key/requests", "rate_limit_error", "the limit of requests of its key"),
        ("limit:key/fetches", "rate_limit_error", "wait to be fetched"),
        ("budget_exceeded", "permission_error", "A budget is used up"),
        ("key:missing", "authentication_error", "no API key"),
        ("key:unknown", "authentication_error", "not known"),
        ("key:revoked", "permission_error", "not in use any more"),
        ("cooling", "overloaded_error", "left alone"),
        ("aws:ThrottlingException", "rate_limit_error", "AWS throttled all that was tried."),
        (
            "aws:ThrottlingException",
            "rate_limit_error",
            "The last refusal was ThrottlingException.",
        ),
        ("aws:ValidationException", "invalid_request_error", "does not accept what it asks for"),
        ("aws:AccessDeniedException", "permission_error", "which gate is closed"),
        ("aws:ResourceNotFoundException", "not_found_error", "does not have that model there"),
        ("aws:ExpiredTokenException", "api_error", "AWS refuses the credentials of the proxy"),
        ("aws:InternalServerException", "api_error", "Bedrock failed, and went on so"),
        ("aws:Unreachable", "overloaded_error", "Bedrock could not be reached"),
        ("aws:NoWay", "overloaded_error", "No connection to Bedrock can be made"),
        ("aws:NoCredentials", "api_error", "no credentials for AWS"),
        ("model_not_allowed", "permission_error", "`keys update --allow-model`"),
        ("tool_not_allowed", "permission_error", "`keys update --allow-tool`"),
        ("network_not_allowed", "permission_error", "`keys update --allow-network`"),
        ("unavailable:executor", "api_error", "no image"),
        ("unavailable:limiter", "api_error", "LIMITS_URL"),
        ("stopping", "api_error", "being stopped"),
        ("", "invalid_request_error", "the answer named the place"),
        ("", "permission_error", "may not do this"),
        ("", "request_too_large", "MAX_REQUEST_BYTES"),
        ("", "api_error", "its log tells more"),
    ],
)
def test_why_it_was_refused(cause, error, words):
    story = record(line(status=400, error=error, cause=cause), error_message="over it")
    said = explain(story)
    assert sum(one.startswith("Why: ") for one in said) == 1
    assert words in said[-1]
    assert "The client was told: over it" in said


@pytest.mark.parametrize(
    ("cause", "key", "words"),
    [
        ("limit:key/tokens", "key_1", "Wait, or raise it: `keys update key_1 --tpm-limit N`."),
        ("limit:user/input-tokens", "key_1", "`users update ann --input-tpm-limit N`."),
        ("limit:team/output-tokens", "key_1", "`teams update ID --output-tpm-limit N`."),
        ("limit:key/concurrency", "key_1", "`keys update key_1 --concurrency-limit N`."),
        ("limit:key/token-counts", "key_1", "--rate-limit N`, or RATE_LIMIT_REQUESTS"),
        ("limit:key/requests", "master", "MASTER_KEY_RATE_LIMIT"),
    ],
)
def test_each_limit_has_what_raises_it(cause, key, words):
    told = line(status=429, error="rate_limit_error", cause=cause, key_id=key, user_id="ann")
    assert reason_of(record(told)).endswith(words) or words in reason_of(record(told))


def test_the_state_of_the_limit_is_told_and_of_no_other():
    limits = [LimitState("tokens", 100, 7, 1_796_000_060), LimitState("requests", 60, 59, 1)]
    told = line(status=429, error="rate_limit_error", cause="limit:key/tokens", key_id="k")
    why = reason_of(record(told, limits=limits))
    assert "(100, of which 7 were left; full again at 2026-11-30T00:54:20Z)" in why
    assert "59" not in why


def test_the_budget_with_the_least_left_is_told():
    budgets = [
        BudgetState("key:k", "monthly", 5_000_000_000, 4_000_000_000, 1_796_083_200),
        BudgetState("team:t", "daily", 1_000_000_000, 250_000_000, 1_796_083_200),
        BudgetState("user:u", "total", 1_000_000_000),
    ]
    told = line(status=403, error="permission_error", cause="budget_exceeded", key_id="k")
    why = reason_of(record(told, budgets=budgets))
    assert "The daily budget of the team t" in why
    assert "$0.25 of $1" in why
    assert "`teams update t --daily-budget USD`" in why


def test_an_unknown_model_is_called_so_and_an_unknown_path_is_not():
    model = reason_of(record(line(status=404, error="not_found_error", model="m")))
    path = reason_of(record(line(status=404, error="not_found_error", model="")))
    assert "`models map`" in model
    assert "model" not in path


def nodes(kind):
    """Every node of a kind in the source, with where it is."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, kind):
                yield f"{path.relative_to(PACKAGE).as_posix()}:{node.lineno}", node


def beginning(value):
    """How a cause begins, as far as it is written out."""
    first = value.values[0] if isinstance(value, ast.JoinedStr) else value
    return first.value if isinstance(first, ast.Constant) else None


def test_every_cause_has_a_reason_of_its_own():
    given = {beginning(node.value) for _, node in nodes(ast.keyword) if node.arg == "cause"}
    assert {"unavailable:store", "internal", "limit:key/fetches", "aws:"} <= given
    without = reason_of(record(line(status=500, error="api_error")))
    for cause in given - {None}:
        assert reason_of(record(line(status=500, error="api_error", cause=cause))) != without, cause


def test_every_error_that_is_no_fault_of_a_client_has_a_cause():
    missing = [
        where
        for where, call in nodes(ast.Call)
        if isinstance(call.func, ast.Name)
        and call.func.id in ("APIError", "UnavailableError", "OverloadedError")
        and not any(one.arg == "cause" for one in call.keywords)
    ]
    assert not missing
