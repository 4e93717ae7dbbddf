"""`messages` and `system` -> Converse's, in one pass.

Source: bedrock-runtime service model (Message, SystemContentBlock); Anthropic API, rules about
roles and tool results.
"""

from __future__ import annotations

from typing import Any, Final

from ....errors import InvalidRequestError
from . import attachments, history, results
from .blocks import (
    AssistantMessage,
    Block,
    CacheControl,
    Document,
    Image,
    Message,
    RedactedThinking,
    SearchResult,
    Text,
    Thinking,
    ToolAddition,
    ToolRemoval,
    ToolResult,
    ToolUse,
    UserMessage,
    messages_decoder,
    system_decoder,
)
from .draft import ConverseDraft
from .reading import read, shown
from .role_group import RoleGroup, check_calls

_BILLING_HEADER: Final = "x-anthropic-billing-header"
_LACKING_CHANGES: Final = "this model takes no tool changes inside the conversation"


def convert_system(draft: ConverseDraft) -> list[dict[str, Any]]:
    """Converts the system prompt with its breakpoints.

    Raises `InvalidRequestError` with the path.
    """
    raw = draft.request.fields.get("system")
    system = None if raw is None else read(raw, system_decoder, "system")
    if system is None:
        return []
    if isinstance(system, str):
        return [] if attachments.is_blank(system) else [{"text": system}]
    turn = RoleGroup("system", 0)
    for position, block in enumerate(system):
        path = f"system.{position}"
        if block.text.startswith(_BILLING_HEADER):
            # Claude Code's attribution is for Anthropic's own API, which strips it too.
            draft.dropped.append(path)
            continue
        _add_text(draft, turn, block, path)
        _mark(draft, turn, block.cache_control, path)
    return turn.others


def convert_messages(draft: ConverseDraft, system: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Converts the conversation; `system` goes before it where the model has no system prompt.

    Raises `InvalidRequestError` with the path.
    """
    turns = _turns(draft, read(draft.request.fields["messages"], messages_decoder, "messages"))
    if not turns:
        raise InvalidRequestError("messages: at least one message is required")
    before = None
    for turn in turns:
        check_calls(before, turn)
        before = turn
    check_calls(before, None)
    if "mixed_results" not in draft.features:
        _fold(draft, turns)
    _settle_prefill(draft, turns)
    if system:
        turns[0].others[:0] = system
    return [{"role": turn.role, "content": turn.content()} for turn in turns]


def _fold(draft: ConverseDraft, turns: list[RoleGroup]) -> None:
    folded = sum(turn.fold() for turn in turns)
    if folded:
        draft.warnings.append(
            f"messages: in {folded} of them text beside tool results became part of the last result"
        )


def _turns(draft: ConverseDraft, messages: list[Message]) -> list[RoleGroup]:
    turns: list[RoleGroup] = []
    turn = RoleGroup("", 0)
    for index, message in enumerate(messages):
        role = _role(message)
        if role != turn.role:
            if not turns and role != "user":
                raise InvalidRequestError(
                    f'messages.{index}.role: first message must use the "user" role'
                )
            turn = RoleGroup(role, index)
            turns.append(turn)
        turn.last = index
        content = message.content
        if isinstance(content, str):
            if not attachments.is_blank(content):
                turn.others.append({"text": content})
            continue
        for position, block in enumerate(content):
            _add(draft, turn, block, f"messages.{index}.content.{position}")
    return turns


def _role(message: Message) -> str:
    if isinstance(message, UserMessage):
        return "user"
    if isinstance(message, AssistantMessage):
        return "assistant"
    return "system"


def _settle_prefill(draft: ConverseDraft, turns: list[RoleGroup]) -> None:
    last = turns[-1]
    if last.role != "assistant":
        return
    if not last.others:  # an empty prefill asks for nothing
        draft.dropped.append(f"messages.{last.last}")
        turns.pop()
    else:
        last.trim()


def _add(draft: ConverseDraft, turn: RoleGroup, block: Block, path: str) -> None:
    """Converts one block and its breakpoint."""
    inner = None
    match block:
        case Text():
            _add_text(draft, turn, block, path)
        case ToolUse():
            if block.id in turn.asked:
                raise InvalidRequestError(f"{path}.id: `tool_use` ids must be unique")
            turn.others.append(history.tool_use(draft, block, path))
            turn.asked[block.id] = None
        case ToolResult():
            _add_result(draft, turn, block, path)
            return
        case Thinking():
            if (thought := history.thinking(draft, block, path)) is not None:
                turn.others.append(thought)
            return
        case RedactedThinking():
            if (thought := history.redacted_thinking(draft, block, path)) is not None:
                turn.others.append(thought)
            return
        case Image():
            parts, inner = attachments.image(draft, block, path)
            turn.others += parts
        case Document():
            parts, inner = attachments.document(draft, block, path)
            turn.others += parts
        case SearchResult():
            parts, inner = attachments.search_result(draft, block, path)
            turn.others += parts
        case _:
            turn.others.append(_tool_change(draft, block, path))
    _mark(draft, turn, block.cache_control or inner, path)


def _add_text(draft: ConverseDraft, turn: RoleGroup, block: Text, path: str) -> None:
    if block.citations and turn.role == "assistant":
        turn.others.append(history.cited_text(draft, block, path))
        return
    if block.citations:
        draft.dropped.append(f"{path}.citations")
    turn.others.append({"text": block.text})


def _add_result(draft: ConverseDraft, turn: RoleGroup, block: ToolResult, path: str) -> None:
    if "tools" not in draft.features:
        raise InvalidRequestError(
            f"{path}: this model has no tool use; remove the block or choose another model"
        )
    if block.tool_use_id in turn.answered:
        raise InvalidRequestError(
            f"{path}.tool_use_id: each tool_use must have a single result. Found multiple "
            f"`tool_result` blocks with id: {shown(block.tool_use_id)}"
        )
    turn.answered[block.tool_use_id] = path
    converted, inner = results.tool_result(draft, block, path)
    turn.results.append(converted)
    point = draft.cache.point(block.cache_control or inner, path)
    if point is not None:
        turn.mark_result(point)


def _tool_change(
    draft: ConverseDraft, block: ToolAddition | ToolRemoval, path: str
) -> dict[str, Any]:
    if "tool_changes" not in draft.features or not draft.need("tool_changes"):
        raise InvalidRequestError(f"{path}: {_LACKING_CHANGES}; change `tools` instead")
    name = "toolAddition" if isinstance(block, ToolAddition) else "toolRemoval"
    tool = {"type": "tool_reference", "name": draft.tool_names.sent(block.tool.name)}
    return {name: {"tool": tool}}


def _mark(draft: ConverseDraft, turn: RoleGroup, control: CacheControl | None, path: str) -> None:
    point = draft.cache.point(control, path)
    if point is not None:
        turn.mark(point)
