from __future__ import annotations

import pytest

from anthropic_bedrock_proxy.telemetry.metrics.dropped import bounded_name


@pytest.mark.parametrize(
    ("dropped", "name"),
    [
        ("anthropic-beta context-1m-2025-08-07", ("beta", "context-1m-2025-08-07")),
        ("anthropic-beta claude-code-20250219", ("beta", "claude-code-20250219")),
        ("anthropic-beta made-up-2025-08-07", ("beta", "other")),
        ("anthropic-beta my secret prompt", ("beta", "other")),
        ("top_k", ("field", "top_k")),
        ("messages.3.content.0.cache_control.ttl", ("field", "cache_control.ttl")),
        (
            "tool_choice.disable_parallel_tool_use",
            ("field", "tool_choice.disable_parallel_tool_use"),
        ),
        ("messages.12.content.3", ("field", "messages")),
        ("sk-of-mine", ("field", "other")),
        ("messages.0.what I had for breakfast", ("field", "messages")),
    ],
)
def test_names_are_few_whatever_clients_send(dropped, name):
    assert bounded_name(dropped, {"context-1m-2025-08-07", "claude-code-20250219"}) == name
