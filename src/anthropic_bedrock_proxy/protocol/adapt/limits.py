"""What models of some generations refuse: sampling, prefill, blank text."""

from __future__ import annotations

import re
from typing import Any, Final

from ...errors import InvalidRequestError
from ..messages import MessagesRequest, MessageView
from .rewrite import Rewrite

PREFILL: Final = (
    "This model does not support assistant message prefill. The conversation must end with a user "
    "message."
)
EMPTY: Final = "(empty)"  # Bedrock refuses blank text and messages without content
_DEFAULTS: Final[dict[str, tuple[float, ...]]] = {
    "temperature": (1,),
    "top_p": (1, 0.99),
    "top_k": (),
}
_BLANK: Final = re.compile(rb'"text"\s*:\s*"(?:[ ]|\\[nrt])*"')


def adapt_sampling(rewrite: Rewrite) -> None:
    """Claude 4.7 and later refuse the fields; their default value says nothing.

    Raises `InvalidRequestError` for any other value, as Anthropic does.
    """
    if "sampling" in rewrite.features or "claude" not in rewrite.features:
        return
    for name, defaults in _DEFAULTS.items():
        if name in rewrite.fields:
            value = rewrite.field(name)
            if value is not None and _number(value) not in defaults:
                raise InvalidRequestError(f"{name}: not supported by this model; remove it")
            rewrite.set(name, None)
            rewrite.dropped.append(name)


def _number(value: Any) -> float | None:
    try:
        return float(bytes(value) if isinstance(value, bytes | bytearray) else value)
    except (TypeError, ValueError):
        return None


def check_prefill(rewrite: Rewrite) -> None:
    """Raises `InvalidRequestError` in Anthropic's words."""
    if rewrite.messages[-1].role == "assistant" and "prefill" not in rewrite.features:
        raise InvalidRequestError(PREFILL)


def adapt_blanks(rewrite: Rewrite) -> None:
    """Takes out blank text blocks, which echoed answers may hold; a turn itself always stays."""
    messages = rewrite.messages
    blank = has_blanks(rewrite.request)
    last = len(messages) - 1
    for index, message in enumerate(messages):
        if _is_empty(message) and (index < last or message.role != "assistant"):
            rewrite.message(index)["content"] = [{"type": "text", "text": EMPTY}]
        elif blank and not isinstance(message.content, str):
            _take_out(rewrite, index, message)


def has_blanks(request: MessagesRequest) -> bool:
    """Whether some text in `messages` is blank; quotes inside a text are escaped there."""
    return _BLANK.search(request.fields["messages"]) is not None


def _is_empty(message: MessageView) -> bool:
    content = message.content
    return not content or (isinstance(content, str) and content.isspace())


def _take_out(rewrite: Rewrite, index: int, message: MessageView) -> None:
    if not any(block.type == "text" for block in message.content):  # type: ignore[union-attr]
        return
    content = rewrite.message(index)["content"]
    kept = [block for block in content if not _is_blank(block)]
    if len(kept) < len(content):
        rewrite.message(index)["content"] = kept or [{"type": "text", "text": EMPTY}]


def _is_blank(block: dict[str, Any]) -> bool:
    text = block.get("text")
    return block["type"] == "text" and isinstance(text, str) and not text.strip()
