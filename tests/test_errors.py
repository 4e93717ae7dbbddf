"""What a client sees of AWS's refusals."""

from __future__ import annotations

import json
import re

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
from anthropic_bedrock_proxy.redaction import _keys, hide_accounts, hide_keys, hideable, redact


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


PROFILE = "arn:aws-us-gov:bedrock:us-gov-west-1:123456789012:application-inference-profile/abc1"


@pytest.mark.parametrize("escaped", [":", "%3A", "%3a", "%253A"])
def test_accounts_of_arns_are_hidden_and_the_rest_tells_which_it_was(escaped):
    arn = PROFILE.replace(":", escaped)
    hidden = arn.replace("123456789012", "(account)")
    assert hide_accounts(f"a {arn}, {arn} and") == f"a {hidden}, {hidden} and"
    cut = arn[: arn.index("9012") + 4]
    assert hide_accounts(cut) == cut.replace("123456789012", "(account)")
    assert errors.NotFoundError(f"model: {arn}").message == f"model: {hidden}"


@pytest.mark.parametrize(
    "host",
    [
        "123456789012.dkr.ecr.us-east-1.amazonaws.com/box:1",
        "123456789012.dkr-ecr.us-east-1.on.aws/box:1",
        "https://123456789012.ddb.us-east-1.amazonaws.com",
    ],
)
def test_the_account_that_a_host_begins_with_is_hidden(host):
    assert hide_accounts(f"at {host}") == f"at {host}".replace("123456789012", "(account)")
    error = NotFoundError(f"no image {host}")
    assert "123456789012" not in error.message


def test_numbers_of_a_document_that_names_an_arn_stay():
    document = '{"arn":"x","nano":123456789012,"ms":[123456789012]}'
    assert hide_accounts(document) == document


@pytest.mark.parametrize("key", ["sk-" + "Ab1_" * 10, "AKIAIOSFODNN7EXAMPLE", "ABSK" + "Yk1z" * 10])
@pytest.mark.parametrize(
    "before",
    [
        *("", "\n", "\t", "a\r\n", "\x00", "\u00e9", "KEY=", "%0A", "%3d", "\b", "\f"),
        *("\x1b[31m", "\x1b[m", "\x1b[01;31m\x1b[K", "KEY=3D", r"b'\x0a"),
    ],
    ids=repr,
)
def test_a_key_is_hidden_wherever_it_begins_also_in_json(before, key):
    text = before + key
    for told in (text, json.dumps(text), json.dumps(json.dumps(text))):
        assert key not in hide_keys(told)
        assert "(hidden)" in hide_keys(told)


AWS_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
FRAMED = "MHcCAQEEIIGLb5CUPCtZ9pPZ0Tz0Yj4c3e4T0J0bq2m5sYyq0cCroAoGCCqGSM49\nAwEHoUQDQgAE="


@pytest.mark.parametrize(
    ("before", "secret", "behind"),
    [
        ("aws_secret_access_key = ", AWS_SECRET, "\nregion = x"),
        ("export AWS_SECRET_ACCESS_KEY='", AWS_SECRET, "'"),
        ('{"SecretAccessKey": "', AWS_SECRET, '"}'),
        ("-----BEGIN EC PRIVATE KEY-----", FRAMED, "-----END EC PRIVATE KEY-----"),
        ("-----BEGIN PRIVATE KEY-----", FRAMED, '"'),
    ],
)
def test_what_is_named_or_framed_as_a_key_is_hidden_also_in_json(before, secret, behind):
    text = before + secret + behind
    for depth in range(3):
        told = hide_keys(text)
        assert secret[:20] not in told
        assert secret[-10:] not in told
        assert behind.strip("\n'\"{}")[:8] in told
        for _ in range(depth):
            told = json.loads(told)  # it is JSON still
        text = json.dumps(text)


@pytest.mark.parametrize("text", ["task-force-of-1", "a disk-quota-1234", "xAKIAIOSFODNN7EXAMPLE"])
def test_a_word_that_ends_as_a_key_begins_is_none(text):
    assert hide_keys(text) == text


def test_a_known_secret_is_hidden_if_it_is_long_enough_not_to_stand_there_by_chance():
    assert hideable("open sesame", None, "", "abc", "abcd") == ("open sesame", "abcd")


def test_a_text_of_nothing_but_beginnings_of_tokens_is_read_soon():
    token = f"eyJ{'a' * 1500}.{'b' * 300}.{'c' * 40}"
    assert hide_keys(f"a bearer {token}") == "a bearer (hidden)"
    # Of each beginning no more than a bounded head is looked at: that makes it soon.
    assert re.search(r"eyJ\[A-Za-z0-9_-\]\{8,(\d+)\}\+", _keys().pattern)
    assert hide_keys(endless := "-eyJ" * 16_000) == endless


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
