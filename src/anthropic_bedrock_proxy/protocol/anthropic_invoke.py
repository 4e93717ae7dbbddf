"""Anthropic Messages -> InvokeModel body. Near pass-through: raw JSON in, raw JSON out.

Bedrock takes Anthropic's own body minus `model` and `stream`, plus `anthropic_version` and
`anthropic_beta`, and refuses every key it does not know. So what a client may send and Bedrock
does not take is edited here: removed where nothing is lost by it (and named in `dropped`), else
refused with its path. Only messages that need an edit are ever decoded.
Sources: AWS documentation of Claude on InvokeModel; the body that Claude Code itself sends to
Bedrock per model; public refusals ("Extra inputs are not permitted").
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw

from ..errors import InvalidRequestError
from .betas import BetaRules, choose_betas
from .capabilities import Generation
from .messages import BlockView, MessagesRequest, MessageView, ToolView

_ANTHROPIC_VERSION: Final = Raw(b'"bedrock-2023-05-31"')
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_decode_raws = msgspec.json.Decoder(list[Raw]).decode

# Top-level fields that InvokeModel does not take. None: dropping loses nothing (the answer is the
# same without). Text: refused unless null, with this reason.
_UNSUPPORTED: Final[dict[str, str | None]] = {
    "diagnostics": None,  # cache-miss explanations; the answer just lacks them
    "service_tier": None,  # auto and standard_only both mean Bedrock's default tier
    "billing_policy": None,  # whom Anthropic bills has no meaning on one's own AWS account
    "cache_control": None,  # automatic caching only saves money; explicit markers still work
    "speed": None,  # Bedrock has one speed; `usage.speed` is absent from the answer
    "betas": "betas: send beta flags in the anthropic-beta header",
    "compaction": "compaction: not available on Amazon Bedrock; remove it",
    "container": "container: code execution is not available in this version; remove it",
    "fallbacks": "fallbacks: not available on Amazon Bedrock; remove it",
    "fallback_credit_token": "fallback_credit_token: not available on Amazon Bedrock; remove it",
    "inference_geo": "inference_geo: choose the geography by the model's inference profile "
    "(for example us.anthropic.…) instead",
    "mcp_servers": "mcp_servers: the MCP connector is not available on Amazon Bedrock; remove it",
    "thread": "thread: server-side threads are not available; send the whole history",
}
_NATIVE: Final = frozenset(
    (
        "max_tokens",
        "messages",
        "metadata",
        "output_config",
        "stop_sequences",
        "system",
        "temperature",
        "thinking",
        "tool_choice",
        "top_k",
        "top_p",
    )
)
_EDIT_KEYS: Final = ("caller", "parsed_output", "toolset_name")
_SERVER_BLOCKS: Final = frozenset(
    (
        "advisor_tool_result",
        "bash_code_execution_tool_result",
        "code_execution_tool_result",
        "container_upload",
        "fallback",
        "mcp_tool_listing",
        "mcp_tool_result",
        "mcp_tool_use",
        "text_editor_code_execution_tool_result",
        "web_fetch_tool_result",
        "web_search_tool_result",
    )
)
_SERVER_TOOLS: Final = (
    "advisor_",
    "browser_toolset_",
    "code_execution_",
    "computer_toolset_",
    "mcp_toolset",
    "web_fetch_",
    "web_search_",
)
_BILLING_HEADER: Final = "x-anthropic-billing-header"
_CLEAR_THINKING: Final = "clear_thinking_20251015"


class InvokeRequest(msgspec.Struct, frozen=True):
    """What goes to Bedrock, and what was left out on the way."""

    body: bytes
    dropped: tuple[str, ...] = ()


def to_invoke(
    request: MessagesRequest,
    flags: list[str],
    generation: Generation,
    rules: BetaRules,
) -> InvokeRequest:
    """Converts a request; `flags` are the client's beta flags.

    Raises `InvalidRequestError` for what Bedrock cannot do, with the path.
    """
    fields = dict(request.fields)
    dropped: list[str] = []
    del fields["model"]
    fields.pop("stream", None)
    wanted = list(flags)
    for name in request.fields.keys() - _NATIVE:
        _special_field(name, fields, dropped)
    _edit_messages(request, fields, generation, dropped)
    if request.view.tools:
        _edit_tools(request.view.tools, fields, generation, rules, wanted, dropped)
    if b"x-anthropic-billing-header" in bytes(fields.get("system", b""))[:200]:
        _drop_billing_header(fields, dropped)
    fields["anthropic_version"] = _ANTHROPIC_VERSION
    if wanted:
        betas, refused = choose_betas(wanted, generation.betas, rules)
        dropped += [f"anthropic-beta {flag}" for flag in refused]
        if betas:
            fields["anthropic_beta"] = Raw(_encode(betas))
    return InvokeRequest(_encode(fields), tuple(dropped))


def _special_field(name: str, fields: dict[str, Raw], dropped: list[str]) -> None:
    """Edits one top-level field that is not simply forwarded. Unknown ones are: Bedrock answers."""
    if name in _UNSUPPORTED:
        reason = _UNSUPPORTED[name]
        value = bytes(fields.pop(name))
        if reason is None:
            dropped.append(name)
        elif value not in (b"null", b"[]"):
            raise InvalidRequestError(reason)
    elif name == "context_management":
        _edit_context_management(fields, dropped)
    elif name == "output_format":
        # Before anthropic 2.x the schema stood at the top level (beta structured-outputs).
        config = _decode(fields.get("output_config", b"{}")) or {}
        config.setdefault("format", _decode(fields.pop("output_format")))
        fields["output_config"] = Raw(_encode(config))


def _edit_context_management(fields: dict[str, Raw], dropped: list[str]) -> None:
    """Keeping all thinking is what happens anyway: the edit Claude Code always sends is dropped."""
    value = _decode(fields["context_management"])
    edits = value.get("edits") if isinstance(value, dict) else None
    if not edits or all(_keeps_everything(edit) for edit in edits):
        del fields["context_management"]
        dropped.append("context_management")


def _keeps_everything(edit: Any) -> bool:
    return (
        isinstance(edit, dict) and edit.get("type") == _CLEAR_THINKING and edit.get("keep") == "all"
    )


# Messages


def _edit_messages(
    request: MessagesRequest, fields: dict[str, Raw], generation: Generation, dropped: list[str]
) -> None:
    native_system = "system_role" in generation.features
    edits = [
        index
        for index, message in enumerate(request.view.messages)
        if _needs_edit(message, index, native_system)
    ]
    if not edits:
        return
    raws = _decode_raws(fields["messages"])
    effort = None
    for index in edits:
        tree = _decode(raws[index])
        effort = _edit_message(tree, index, native_system, dropped) or effort
        raws[index] = Raw(_encode(tree))
    fields["messages"] = Raw(_encode(raws))
    if effort is not None and "effort" in generation.features:
        # Bedrock has one effort per request: the newest message that sets one wins.
        config = _decode(fields.get("output_config", b"{}")) or {}
        fields["output_config"] = Raw(_encode({**config, "effort": effort}))


def _needs_edit(message: MessageView, index: int, native_system: bool) -> bool:
    if (
        message.output_config is not UNSET
        or message.clear_at is not UNSET
        or (message.role == "system" and not native_system)
    ):
        return True
    if isinstance(message.content, str):
        return False
    # Every block is looked at, even after the first edit: refusals must not depend on it.
    return any(
        [
            _block_needs_edit(block, index, position)
            for position, block in enumerate(message.content)
        ]
    )


def _block_needs_edit(block: BlockView, index: int, position: int) -> bool:
    kind = block.type
    if kind in _SERVER_BLOCKS:
        raise InvalidRequestError(
            f"messages.{index}.content.{position}: {kind} blocks are not available on Amazon "
            "Bedrock; remove them from the history"
        )
    if block.source is not UNSET:
        _check_source(block, f"messages.{index}.content.{position}")
    if block.content is not UNSET and isinstance(block.content, list):
        for inner, nested in enumerate(block.content):
            if nested.source is not UNSET:
                _check_source(nested, f"messages.{index}.content.{position}.content.{inner}")
    if block.caller is not UNSET:
        caller = block.caller
        if caller is not None and caller.type != "direct":
            raise InvalidRequestError(
                f"messages.{index}.content.{position}.caller: programmatic tool calling is not "
                "available in this version; remove the blocks that code called"
            )
        return True
    return (
        block.parsed_output is not UNSET
        or block.toolset_name is not UNSET
        or (block.citations is None and kind == "text")
    )


def _check_source(block: BlockView, path: str) -> None:
    source = block.source
    if isinstance(source, str) or source is UNSET:
        return
    if source.type in ("url", "file"):
        raise InvalidRequestError(
            f"{path}.source: {source.type} sources are not available on Amazon Bedrock; send the "
            f"{block.type} as base64"
        )


def _edit_message(
    tree: dict[str, Any], index: int, native_system: bool, dropped: list[str]
) -> str | None:
    """Edits one message in place; returns the effort it asked for."""
    config = tree.pop("output_config", None)
    if config is not None:
        dropped.append(f"messages.{index}.output_config")
    if tree.pop("clear_at", None) is not None:
        dropped.append(f"messages.{index}.clear_at")
    if tree["role"] == "system" and not native_system:
        _system_to_user(tree, index)
    if isinstance(tree["content"], list):
        for block in tree["content"]:
            for key in _EDIT_KEYS:
                block.pop(key, None)
            if block.get("citations", ...) is None:
                del block["citations"]
    return config.get("effort") if isinstance(config, dict) else None


def _system_to_user(tree: dict[str, Any], index: int) -> None:
    """In place, never hoisted to the top-level `system`: that would end the prompt cache there."""
    tree["role"] = "user"
    content = tree["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    for position, block in enumerate(blocks):
        if block["type"] != "text":
            raise InvalidRequestError(
                f"messages.{index}.content.{position}: {block['type']} is not supported by this "
                "model; choose one that takes system messages inside the conversation"
            )
        block["text"] = f"<system-reminder>\n{block['text']}\n</system-reminder>"
    tree["content"] = blocks


def _drop_billing_header(fields: dict[str, Raw], dropped: list[str]) -> None:
    """Claude Code's attribution block is for Anthropic's own API, which strips it too."""
    system = _decode(fields["system"])
    if isinstance(system, list):
        kept = [
            block
            for block in system
            if not str(block.get("text", "")).startswith(_BILLING_HEADER)
        ]
        if len(kept) != len(system):
            dropped.append("system.0")
            if kept:
                fields["system"] = Raw(_encode(kept))
            else:
                del fields["system"]


# Tools


def _edit_tools(
    tools: list[ToolView],
    fields: dict[str, Raw],
    generation: Generation,
    rules: BetaRules,
    wanted: list[str],
    dropped: list[str],
) -> None:
    edits = [index for index, tool in enumerate(tools) if _tool_needs_edit(tool, index)]
    if not edits:
        return
    raws = _decode_raws(fields["tools"])
    for index in edits:
        tree = _decode(raws[index])
        _edit_tool(tree, index, generation, rules, wanted, dropped)
        raws[index] = Raw(_encode(tree))
    fields["tools"] = Raw(_encode(raws))


def _tool_needs_edit(tool: ToolView, index: int) -> bool:
    kind = tool.type
    if kind is not None and kind.startswith(_SERVER_TOOLS):
        raise InvalidRequestError(
            f"tools.{index}: {kind} is not available on Amazon Bedrock; remove it"
        )
    if tool.allowed_callers and "direct" not in tool.allowed_callers:
        raise InvalidRequestError(
            f"tools.{index}.allowed_callers: programmatic tool calling is not available in this "
            'version; add "direct"'
        )
    return (
        tool.allowed_callers is not UNSET
        or tool.custom is not UNSET
        or tool.defer_loading is not UNSET
        or tool.eager_input_streaming is not UNSET
        or tool.input_examples is not UNSET
        or kind == "custom"
        or (kind is not None and kind.startswith("tool_search_"))
    )


def _edit_tool(
    tree: dict[str, Any],
    index: int,
    generation: Generation,
    rules: BetaRules,
    wanted: list[str],
    dropped: list[str],
) -> None:
    wrapper = tree.pop("custom", None)
    if isinstance(wrapper, dict):  # {"type": "custom", "custom": {...}} of early clients
        tree.update(wrapper)
    if tree.get("type") == "custom":
        del tree["type"]
    tree.pop("allowed_callers", None)
    if tree.pop("eager_input_streaming", None):
        dropped.append(f"tools.{index}.eager_input_streaming")
    for name, flag in rules.needed_for.items():
        if not tree.get(name):
            tree.pop(name, None)
        elif flag not in generation.betas:
            # Loading a tool at once, or without its examples, changes cost, not meaning.
            dropped.append(f"tools.{index}.{name}")
            del tree[name]
        elif flag not in wanted:
            wanted.append(flag)
    search = rules.needed_for.get("defer_loading")
    if str(tree.get("type", "")).startswith("tool_search_"):
        if search not in generation.betas:
            raise InvalidRequestError(f"tools.{index}: this model has no tool search; remove it")
        if search not in wanted:
            wanted.append(str(search))
