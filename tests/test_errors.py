"""What a client sees of AWS's refusals."""

from __future__ import annotations

import json

import pytest

from anthropic_bedrock_proxy import errors
from anthropic_bedrock_proxy.aws_errors import (
    CREDENTIALS_MESSAGE,
    UpstreamRefusal,
    from_refusal,
    rule_for,
)
from anthropic_bedrock_proxy.errors import NotFoundError
from anthropic_bedrock_proxy.http.anthropic.encoder import ANTHROPIC
from anthropic_bedrock_proxy.redaction import redact


def shown(code, message="m", status=400):
    error = from_refusal(UpstreamRefusal(code, message, status=status))
    return error.status, error.type, error.message


@pytest.mark.parametrize(
    "code",
    [
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "InvalidSignature",
        "MissingAuthenticationToken",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClient",
    ],
)
def test_the_proxy_s_own_credentials_are_never_the_client_s_fault(code):
    assert shown(code, status=403) == (503, "api_error", CREDENTIALS_MESSAGE)


@pytest.mark.parametrize("code", ["ExpiredToken", "RequestExpired"])
def test_expired_credentials_are_fetched_again(code):
    rule = rule_for(UpstreamRefusal(code, "", status=403))
    assert rule.retryable
    assert rule.credentials


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("Throttling", 429, "rate_limit_error"),
        ("ThrottledException", 429, "rate_limit_error"),
        ("TooManyRequests", 429, "rate_limit_error"),
        ("ServiceUnavailable", 529, "overloaded_error"),
        ("ConflictException", 409, "conflict_error"),
        ("conflict_error", 409, "conflict_error"),
        ("ValidationException", 400, "invalid_request_error"),
    ],
)
def test_names(code, status, kind):
    assert shown(code)[:2] == (status, kind)


def test_a_conflict_by_its_status():
    assert shown("NeverHeardOf", status=409)[:2] == (409, "conflict_error")


def test_an_unknown_model():
    status, kind, message = shown(
        "ValidationException", "The provided model identifier is invalid."
    )
    assert (status, kind) == (404, "not_found_error")
    assert message == "The provided model identifier is invalid."


@pytest.mark.parametrize("apostrophe", ["'", "\u2019"])
def test_a_model_that_only_an_inference_profile_serves(apostrophe):
    status, kind, message = shown(
        "ValidationException",
        f"Invocation of model ID anthropic.x with on-demand throughput isn{apostrophe}t supported.",
    )
    assert (status, kind) == (404, "not_found_error")
    assert message.startswith("Invocation of model ID anthropic.x")
    assert "inference profile" in message
    assert "DEFAULT_MODEL_MAPPING" in message


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (
            "Input is too long for requested model.",
            "prompt is too long: Input is too long for requested model.",
        ),
        ("prompt is too long: 2 tokens > 1", "prompt is too long: 2 tokens > 1"),
        ("messages: Prompt is too long: 2 > 1", "prompt is too long: 2 > 1"),
    ],
)
def test_a_prompt_that_is_too_long_begins_with_the_words_once(said, message):
    assert shown("ValidationException", said)[2] == message


def test_a_throttled_prompt_is_not_too_long():
    assert shown("ThrottlingException", "prompt is too long")[0] == 429
    assert shown("ThrottlingException", "The model identifier is invalid")[0] == 429


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("No such path: /v1/sk-abcdef12345/x", "No such path: /v1/sk-(hidden)/x"),
        ("sk%2Dabcdef12345 cannot be routed", "sk%2D(hidden) cannot be routed"),
        ("no key has the id 'SK-ABCDEF'", "no key has the id 'SK-(hidden)'"),
        (
            "a task-force, sk-SK and a hint: sk-...wxyz",
            "a task-force, sk-SK and a hint: sk-...wxyz",
        ),
    ],
)
def test_what_looks_like_a_key_is_in_no_message(message, told):
    error = NotFoundError(message)
    assert error.message == str(error) == told
    assert json.loads(ANTHROPIC.error(error, "req_1"))["error"]["message"] == told


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.InvalidRequestError("no"), b"false"),
        (errors.NotFoundError("no"), b"false"),
        (errors.ConflictError("later"), b"true"),
        (errors.RateLimitError("later"), b"true"),
        (errors.RateLimitError("never", should_retry=False), b"false"),
        (errors.UnavailableError("later"), b"true"),
        (errors.OverloadedError("later"), b"true"),
    ],
)
def test_every_error_says_whether_a_retry_can_help(error, expected):
    assert b"x-should-retry: %b\r\n" % expected in ANTHROPIC.error_lines(error)


@pytest.mark.parametrize(
    ("message", "without"),
    [
        ("not for account 123456789012.", "not for account (account)."),
        ("the bucket logs.123456789012_eu", "the bucket logs.(account)_eu"),
        ("0.123456789012 of 1234567890123", "0.123456789012 of 1234567890123"),
        ("123456789012.5 seconds", "123456789012.5 seconds"),
    ],
)
def test_account_ids_are_taken_out_and_other_numbers_stay(message, without):
    assert redact(message) == without


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("ThrottlingException", "Too many tokens per day, please wait before trying again."),
        ("rate_limit_error", "This request would exceed your daily token limit"),
        ("ServiceQuotaExceededException", "Your request exceeds the service quota"),
    ],
)
@pytest.mark.parametrize("told", [None, 3.0])
def test_a_quota_that_seconds_do_not_bring_back_is_not_tried_again(code, words, told):
    refusal = UpstreamRefusal(code, words, status=429, retry_after=told)
    assert not rule_for(refusal).retryable
    error = from_refusal(refusal)
    assert (error.status, error.type) == (429, "rate_limit_error")
    assert error.retry_after == 3600
    assert b"x-should-retry: false" in ANTHROPIC.error_lines(error)


def test_a_burst_is_tried_again():
    refusal = UpstreamRefusal("ThrottlingException", "Too many tokens, please wait", status=429)
    assert rule_for(refusal).retryable
    assert from_refusal(refusal).should_retry


@pytest.mark.parametrize(("wait", "retried"), [(None, True), (60, True), (61, False)])
@pytest.mark.parametrize("kind", [errors.RateLimitError, errors.UnavailableError])
def test_nobody_is_asked_to_wait_longer_than_the_sdks_do(kind, wait, retried):
    assert kind("m", retry_after=wait).should_retry is retried
