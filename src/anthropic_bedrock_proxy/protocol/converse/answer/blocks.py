"""Content blocks of Converse answers -> Anthropic's, for whole answers and for streams.

Anthropic's answers have no block for media, nor for tools that Bedrock itself runs: a short text
stands in their place, so that the answer around them is not lost. Empty blocks disappear, because
no model takes them back as history.
Sources: Bedrock service model (ContentBlock); Anthropic API, content blocks of responses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from msgspec import Raw

from .shapes import Block, ConverseCitation, ConverseToolUse, Media, Reasoning, ResultPart

_NOT_IN_IDS: Final = re.compile(r"[^a-zA-Z0-9_-]")
_MEDIA: Final = {
    "image": "an image",
    "video": "a video",
    "audio": "audio",
    "document": "a document",
}
# Ranges of documents: member of the location -> Anthropic's type and the unit in its field names.
_RANGES: Final = {
    "document_char": ("char_location", "char_index"),
    "document_page": ("page_location", "page_number"),
    "document_chunk": ("content_block_location", "block_index"),
}


def media_note(kind: str) -> str:
    """The text in place of an image or the like; `kind` is a member of `Media`."""
    return f"[The model produced {_MEDIA[kind]}, which cannot be shown here.]"


IMAGE_NOTE: Final = media_note("image")


def server_tool_note(call: ConverseToolUse) -> str:
    """The text in place of the call of a tool that Bedrock runs."""
    return f"[The model used the tool {call.name}.]"


def tool_call(call: ConverseToolUse, tool_names: Mapping[str, str]) -> dict[str, Any]:
    """A `tool_use` block without its input. `tool_names`: Bedrock's name -> the client's."""
    return {
        "type": "tool_use",
        # Bedrock's ids may hold dots and colons, Anthropic's may not.
        "id": _NOT_IN_IDS.sub("_", call.tool_use_id),
        "name": tool_names.get(call.name, call.name),
    }


def result_text(part: ResultPart) -> str:
    """A part of what Bedrock's own tool returned, as text. Raises ValueError if it is not UTF-8."""
    return part.text or bytes(part.json).decode() or _media_text(part)


def citation(cited: ConverseCitation) -> dict[str, Any] | None:
    """Anthropic's form of a citation; None where it points to nothing that Anthropic knows."""
    location = cited.location
    if location is None:
        return None
    text = "".join(part.text for part in cited.source_content)
    for member, (kind, unit) in _RANGES.items():
        if (span := getattr(location, member)) is not None:
            return {
                "type": kind,
                "cited_text": text,
                "document_index": span.document_index,
                "document_title": cited.title,
                f"start_{unit}": span.start,
                f"end_{unit}": span.end,
            }
    if (span := location.search_result_location) is not None:
        return {
            "type": "search_result_location",
            "cited_text": text,
            "search_result_index": span.search_result_index,
            "source": cited.source or "",
            "title": cited.title,
            "start_block_index": span.start,
            "end_block_index": span.end,
        }
    if location.web is not None:
        return {
            "type": "web_search_result_location",
            "cited_text": text,
            "url": location.web.url or cited.source or "",
            "title": cited.title,
            "encrypted_index": "",  # Anthropic's own handle; required, and Bedrock has none
        }
    return None


def convert_blocks(content: Iterable[Block], tool_names: Mapping[str, str]) -> list[dict[str, Any]]:
    """The blocks of a whole answer. Raises ValueError if a document in them is not UTF-8."""
    converted = (_convert(block, tool_names) for block in content)
    return [block for block in converted if block is not None]


def _convert(block: Block, tool_names: Mapping[str, str]) -> dict[str, Any] | None:
    if block.tool_use is not None:
        if block.tool_use.runs_on_bedrock:
            return _text(server_tool_note(block.tool_use))
        call = tool_call(block.tool_use, tool_names)
        written = bytes(block.tool_use.input).decode()
        return {**call, "input": Raw(written if written != "null" else "{}")}
    if block.reasoning_content is not None:
        return _thinking(block.reasoning_content)
    if block.citations_content is not None:
        text = "".join(part.text for part in block.citations_content.content)
        found = [citation(cited) for cited in block.citations_content.citations]
        return _text(text, [cited for cited in found if cited is not None])
    if block.tool_result is not None:
        return _text("".join(result_text(part) for part in block.tool_result.content))
    return _text(block.text or _media_text(block))


def _text(text: str, citations: list[dict[str, Any]] | None = None) -> dict[str, Any] | None:
    if not text:
        return None
    block: dict[str, Any] = {"type": "text", "text": text}
    return {**block, "citations": citations} if citations else block


def _thinking(reasoning: Reasoning) -> dict[str, Any] | None:
    if reasoning.redacted_content:
        return {"type": "redacted_thinking", "data": reasoning.redacted_content}
    thought = reasoning.reasoning_text
    if thought is None or not (thought.text or thought.signature):
        return None
    return {
        "type": "thinking",
        "thinking": thought.text or "",
        "signature": thought.signature or "",
    }


def _media_text(union: Media) -> str:
    return next((media_note(kind) for kind in _MEDIA if getattr(union, kind) is not None), "")
