"""Rows: every beta flag that the SDK or Claude Code may send, alone in the header.

A flag that stands for a field is sent with that field (`safeguards`, `tool_addition` …): their rows
are those of the field.
"""

from __future__ import annotations

from rows import Row

_TOOL_SEARCH = "tool-search-tool-2025-10-19"
# Those that reach some model, with what becomes of them in each column.
_SENT = {
    "compact-2026-01-12": "DMNN DDD",
    "computer-use-2025-01-24": "MMNN MDD",
    "computer-use-2025-11-24": "MMNN MDD",
    "context-management-2025-06-27": "MMNN DDD",
    "effort-2025-11-24": "MMNN MDD",
    "interleaved-thinking-2025-05-14": "MMNN DDD",
    "structured-outputs-2025-11-13": "DDDD MDD",
    "thinking-binding-controls-2026-08-01": "DMNN DDD",
    "thinking-display-updates-2026-08-18": "DMNN DDD",
    "thinking-token-count-2026-05-13": "DMNN DDD",
}
_LEFT_OUT = """
    admin-user-sign-out-2026-10-08 advisor-tool-2026-03-01 afk-mode-2026-01-31
    agent-memory-2026-07-22 analytics-usage-cost-2026-08-24 cache-diagnosis-2026-04-07
    ce-claude-code-managed-settings-2026-10-06 ce-plugins-2026-09-01
    ce-user-management-2026-07-13 claude-code-20250219 code-execution-2025-05-22
    compact-2026-09-04 computer-use-2024-10-22 context-1m-2025-08-07
    dangerous-tool-use-2026-09-03 dev-full-thinking-2025-05-14 dreaming-2026-04-21 efs-2026-10-01
    experimental-claude-tag-2026-10-21 extended-cache-ttl-2025-04-11 fallback-credit-2026-06-01
    fallback-credit-2026-07-01 fast-mode-2026-02-01 files-api-2025-04-14
    google-managed-data-controls-2026-09-01 inline-tools-2026-09-15 managed-agents-2026-04-01
    mcp-client-2025-04-04 mcp-client-2025-11-20 mcp-client-2026-09-15 mcp-tunnels-2026-06-22
    message-batches-2024-09-24 message-threads-2026-08-12
    mid-conversation-output-config-2026-07-01 mid-conversation-system-clear-at-2026-08-21
    mid-conversation-tool-changes-2026-07-01 model-context-window-exceeded-2025-08-26
    output-128k-2025-02-19 output-300k-2026-03-24 pdfs-2024-09-25 per-turn-control-2026-07-01
    prompt-caching-2024-07-31 redact-thinking-2026-02-12 request-tags-2026-08-21
    server-side-fallback-2026-06-01 server-side-fallback-2026-07-01 skills-2025-10-02
    spend-limit-reads-2026-09-26 structured-outputs-2025-12-15 task-budgets-2026-03-13
    telemetry-destinations-2026-08-11 token-counting-2024-11-01 token-efficient-tools-2025-02-19
    user-profiles-2026-03-24 user-profiles-2026-08-18 user-profiles-2026-09-04
    user-profiles-billing-2026-10-01 webhooks-2026-10-07
"""


def _flag(name: str, cells: str, *, sent_as: str = "") -> Row:
    sent = sent_as or name
    return Row(
        group="beta flags",
        name=name,
        request={},
        at="@headers.anthropic-beta",
        cells=cells,
        flags=(name,),
        named="anthropic-beta" if sent_as else f"anthropic-beta {name}",
        native={"anthropic_beta": [sent]},
        converse={"additionalModelRequestFields.anthropic_beta": [sent]},
        only={key: {"@headers.anthropic-beta": sent} for key in ("opus55", "mantle")},
    )


FLAGS = (
    *(_flag(name, cells) for name, cells in _SENT.items()),
    _flag("advanced-tool-use-2025-11-20", "MMMM DDD", sent_as=_TOOL_SEARCH),
    *(_flag(name, "DDDD DDD") for name in _LEFT_OUT.split()),
)
