"""What the table must not leave out: the names of the Messages API, and the SDK's own types.

NAMES is written from the API reference (request body, content blocks, tools); the SDK's TypedDicts
are walked from the parameters of `messages.create`, so a new release that knows more is noticed.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from typing import Any, Final, get_args, get_type_hints

import msgspec
from proofs import find, fragment
from rows import Row
from typing_extensions import is_typeddict

NAMES: Final = {
    "fields": (
        "model max_tokens messages system stream stop_sequences temperature top_p top_k metadata "
        "tools tool_choice thinking output_config output_format cache_control container "
        "service_tier inference_geo speed diagnostics context_management compaction mcp_servers "
        "fallbacks fallback_credit_token thread billing_policy user_profile_id betas clear_at"
    ),
    "blocks": (
        "text image document search_result thinking redacted_thinking tool_use tool_result "
        "server_tool_use web_search_tool_result web_fetch_tool_result code_execution_tool_result "
        "bash_code_execution_tool_result text_editor_code_execution_tool_result "
        "tool_search_tool_result container_upload mcp_tool_use mcp_tool_result mcp_tool_listing "
        "advisor_tool_result compaction fallback tool_addition tool_removal tool_reference "
        "browser_state"
    ),
    "sources": "base64 url file text content",
    "thinking": "enabled adaptive disabled between_tools",
    "tool choices": "auto any tool none",
    "edits": "clear_tool_uses_20250919 clear_thinking_20251015 compact_20260112",
    "tools": (
        "custom bash_20250124 bash_20241022 text_editor_20250728 text_editor_20250429 "
        "text_editor_20250124 text_editor_20241022 memory_20250818 computer_20241022 "
        "computer_20250124 computer_20251124 computer_toolset_20260801 browser_toolset_20260801 "
        "web_search_20250305 web_search_20260209 web_search_20260318 web_fetch_20250910 "
        "web_fetch_20260209 web_fetch_20260309 web_fetch_20260318 code_execution_20250522 "
        "code_execution_20250825 code_execution_20260120 code_execution_20260521 "
        "tool_search_tool_regex tool_search_tool_regex_20251119 tool_search_tool_bm25 "
        "tool_search_tool_bm25_20251119 advisor_20260301 mcp_toolset"
    ),
    "properties of tools": (
        "defer_loading allowed_callers strict input_examples eager_input_streaming cache_control"
    ),
}
# Seen in requests of Claude Code 2.1.330, beside what the SDK knows.
CLAUDE_CODE: Final = {
    "fields": (
        "context_management max_tokens messages metadata model output_config safeguards stream "
        "system tags temperature thinking tool_choice tools"
    ),
    "flags": (
        "advanced-tool-use-2025-11-20 afk-mode-2026-01-31 claude-code-20250219 "
        "context-1m-2025-08-07 context-management-2025-06-27 dangerous-tool-use-2026-09-03 "
        "effort-2025-11-24 fallback-credit-2026-06-01 interleaved-thinking-2025-05-14 "
        "mid-conversation-tool-changes-2026-07-01 per-turn-control-2026-07-01 "
        "redact-thinking-2026-02-12 request-tags-2026-08-21 structured-outputs-2025-12-15 "
        "thinking-display-updates-2026-08-18 thinking-token-count-2026-05-13 "
        "token-counting-2024-11-01"
    ),
}
_MEMBER: Final = "a toolset is refused as a whole, whatever its members"
_ITSELF: Final = "a search that has to be searched for is none"
# A TypedDict of the SDK (without "Beta"), one key of it, or a key anywhere -> why it has no row.
EXCEPTIONS: Final = {
    ".workspace_id": "the SDK sends it as a header of Anthropic's own API",
    "ComputerToolsetConfigsParam": _MEMBER,
    "BrowserToolsetConfigsParam": _MEMBER,
    "ToolSearchToolBm25_20251119Param.defer_loading": _ITSELF,
    "ToolSearchToolRegex20251119Param.defer_loading": _ITSELF,
    ".blocked_domains": "as allowed_domains, beside which it may not stand",
}
_CUSTOM: Final = "custom"  # a tool without a type


class Param(msgspec.Struct, frozen=True):
    """One TypedDict of the SDK."""

    name: str
    types: tuple[str, ...]  # the values that its `type` may have
    keys: tuple[str, ...]


class Shown:
    """What the rows are about: types, keys, and which key of which type."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.types: set[str] = set()
        self.keys: set[str] = set()
        self._pairs: set[tuple[str, str]] = set()
        for row in rows:
            self._show(row)

    def has(self, name: str) -> bool:
        """Whether a row is about the name, be it a type or a key."""
        return name in self.types or name in self.keys

    def lacks(self, params: Iterable[Param]) -> Iterator[str]:
        """`TypedDict.key` of what no row is about."""
        for param in params:
            for key in param.keys:
                pairs = {(kind, key) for kind in param.types}
                shown = pairs <= self._pairs if param.types else key in self.keys
                if not shown:
                    yield f"{param.name}.{key}"

    def _show(self, row: Row) -> None:
        parent, _, last = row.at.rpartition(".")
        self._collect(fragment(row), _CUSTOM if parent == "tools" else "")
        if row.at.startswith("@") or last.isdecimal():
            return
        holder = find(row.request, parent) if parent else {}
        self._note(_type_of(holder, _CUSTOM if parent.startswith("tools.") else ""), last)

    def _collect(self, value: Any, kind: str) -> None:
        if isinstance(value, list):
            for item in value:
                self._collect(item, kind)
        elif isinstance(value, dict):
            own = _type_of(value, kind)
            for key, inner in value.items():
                self._note(own, key)
                self._collect(inner, "")

    def _note(self, kind: str, key: str) -> None:
        self.types.add(kind)
        self.keys.add(key)
        self._pairs |= {(kind, key), (kind, "type")}


