"""Fields and texts that models of some generations refuse: sampling, prefill, blank text."""

from __future__ import annotations

import re
from typing import Any, Final

from ...errors import InvalidRequestError
from ..request.messages import MessagesRequest
from ..request.views import MessageView
from .rewrite import Rewrite

PREFILL: Final = (
    "This model does not support assistant message prefill. The conversation must end with a user "
    "message."
)
EMPTY: Final = "(empty)"  # Bedrock refuses blank text and messages without content
UNMARKABLE: Final = frozenset(("thinking", "redacted_thinking"))  # by a cache_control
_DEFAULTS: Final[dict[str, tuple[float, ...]]] = {
    "temperature": (1,),
    "top_p": (1, 0.99),
    "top_k": (),
}
# A text of nothing but white space, however JSON writes it. Possessive: nothing is tried twice, so
# that a hostile body costs one look and no memory.
_BLANK: Final = re.compile(
    rb'"text"\s*+:\s*+"(?:[ ]++|\\[nrtf]|'
    rb"(?i:\\u(?:00(?:0[9a-d]|1[c-f]|20|85|a0)|1680|20(?:0[0-9a]|2[89f]|5f)|3000))|"
    rb"\xc2[\x85\xa0]|\xe1\x9a\x80|\xe2\x80[\x80-\x8a\xa8\xa9\xaf]|\xe2\x81\x9f|\xe3\x80\x80"
    rb')*+"'
)


def adapt_sampling(rewrite: Rewrite, *, drops: bool) -> None:
    """Removes sampling fields for Claude 4.7 and later, which refuse them, at their default values.

    Raises `InvalidRequestError` for any other value, as Anthropic does, unless it `drops` them too.
    """
    if "sampling" in rewrite.features or "claude" not in rewrite.features:
        return
    for name, defaults in _DEFAULTS.items():
        if name in rewrite.fields:
            value = rewrite.field(name)
            rewrite.set(name, None)
            if value is None or _number(value) in defaults:
                rewrite.dropped.append(name)
            elif drops:
                rewrite.warnings.append(f"{name}: not supported by this model; left out")
            else:
                raise InvalidRequestError(f"{name}: not supported by this model; remove it")


def adapt_max_tokens(rewrite: Rewrite) -> None:
    """Lowers max_tokens to the most of the model: a client may not know what its name stands for.

    0 only warms the cache; Bedrock wants one token, which the answer then omits. Raises
    `InvalidRequestError` where Anthropic refuses that too.
    """
    asked, most = rewrite.request.view.max_tokens, rewrite.output_tokens
    if asked == 0:
        if rewrite.request.view.stream:
            raise InvalidRequestError("max_tokens: must be at least 1 in a streamed request")
        rewrite.set("max_tokens", 1)
    elif most is not None and isinstance(asked, int) and asked > most:
        rewrite.set("max_tokens", most)
        rewrite.warnings.append(f"max_tokens: {asked} became {most}, the most of this model")


def _number(value: Any) -> float | None:
    try:
        return float(bytes(value) if isinstance(value, bytes | bytearray) else value)
    except (TypeError, ValueError):
        return None


def check_prefill(rewrite: Rewrite) -> None:
    """Raises `InvalidRequestError` in Anthropic's words for a prefill that the model refuses."""
    if rewrite.messages[-1].role == "assistant" and "prefill" not in rewrite.features:
        raise InvalidRequestError(PREFILL)


def adapt_blanks(rewrite: Rewrite) -> None:
    """Takes out blank text blocks, which echoed answers may hold; a turn itself always stays.

    Within other blocks, where places count (citations), a blank text gets words instead.
    """
    messages = rewrite.messages
    blank = has_blanks(rewrite.request)
    last = len(messages) - 1
    for index, message in enumerate(messages):
        may_be_empty = index == last and message.role == "assistant"  # an empty prefill
        if _is_empty(message) and not may_be_empty:
            rewrite.message(index)["content"] = [{"type": "text", "text": EMPTY}]
        elif blank and not isinstance(message.content, str) and _BLANK.search(rewrite.raw(index)):
            tree = rewrite.message(index)
            path = f"messages.{index}.content"
            kept = _without_blanks(rewrite, tree["content"], path)
            tree["content"] = kept or ([] if may_be_empty else [{"type": "text", "text": EMPTY}])
    if blank and isinstance(system := rewrite.field("system"), list):
        rewrite.set("system", _without_blanks(rewrite, system, "system") or None)


def has_blanks(request: MessagesRequest) -> bool:
    """Tells whether some text of the prompt is blank, by one search in its raw JSON.

    A text cannot imitate a blank one: quotes inside a text are escaped there.
    """
    fields = request.fields
    return _BLANK.search(fields["messages"]) is not None or (
        "system" in fields and _BLANK.search(fields["system"]) is not None
    )


def _is_empty(message: MessageView) -> bool:
    content = message.content
    return not content or (isinstance(content, str) and not content.strip())


def _without_blanks(rewrite: Rewrite, blocks: list[Any], path: str) -> list[Any]:
    """Returns the blocks that are not blank; a blank one's breakpoint goes to the block before.

    What is no block stays: the conversion, or Bedrock, refuses it with its path.
    """
    kept: list[Any] = []
    for position, block in enumerate(blocks):
        if not _is_blank(block):
            _fill(block)
            kept.append(block)
        elif "cache_control" in block:
            before = kept[-1] if kept else None
            if isinstance(before, dict) and before.get("type") not in UNMARKABLE:
                before.setdefault("cache_control", block["cache_control"])
            else:
                rewrite.dropped.append(f"{path}.{position}.cache_control")
    return kept


def _fill(block: Any) -> None:
    for holder in (block, block.get("source")) if isinstance(block, dict) else ():
        content = holder.get("content") if isinstance(holder, dict) else None
        for inner in content if isinstance(content, list) else ():
            if _is_blank(inner):
                inner["text"] = EMPTY
            else:
                _fill(inner)


def _is_blank(block: Any) -> bool:
    if not isinstance(block, dict) or block.get("type") != "text":
        return False
    text = block.get("text")
    return isinstance(text, str) and not text.strip()
