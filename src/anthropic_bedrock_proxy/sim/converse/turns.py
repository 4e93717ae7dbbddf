"""Rules about the messages of a Converse request that the shapes cannot say.

Roles alternate and start with the user, text is not blank, tool results answer exactly the tool
calls before them, documents have a text beside them, files come from the user, and tool blocks
need a `toolConfig`. Source: the Converse reference of AWS and the error texts of public issue
reports; limits on images and documents are those AWS documents.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..prompt import Prompt, signature_fits
from ..wire.patterns import DOCUMENT_NAME
from ..wire.refusal import Refusal, invalid
from .abilities import check_block, check_message

_MAX_IMAGES = 20
_MAX_DOCUMENTS = 5
_MAX_CACHE_POINTS = 4
MODEL_SAYS = "The model returned the following errors: "
_USER_ONLY = ("image", "document", "video", "audio", "toolResult", "searchResult")
_ASSISTANT_ONLY = ("toolUse", "reasoningContent", "citationsContent")


def check_cache_point(prompt: Prompt, point: dict[str, Any]) -> None:
    """Counts a cache point and refuses a time to live the model lacks."""
    prompt.cache_points += 1
    if prompt.cache_points > _MAX_CACHE_POINTS:
        raise invalid(
            f"{MODEL_SAYS}A maximum of {_MAX_CACHE_POINTS} blocks with cache_control may be "
            f"provided. Found {prompt.cache_points}."
        )
    if point.get("ttl") == "1h" and prompt.model.generation < (4, 5):
        raise invalid(f"{MODEL_SAYS}cache_control.ephemeral.ttl: Extra inputs are not permitted")


def check_messages(prompt: Prompt, messages: list[Any], *, has_tools: bool) -> None:
    """Checks everything about `messages`. Raises `Refusal`."""
    if not messages:
        raise invalid(
            "The conversation is empty. Add a user message to the messages field and try again."
        )
    _check_roles(prompt, messages)
    asked: list[str] = []
    counts = {"image": 0, "document": 0}
    _check_names(messages)
    for index, message in enumerate(messages):
        check_message(prompt.model, f"messages.{index}", message)
        _check_blocks(prompt, index, message, counts, has_tools=has_tools)
        if message["role"] != "system":
            asked = _check_results(index, message, asked)
    if asked:
        raise _expected(len(messages), asked)
    if counts["image"] > _MAX_IMAGES or counts["document"] > _MAX_DOCUMENTS:
        raise invalid(
            f"The request holds more than {_MAX_IMAGES} images or {_MAX_DOCUMENTS} documents."
        )
    prompt.messages += len(messages)
    prompt.last_user_text = _last_user_text(messages)


def _check_roles(prompt: Prompt, messages: list[Any]) -> None:
    roles = [message["role"] for message in messages]
    if roles[0] != "user":
        raise invalid(
            "A conversation must start with a user message. Try again with a conversation that "
            "starts with a user message."
        )
    previous = ""
    for index, role in enumerate(roles):
        if role == "system":
            if not prompt.model.takes_system_role:
                raise invalid(f"{MODEL_SAYS}role 'system' is not supported on this model")
            if roles[index - 1] != "user":
                raise invalid(
                    f"{MODEL_SAYS}messages.{index}: a `system` message must directly "
                    "follow a `user` message"
                )
            continue
        if role == previous:
            raise invalid(
                "A conversation must alternate between user and assistant roles. Make sure the "
                "conversation alternates between user and assistant roles and try again."
            )
        previous = role
    if previous == "assistant" and prompt.model.generation >= (4, 6):
        raise invalid(
            f"{MODEL_SAYS}This model does not support assistant message prefill. The conversation "
            "must end with a user message."
        )


def _check_blocks(
    prompt: Prompt, index: int, message: dict[str, Any], counts: dict[str, int], *, has_tools: bool
) -> None:
    blocks: list[dict[str, Any]] = message["content"]
    role = message["role"]
    if not blocks:
        raise invalid(
            f"The content field in the Message object at messages.{index} is empty. Add a "
            "ContentBlock object to the content field and try again."
        )
    for number, block in enumerate(blocks):
        kind, value = next((k, v) for k, v in block.items() if v is not None)
        path = f"messages.{index}.content.{number}"
        _check_side(path, kind, role)
        check_block(prompt.model, path, kind, value)
        if kind in counts:
            counts[kind] += 1
            prompt.attachments += 1
        if kind in ("toolUse", "toolResult") and not has_tools:
            raise invalid(
                "The toolConfig field must be defined when using toolUse and toolResult content "
                "blocks."
            )
        if kind == "document":
            _check_document(path, value, blocks)
        elif kind == "cachePoint":
            check_cache_point(prompt, value)
        else:
            _measure(prompt, path, kind, value)


def _check_names(messages: list[Any]) -> None:
    names = [
        block["document"]["name"]
        for message in messages
        for block in message["content"]
        if block.get("document")
    ]
    if len(set(names)) != len(names):
        raise invalid(
            "Messages contain duplicate document names. Remove duplicate document names from "
            "messages and try again."
        )


def _check_side(path: str, kind: str, role: str) -> None:
    if (role != "user" and kind in _USER_ONLY) or (role != "assistant" and kind in _ASSISTANT_ONLY):
        raise invalid(
            f"The {kind} block at {path} is not allowed in a message with the role {role}."
        )


def _check_document(path: str, value: dict[str, Any], blocks: list[dict[str, Any]]) -> None:
    if not DOCUMENT_NAME.fullmatch(value["name"]):
        raise invalid(
            f"The document file name at {path} can only contain alphanumeric characters, "
            "whitespace characters, hyphens, parentheses, and square brackets. The name can't "
            "contain more than one consecutive whitespace character."
        )
    if not any(block.get("text") for block in blocks):
        raise invalid(
            "A text block must be included when using documents. Add a text block to the message "
            "and try again."
        )


def _measure(prompt: Prompt, path: str, kind: str, value: Any) -> None:
    if kind == "text":
        if not value.strip():
            raise invalid(
                f"The text field in the ContentBlock object at {path} is blank. Add text to the "
                "text field, and try again."
            )
        prompt.characters += len(value)
    elif kind == "toolUse":
        if not isinstance(value["input"], dict):
            raise invalid(
                f"The format of the value at {path}.toolUse.input is invalid. Provide a json "
                "object for the field and try again."
            )
        prompt.characters += len(msgspec.json.encode(value["input"]))
    elif kind == "toolResult":
        prompt.characters += len(msgspec.json.encode(value["content"]))
    elif kind == "reasoningContent" and prompt.model.is_claude:
        text = value.get("reasoningText")
        if text is not None and not signature_fits(text["text"], text.get("signature") or ""):
            raise invalid(f"{MODEL_SAYS}{path}: Invalid `signature` in `thinking` block")


def _check_results(index: int, message: dict[str, Any], asked: list[str]) -> list[str]:
    """Checks the results of a message against the calls before it; returns its own calls."""
    given = [
        block["toolResult"]["toolUseId"] for block in message["content"] if block.get("toolResult")
    ]
    if len(given) > len(asked) or any(tool_use_id not in asked for tool_use_id in given):
        raise invalid(
            f"The number of toolResult blocks at messages.{index}.content exceeds the number of "
            "toolUse blocks of previous turn."
        )
    missing = [tool_use_id for tool_use_id in asked if tool_use_id not in given]
    if missing:
        raise _expected(index, missing)
    return [block["toolUse"]["toolUseId"] for block in message["content"] if block.get("toolUse")]


def _expected(index: int, missing: list[str]) -> Refusal:
    return invalid(
        f"Expected toolResult blocks at messages.{index}.content for the following Ids: "
        f"{', '.join(missing)}"
    )


def _last_user_text(messages: list[Any]) -> str:
    for message in reversed(messages):
        if message["role"] == "user":
            texts = [block["text"] for block in message["content"] if block.get("text")]
            if texts:
                return str(texts[-1])
    return ""
