"""What the two Messages endpoints serve, refuse and accept."""

from __future__ import annotations

import json

import pytest

OPUS_48, HAIKU_45 = "us.anthropic.claude-opus-4-8", "us.anthropic.claude-haiku-4-5-20251001-v1:0"
PROFILE_ARN = f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/{OPUS_48}"
BARE = "anthropic.claude-opus-4-8"
RUNTIME, MANTLE = "/anthropic/v1/messages", "/mantle/anthropic/v1/messages"
COUNT = f"{MANTLE}/count_tokens"
NEW = {"anthropic-version": "2026-10-21"}
EXTRA = "Extra inputs are not permitted"


@pytest.mark.parametrize(
    ("path", "model", "status", "words"),
    [
        (RUNTIME, "anthropic.claude-opus-4-8", 400, "on-demand throughput"),
        (RUNTIME, "us.anthropic.claude-opus-4-6-v1", 404, "model: us."),
        (RUNTIME, "amazon.nova-lite-v1:0", 404, "model: amazon."),
        (RUNTIME, "claude-opus-4-8", 404, "model: claude-opus-4-8"),
        (MANTLE, OPUS_48, 404, f"model: {OPUS_48}"),
        (MANTLE, "anthropic.claude-sonnet-4-6", 404, "model: anthropic.claude-sonnet-4-6"),
        (MANTLE, "claude-opus-4-8", 404, "model: claude-opus-4-8"),
        (COUNT, OPUS_48, 404, f"model: {OPUS_48}"),
    ],
)
def test_models_that_are_not_served(ask, error_of, sim, path, model, status, words):
    fields = {"max_tokens": None} if path == COUNT else {}
    given, type_, message = error_of(ask(path, model=model, **fields))
    assert (given, type_) == (status, "not_found_error" if status == 404 else type_)
    assert words in message


@pytest.mark.parametrize(
    ("path", "model"),
    [
        (RUNTIME, HAIKU_45),
        (RUNTIME, PROFILE_ARN),
        (f"{RUNTIME}?beta=true", OPUS_48),
        (MANTLE, "anthropic.claude-haiku-4-5"),
        (MANTLE, "anthropic.claude-haiku-4-5-20251001-v1:0"),
        (MANTLE, "anthropic.claude-fable-5-2"),
    ],
)  # fmt: skip
def test_models_that_are_served(ask, sim, path, model):
    assert ask(path, model=model)[0] == 200


