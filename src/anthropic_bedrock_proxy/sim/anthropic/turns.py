"""Rules about the order of messages in an InvokeModel body.

Consecutive messages of one role count as one turn. The first turn is the user's; every
`tool_use` is answered by a `tool_result` in the very next turn and the reverse; a last assistant
turn (prefill) is refused from 4.6 on; `role: system` inside `messages` is known only to some
models. Source: the Anthropic API reference and the error texts of public issue reports.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..wire.fields import need, one_of, only, typed
from ..wire.refusal import Refusal, invalid
from .betas import CLEAR_AT, PER_TURN_CONTROL
from .blocks import check_block
from .scope import Scope
from .search import check_references, check_searches
from .thinking import check_effort

_OUTPUT_CONFIG_BETAS = ("mid-conversation-output-config-2026-07-01", PER_TURN_CONTROL)
_CLEAR_AT = ("next_user_message", "never")
_NO_PREFILL = (
    "This model does not support assistant message prefill. The conversation must end with a user "
    "message."
)


class _Turn(msgspec.Struct):
    """Merged messages of one role; `blocks` holds (type, block)."""

    role: str
    index: int
    blocks: list[tuple[str, dict[str, Any]]]


def check_messages(scope: Scope, messages: list[Any], tools: Any, *, manual: bool) -> None:
    """Checks all blocks, then the order of turns. Raises `Refusal`."""
    if not messages:
        raise invalid("messages: at least one message is required")
    turns: list[_Turn] = []
    previous = ""
    for index, message in enumerate(messages):
        role = _check_message(scope, index, message, previous)
        previous = role
        if role == "system":
            continue
        blocks = _check_content(scope, index, message, role, last=index + 1 == len(messages))
        if turns and turns[-1].role == role:
            turns[-1].blocks += blocks
        else:
            turns.append(_Turn(role, index, blocks))
    if turns[0].role != "user":
        raise invalid('messages: first message must use the "user" role')
    _check_pairs(turns)
    for turn in turns:
        check_searches(turn.index, turn.blocks)
        check_references(turn.blocks, tools)
    _check_end(scope, turns, manual=manual)
    scope.prompt.messages += len(messages)
    scope.prompt.last_user_text = _last_user_text(turns)


def _check_message(scope: Scope, index: int, message: Any, previous: str) -> str:
    path = f"messages.{index}"
    typed(path, message, dict)
    role = one_of(f"{path}.role", need(path, message, "role", str), _ROLES)
    if role != "system":
        only(path, message, ("role", "content"))
        need(path, message, "content", object)
        return role
    if not scope.model.takes_system_role:
        raise _no_system_role(scope)
    allowed = ["role", "content"]
    if not scope.betas.isdisjoint(_OUTPUT_CONFIG_BETAS) and scope.model.generation >= (5, 0):
        allowed.append("output_config")
    if CLEAR_AT in scope.betas:
        allowed.append("clear_at")
    only(path, message, allowed)
    if previous != "user" or index == 0:
        raise invalid(f"{path}: a `system` message must directly follow a `user` message")
    content = need(path, message, "content", object)
    if isinstance(content, str):
        scope.prompt.characters += len(content)
    else:
        for number, block in enumerate(typed(f"{path}.content", content, list)):
            check_block(scope, f"{path}.content.{number}", block, "system")
    if (clear_at := message.get("clear_at")) is not None:
        one_of(f"{path}.clear_at", clear_at, _CLEAR_AT)
    if (config := message.get("output_config")) is not None:
        only(f"{path}.output_config", typed(f"{path}.output_config", config, dict), ("effort",))
        if config.get("effort") is not None:
            check_effort(scope.model, config["effort"], scope.betas)
    return role


_ROLES = ("user", "assistant", "system")


def _no_system_role(scope: Scope) -> Refusal:
    if scope.model.generation == (4, 7):
        return invalid("role 'system' is not supported on this model")
    return invalid(
        'messages: Unexpected role "system". The Messages API accepts a top-level `system` '
        'parameter, not "system" as an input message role.'
    )


def _check_content(
    scope: Scope, index: int, message: dict[str, Any], role: str, *, last: bool
) -> list[tuple[str, dict[str, Any]]]:
    content = message["content"]
    path = f"messages.{index}"
    if isinstance(content, str):
        if not content.strip() and not (last and role == "assistant"):
            raise _empty(path)
        scope.prompt.characters += len(content)
        return [("text", {"type": "text", "text": content})]
    typed(f"{path}.content", content, list)
    if not content and not (last and role == "assistant"):
        raise _empty(path)
    return [
        (check_block(scope, f"{path}.content.{number}", block, role), block)
        for number, block in enumerate(content)
    ]


def _empty(path: str) -> Refusal:
    return invalid(
        f"{path}: all messages must have non-empty content except for the optional final "
        "assistant message"
    )


def _ids(turn: _Turn, kind: str, key: str) -> list[str]:
    return [block[key] for type_, block in turn.blocks if type_ == kind]


def _check_pairs(turns: list[_Turn]) -> None:
    asked: list[str] = []
    for position, turn in enumerate(turns):
        given = _ids(turn, "tool_result", "tool_use_id") if turn.role == "user" else []
        for tool_use_id in given:
            if tool_use_id not in asked:
                raise invalid(
                    f"messages.{turn.index}.content.0: unexpected `tool_use_id` found in "
                    f"`tool_result` blocks: {tool_use_id}. Each `tool_result` block must have a "
                    "corresponding `tool_use` block in the previous message."
                )
        if len(set(given)) != len(given):
            raise invalid(
                f"messages.{turn.index}.content: each tool_use must have a single result. Found "
                "multiple `tool_result` blocks with the same id."
            )
        missing = [tool_use_id for tool_use_id in asked if tool_use_id not in given]
        if missing:
            raise _unanswered(turns[position - 1], missing)
        asked = _ids(turn, "tool_use", "id") if turn.role == "assistant" else []
        if len(set(asked)) != len(asked):
            raise invalid("messages: `tool_use` ids must be unique")
    if asked:
        raise _unanswered(turns[-1], asked)


def _unanswered(turn: _Turn, missing: list[str]) -> Refusal:
    return invalid(
        f"messages.{turn.index}: `tool_use` ids were found without `tool_result` blocks "
        f"immediately after: {', '.join(missing)}. Each `tool_use` block must have a "
        "corresponding `tool_result` block in the next message."
    )


def _check_end(scope: Scope, turns: list[_Turn], *, manual: bool) -> None:
    last = turns[-1]
    if last.role == "assistant":
        if scope.model.generation >= (4, 6) or scope.model.name == "claude-mythos-preview":
            raise invalid(_NO_PREFILL)
        kind, block = last.blocks[-1] if last.blocks else ("", {})
        if kind == "text" and block["text"] != block["text"].rstrip():
            raise invalid("messages: final assistant content cannot end with trailing whitespace")
    if not manual:
        return
    # With a thinking budget, the assistant turn of a pending tool loop starts with its thinking.
    turn = next((t for t in reversed(turns) if t.role == "assistant"), None)
    if turn is None or not turn.blocks or not any(kind == "tool_use" for kind, _ in turn.blocks):
        return
    kind = turn.blocks[0][0]
    if turns[-1].blocks[0][0] == "tool_result" and kind not in ("thinking", "redacted_thinking"):
        raise invalid(
            f"messages.{turn.index}.content.0.type: Expected `thinking` or `redacted_thinking`, "
            f"but found `{kind}`. When `thinking` is enabled, a final `assistant` message must "
            "start with a thinking block (preceding the lastmost set of `tool_use` and "
            "`tool_result` blocks)."
        )


def _last_user_text(turns: list[_Turn]) -> str:
    for turn in reversed(turns):
        if turn.role == "user":
            texts = [block["text"] for kind, block in turn.blocks if kind == "text"]
            if texts:
                return str(texts[-1])
            for kind, block in reversed(turn.blocks):
                if kind == "tool_result" and isinstance(block.get("content"), str):
                    return str(block["content"])
    return ""