def _type_of(tree: dict[str, Any], otherwise: str) -> str:
    kind = tree.get("type")
    return kind if isinstance(kind, str) else otherwise


def is_excepted(missing: str) -> bool:
    """Whether there is a reason for a missing `TypedDict.key`."""
    return bool(EXCEPTIONS.keys() & reasons_for(missing))


def reasons_for(missing: str) -> set[str]:
    """The keys of EXCEPTIONS that a missing `TypedDict.key` may stand under."""
    name, _, key = missing.partition(".")
    return {missing, name, f".{key}"}


def params_of_sdk(namespace: str) -> list[Param]:
    """Every TypedDict that the parameters of `messages.create` and `count_tokens` lead to."""
    create = importlib.import_module(f"anthropic.{namespace}.message_create_params")
    count = importlib.import_module(f"anthropic.{namespace}.message_count_tokens_params")
    found: dict[Any, Param] = {}
    _walk(create.MessageCreateParamsBase, found)
    _walk(count.MessageCountTokensParams, found)
    return list(found.values())


def flags_of_sdk() -> set[str]:
    """Every beta flag that the SDK has a name for."""
    module = importlib.import_module("anthropic.types.anthropic_beta_param")
    return set(_literals(module.AnthropicBetaParam))


def _walk(hint: Any, found: dict[Any, Param]) -> None:
    if not is_typeddict(hint):
        for inner in get_args(hint):
            _walk(inner, found)
    elif hint not in found:
        members = get_type_hints(hint)
        name = hint.__name__.removeprefix("Beta")
        # In a toolset's members, `type` is a key like any other.
        types = tuple(_literals(members.get("type"))) if "ConfigsParam" not in name else ()
        found[hint] = Param(name, types, tuple(members))
        for inner in members.values():
            _walk(inner, found)


def _literals(hint: Any) -> Iterator[str]:
    for inner in get_args(hint):
        if isinstance(inner, str):
            yield inner
        else:
            yield from _literals(inner)
