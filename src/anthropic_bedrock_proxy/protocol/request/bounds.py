"""Upper bounds of a request's tokens: for holds of money, which must never be too small. Pure.

A byte of text is a token at most: every tokenizer falls back to bytes. Bytes tell nothing of an
image, which has a largest size, nor of a PDF or of what is behind a URL: those may fill the model's
context, and what is beyond that the model refuses.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from .messages import MessagesRequest
from .views import Opaque

_IMAGE_TOKENS: Final = 5000
_ADDED_TOKENS: Final = 2000  # Bedrock's own words around a prompt and its tools
_TOOL_TOKENS: Final = 1500  # of a tool that Anthropic defines
_TEXTS: Final = ("text", "content")
_COMPACTS: Final = b"compact_"


class _ContentSource(msgspec.Struct, gc=False):
    type: str = ""
    data: Raw | UnsetType = UNSET
    content: str | list[_ContentBlock] | Opaque | UnsetType | None = UNSET


class _ContentBlock(msgspec.Struct, gc=False):
    type: str
    source: _ContentSource | str | UnsetType = UNSET
    content: str | list[_ContentBlock] | Opaque | UnsetType | None = UNSET


class _Message(msgspec.Struct, gc=False):
    content: str | list[_ContentBlock]


_decode = msgspec.json.Decoder(list[_Message]).decode


def bound_tokens(
    request: MessagesRequest, *, context_tokens: int, output_tokens: int
) -> tuple[int, int]:
    """Returns upper bounds (input, output) in tokens for one model call.

    `context_tokens` and `output_tokens` are the most that the model reads and writes.
    """
    given = min(context_tokens, _ADDED_TOKENS + _input(request, context_tokens))
    if _COMPACTS in bytes(request.fields.get("context_management", b"")):
        # One more pass over all of it, and its summary is read and written.
        return 2 * given + output_tokens, 2 * output_tokens
    return given, output_tokens


def _input(request: MessagesRequest, context_tokens: int) -> int:
    tokens = sum(map(len, request.fields.values()))
    tokens += _TOOL_TOKENS * sum(tool.type is not None for tool in request.view.tools or ())
    for block in _blocks(_decode(request.fields["messages"])):
        source = block.source
        if not isinstance(source, _ContentSource) or source.type in _TEXTS:
            continue
        if block.type != "image":
            return context_tokens
        tokens += _IMAGE_TOKENS - (len(source.data) if isinstance(source.data, Raw) else 0)
    return tokens


def _blocks(messages: list[_Message]) -> Iterator[_ContentBlock]:
    """Yields all blocks, those within others too."""
    waiting = [message.content for message in messages if isinstance(message.content, list)]
    while waiting:
        for block in waiting.pop():
            yield block
            if isinstance(block.content, list):
                waiting.append(block.content)
            if isinstance(block.source, _ContentSource) and isinstance(block.source.content, list):
                waiting.append(block.source.content)