REFUSED = [
    (RUNTIME, {"anthropic-version": None}, {}, "anthropic-version: header is required"),
    (RUNTIME, {"anthropic-version": "bedrock-2023-05-31"}, {}, "is not a valid version"),
    (RUNTIME, NEW, {"model": HAIKU_45}, "is not a valid version"),
    (RUNTIME, NEW, {"temperature": 1}, f"temperature: {EXTRA}"),
    (MANTLE, NEW, {"top_p": 1}, f"top_p: {EXTRA}"),
    (MANTLE, NEW, {"top_k": 1}, f"top_k: {EXTRA}"),
    (RUNTIME, {}, {"anthropic_version": "bedrock-2023-05-31"}, f"anthropic_version: {EXTRA}"),
    (RUNTIME, {}, {"anthropic_beta": []}, f"anthropic_beta: {EXTRA}"),
    (MANTLE, {}, {"container": "c"}, f"container: {EXTRA}"),
    (MANTLE, {}, {"service_tier": "auto"}, f"service_tier: {EXTRA}"),
    (RUNTIME, {}, {"stream": "yes"}, "stream: Input should be a valid boolean"),
    (RUNTIME, {}, {"model": None}, "model: Field required"),
    (RUNTIME, {}, {"model": 7}, "model: Input should be a valid string"),
    (RUNTIME, {}, {"messages": []}, "messages: at least one message is required"),
    (RUNTIME, {"anthropic-beta": "nonsense"}, {}, "invalid beta flag"),
    (RUNTIME, {"anthropic-beta": "per-turn-control-2026-07-01"}, {}, "invalid beta flag"),
    (RUNTIME, {"anthropic-beta": "claude-code-20250219"}, {}, "invalid beta flag"),
    (MANTLE, {"anthropic-beta": "claude-code-20250219, files-api-2025-04-14"}, {},
     "invalid beta flag"),
    (MANTLE, {"anthropic-beta": "token-counting-2024-11-01"}, {}, "invalid beta flag"),
    (MANTLE, {}, {"context_management": {"edits": []}}, f"context_management: {EXTRA}"),
    (MANTLE, {}, {"output_config": {"format": {"type": "json_schema", "schema": {}}}},
     f"output_config.format: {EXTRA}"),
    (MANTLE, {}, {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
     "tools.0: Input tag 'web_search_20250305'"),
    (COUNT, {}, {}, f"max_tokens: {EXTRA}"),
    (COUNT, {}, {"max_tokens": None, "stream": True}, f"stream: {EXTRA}"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "headers", "fields", "words"), REFUSED)
def test_refused(ask, error_of, sim, path, headers, fields, words):
    model = OPUS_48 if path == RUNTIME else BARE
    status, type_, message = error_of(ask(path, headers, **{"model": model, **fields}))
    assert (status, type_) == (400, "invalid_request_error")
    assert words in message


SYSTEM = [{"role": "user", "content": "hello"}, {"role": "system", "content": "more"}]
ACCEPTED = [
    (RUNTIME, NEW, {}),
    (RUNTIME, {}, {"cache_control": {"type": "ephemeral"}}),
    (RUNTIME, {}, {"model": HAIKU_45, "cache_control": {"type": "ephemeral"}}),
    (RUNTIME, {}, {"output_config": {"format": {"type": "json_schema", "schema": {}}}}),
    (RUNTIME, {}, {"messages": SYSTEM, "metadata": {"user_id": "u"}}),
    (MANTLE, {"anthropic-beta": "per-turn-control-2026-07-01,claude-code-20250219"},
     {"model": "anthropic.claude-opus-5-5",
      "messages": [SYSTEM[0], {**SYSTEM[1], "output_config": {"effort": "low"}}]}),
    (MANTLE, {"anthropic-beta": "mid-conversation-system-clear-at-2026-08-21"},
     {"messages": [SYSTEM[0], {**SYSTEM[1], "clear_at": "never"}]}),
    (MANTLE, {"anthropic-beta": "compact-2026-01-12"},
     {"context_management": {"edits": [{"type": "compact_20260112"}]}}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "headers", "fields"), ACCEPTED)
def test_accepted(ask, sim, path, headers, fields):
    model = OPUS_48 if path == RUNTIME else BARE
    status, _, received = ask(path, headers, **{"model": model, **fields})
    assert status == 200, received


MANTLE_FLAGS = (
    "interleaved-thinking-2025-05-14,context-management-2025-06-27,claude-code-20250219,"
    "tool-search-tool-2025-10-19"
)
LATE_FLAGS = f"{MANTLE_FLAGS},thinking-token-count-2026-05-13,effort-2025-11-24"
ADAPTIVE = {"thinking": {"type": "adaptive", "display": "omitted"}, "max_tokens": 64000}


@pytest.mark.parametrize(
    ("model", "flags", "fields"),
    [
        ("anthropic.claude-haiku-4-5", MANTLE_FLAGS,
         {"thinking": {"type": "enabled", "budget_tokens": 31999}, "max_tokens": 32000}),
        ("anthropic.claude-opus-4-7", LATE_FLAGS,
         {**ADAPTIVE, "output_config": {"effort": "xhigh"}}),
        ("anthropic.claude-opus-5-5", LATE_FLAGS, {**ADAPTIVE, "messages": SYSTEM}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stream", [False, True])
def test_what_claude_code_sends_to_mantle_is_accepted(ask, sim, model, flags, fields, stream):
    edits = {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}
    status, _, received = ask(
        f"{MANTLE}?beta=true",
        {"anthropic-beta": flags},
        model=model,
        stream=stream,
        context_management=edits,
        **fields,
    )
    assert status == 200, received
    data = received.split(b"\n\n")[-3].partition(b"data: ")[2] if stream else received
    answer = json.loads(data)
    assert answer["context_management"] == {"applied_edits": []}


def test_counting_reports_what_edits_would_save(ask, sim):
    status, _, received = ask(
        COUNT,
        {"anthropic-beta": "context-management-2025-06-27"},
        model=BARE,
        max_tokens=None,
        context_management={"edits": []},
    )
    counted = json.loads(received)
    assert status == 200
    assert counted["context_management"]["original_input_tokens"] == counted["input_tokens"]
