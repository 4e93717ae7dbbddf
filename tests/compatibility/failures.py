"""What the tests of the failure groups share: ways to Bedrock, and a request of Claude Code."""

from __future__ import annotations

import pytest
from journey import BASE, arrive, options_of, travel
from rows import (
    CALL,
    COLUMNS,
    EPHEMERAL,
    OTHER_TOOL,
    PDF_DATA,
    RESULT,
    TEXT,
    TOOL,
)
from streams import decode

from anthropic_bedrock_proxy.aws_errors import UpstreamRefusal
from anthropic_bedrock_proxy.gateway.attempt import learned
from anthropic_bedrock_proxy.gateway.conversion import convert
from anthropic_bedrock_proxy.gateway.overrides.overrides import Overrides

BY_KEY = {column.key: column for column in COLUMNS}
every_way = pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.key)
on_converse = pytest.mark.parametrize("column", COLUMNS[4:], ids=lambda column: column.key)
native = pytest.mark.parametrize("column", COLUMNS[:4], ids=lambda column: column.key)
# What Claude Code sends with every request to Anthropic's own API.
CLAUDE_CODE_FLAGS = (
    "claude-code-20250219",
    "interleaved-thinking-2025-05-14",
    "context-management-2025-06-27",
    "prompt-caching-scope-2026-01-05",
    "per-turn-control-2026-07-01",
    "mid-conversation-tool-changes-2026-07-01",
    "effort-2025-11-24",
    "extended-cache-ttl-2025-04-11",
    "advanced-tool-use-2025-11-20",
)
CLAUDE_CODE = {
    "max_tokens": 9000,
    "metadata": {"user_id": '{"device_id":"d","account_uuid":"a","session_id":"s"}'},
    "thinking": {"type": "adaptive", "display": "omitted"},
    "output_config": {"effort": "high"},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "system": [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2"},
        {"type": "text", "text": "You are an agent.", "cache_control": EPHEMERAL},
    ],
    "tools": [TOOL, {**OTHER_TOOL, "defer_loading": True, "eager_input_streaming": True}],
    "messages": [
        {"role": "user", "content": [{**TEXT, "cache_control": EPHEMERAL}]},
        {"role": "system", "content": "Be brief.", "output_config": {"effort": "low"}},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "", "signature": "c2lnbmVk"},
                {**CALL, "caller": {"type": "direct"}},
            ],
        },
        {"role": "user", "content": [{**RESULT, "cache_control": EPHEMERAL}]},
    ],
}
PDF = {
    "type": "document",
    "source": {"type": "base64", "media_type": "application/pdf", "data": PDF_DATA},
}
DEFERRED = {"tools": [TOOL, {**OTHER_TOOL, "defer_loading": True}]}


def sent(column, given=None, flags=(), **rest):
    """What reaches Bedrock; nothing may be refused on the way."""
    outcome = travel(column, {**(given or {}), **rest}, flags)
    assert not outcome.refusal, outcome.refusal
    return outcome.tree


def refused(column, given, path):
    outcome = travel(column, given)
    assert outcome.refusal.startswith(path), outcome.refusal
    assert not outcome.by_bedrock


def taught(column, given, message, flags=()):
    """The body of the next attempt after Bedrock refused the first with these words."""
    request, target = arrive(column, {"model": column.model, **BASE, **given})
    options = options_of(request, column, flags)
    overrides = Overrides(options.rules.needed_for)
    call = convert(request, target, options).call
    refusal = UpstreamRefusal("ValidationException", message, status=400)
    view = learned(overrides, request, target, options, call=call, refusal=refusal, view=None)
    assert view is not None
    return decode(convert(request, target, options, view).call.body)
