"""Refusals of Converse that depend on the model behind it, whoever made it.

Converse has one shape for every model, and each model takes a part of it: the parts are data in
`models/catalog.py`, the sentences are here. Sources: the Converse reference of AWS; the sentences
are those of public issue reports, or in their manner where none is known.
"""

from __future__ import annotations

from typing import Any

from ..models.model import Model
from ..wire.refusal import Refusal, invalid

_TOOL_CHANGES = ("toolAddition", "toolRemoval")
_IN_SYSTEM = ("text", "cachePoint", *_TOOL_CHANGES)
_CLAUDE_ONLY = ("citationsContent", "searchResult")


def _lacks(field: str) -> Refusal:
    return invalid(f"This model doesn't support the {field} field. Remove {field} and try again.")


def check_settings(model: Model, body: dict[str, Any], *, streams: bool) -> None:
    """Checks everything around the messages. Raises `Refusal`."""
    can = model.can
    if body.get("system") and not can.system:
        raise invalid(
            "This model doesn't support system messages. Try again without a system message or use "
            "a model that supports system messages."
        )
    config = body.get("toolConfig")
    if config is not None:
        if streams and not (can.tools and can.streamed_tools):
            raise invalid("This model doesn't support tool use in streaming mode.")
        if not can.tools:
            raise invalid("This model doesn't support tool use.")
        _check_tool_points(model, config["tools"])
    output = body.get("outputConfig") or {}
    if output.get("effort") is not None and not model.is_claude:
        raise _lacks("outputConfig.effort")
    if output.get("textFormat") is not None and not can.json_schema:
        raise _lacks("outputConfig.textFormat")


def _check_tool_points(model: Model, tools: list[dict[str, Any]]) -> None:
    for index, tool in enumerate(tools):
        if tool.get("cachePoint") is None:
            continue
        check_caching(model)
        if not model.is_claude:
            raise invalid(
                f"Malformed input request: #/toolConfig/tools/{index}: extraneous key "
                "[cachePoint] is not permitted, please reformat your input and try again."
            )


def check_caching(model: Model) -> None:
    """Refuses a cache point the way AWS does: as a matter of access."""
    if not model.can.caching:
        raise Refusal(
            "AccessDeniedException",
            "You invoked an unsupported model or your request did not allow prompt caching. See "
            "the documentation for more information.",
        )


def check_message(model: Model, path: str, message: dict[str, Any]) -> None:
    """Checks the blocks of one message together. Raises `Refusal`."""
    kinds = {kind for block in message["content"] for kind, v in block.items() if v is not None}
    if message["role"] == "system":
        for kind in sorted(kinds.difference(_IN_SYSTEM)):
            raise invalid(
                f"The {kind} block at {path} is not allowed in a message with the role system."
            )
    elif stray := sorted(kinds.intersection(_TOOL_CHANGES)):
        raise invalid(
            f"The {stray[0]} block at {path} is only allowed in a message with the role system."
        )
    if "toolResult" in kinds and kinds != {"toolResult"} and not model.can.mixed_results:
        raise invalid(
            f"{path}.content: Conversation blocks and tool result blocks cannot be provided in the "
            "same turn."
        )


def check_block(model: Model, path: str, kind: str, value: Any) -> None:
    """Checks one block of a message. Raises `Refusal`."""
    if kind == "toolResult":
        _check_result(model, path, value)
    elif kind == "reasoningContent":
        _check_reasoning(model, value)
    elif kind == "cachePoint":
        check_caching(model)
    else:
        _check_kind(model, kind, value)


def _check_kind(model: Model, kind: str, value: Any) -> None:
    can = model.can
    allowed = {"image": can.images, "document": can.documents, "video": can.video, "audio": False}
    if not allowed.get(kind, True) or (kind in _CLAUDE_ONLY and not model.is_claude):
        raise _lacks(kind)
    if kind == "document" and not model.is_claude and (value.get("citations") or {}).get("enabled"):
        raise _lacks("document.citations")


def _check_result(model: Model, path: str, result: dict[str, Any]) -> None:
    status = result.get("status")
    if status is not None and not model.can.result_status:
        raise _lacks("toolResult.status")
    if status == "error" and not result["content"]:
        raise invalid(
            f"The content field at {path}.toolResult cannot be empty when status value is error."
        )
    for index, part in enumerate(result["content"]):
        kind, value = next((k, v) for k, v in part.items() if v is not None)
        if kind not in ("text", "json") and not model.can.rich_results:
            raise _lacks(f"toolResult.content.{kind}")
        _check_kind(model, kind, value)
        if kind == "text" and not value.strip():
            raise invalid(
                f"The text field in the ContentBlock object at {path}.toolResult.content.{index} "
                "is blank. Add text to the text field, and try again."
            )


def _check_reasoning(model: Model, value: dict[str, Any]) -> None:
    if not model.can.reasoning_back:
        raise invalid(
            "User messages cannot contain reasoning content. Please remove the reasoning content "
            "and try again."
        )
    if model.is_claude:
        return
    if value.get("redactedContent") is not None:
        raise _lacks("reasoningContent.redactedContent")
    if (value.get("reasoningText") or {}).get("signature") is not None:
        raise _lacks("reasoningContent.reasoningText.signature")
