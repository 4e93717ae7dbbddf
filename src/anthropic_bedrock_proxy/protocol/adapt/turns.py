"""Messages of role `system` inside the conversation, and the settings that messages carry.

Where a model lacks them they are replaced in place: hoisting a system message to the top-level
`system` would end the prompt cache there.
Source: Anthropic API, "Mid-conversation system messages"; public refusals of older models.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import UNSET

from ...errors import InvalidRequestError
from ..request.views import MessageView
from .rewrite import Rewrite

_ONE_TURN: Final = b'"next_user_message"'
_REMINDER: Final = "<system-reminder>\n{}\n</system-reminder>"


def adapt_turns(rewrite: Rewrite) -> None:
    """Replaces system messages and settings of messages that the model lacks.

    Raises `InvalidRequestError` with the path.
    """
    messages = rewrite.messages
    edits = [index for index, message in enumerate(messages) if _is_special(rewrite, message)]
    if not edits:
        return
    last_user = max((i for i, message in enumerate(messages) if message.role == "user"), default=-1)
    effort = None
    for index in edits:
        tree = rewrite.message(index)
        effort = _take_settings(rewrite, tree, index) or effort
        if _has_expired(messages[index], index, last_user) and not _expire(rewrite, tree, index):
            rewrite.remove(index)
        elif messages[index].role == "system" and "system_role" not in rewrite.features:
            _to_user(tree, index)
    if effort is not None:
        # Bedrock has one effort per request: the newest message that sets one wins.
        rewrite.set("output_config", {**rewrite.object("output_config"), "effort": effort})


def _is_special(rewrite: Rewrite, message: MessageView) -> bool:
    return message.has_settings or (
        message.role == "system" and "system_role" not in rewrite.features
    )


def _take_settings(rewrite: Rewrite, tree: dict[str, Any], index: int) -> str | None:
    """Removes settings that only Anthropic's own API has; returns the effort asked for."""
    path = f"messages.{index}"
    if tree.pop("clear_at", None) is not None:
        rewrite.dropped.append(f"{path}.clear_at")
    config = tree.pop("output_config", None)
    if config is None:
        return None
    rewrite.dropped.append(f"{path}.output_config")
    if not isinstance(config, dict):
        raise InvalidRequestError(f"{path}.output_config: Expected `object`")
    effort = config.get("effort")
    if not isinstance(effort, str | None):
        raise InvalidRequestError(f"{path}.output_config.effort: Expected `str`")
    return effort


def _has_expired(message: MessageView, index: int, last_user: int) -> bool:
    """Tells whether a system message for one turn only has a user message after it."""
    return (
        message.role == "system"
        and index < last_user
        and message.clear_at is not UNSET
        and bytes(message.clear_at) == _ONE_TURN
    )


def _expire(rewrite: Rewrite, tree: dict[str, Any], index: int) -> bool:
    """Takes an expired message's text out, as Anthropic does; False if nothing is left of it.

    Tool changes stay.
    """
    content = tree["content"]
    kept = [] if isinstance(content, str) else [b for b in content if b["type"] != "text"]
    rewrite.dropped.append(f"messages.{index}")
    tree["content"] = kept
    return bool(kept)


def _to_user(tree: dict[str, Any], index: int) -> None:
    content = tree["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    for position, block in enumerate(blocks):
        path = f"messages.{index}.content.{position}"
        if block["type"] != "text":
            raise InvalidRequestError(
                f"{path}: {block['type']} is not supported by this model; choose one that takes "
                "system messages inside the conversation"
            )
        if not isinstance(block.get("text"), str):
            raise InvalidRequestError(f"{path}.text: Field required")
        block["text"] = _REMINDER.format(block["text"])
    tree["role"], tree["content"] = "user", blocks
