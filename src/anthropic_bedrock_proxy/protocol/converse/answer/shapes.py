"""Converse's answers on the wire, as far as they are read; every other member is skipped.

Unions are structs of which one member is set. A member of the future leaves all of them None, so
nothing has to know it. `Raw` keeps a document as the model wrote it: 1.10 is not 1.1.
Source: Bedrock service model (ConverseResponse, ConverseStreamOutput).
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw, Struct


class Present(Struct, gc=False):
    """A member of which only the presence matters."""


class TextPart(Struct, gc=False):
    """A piece of text; empty where the part is something else."""

    text: str = ""


class Web(Struct, gc=False):
    """A cited page."""

    url: str | None = None


class Span(Struct, rename="camel", gc=False):
    """A cited range of a document or of a search result of the request."""

    document_index: int = 0
    search_result_index: int = 0
    start: int = 0
    end: int = 0


class Location(Struct, rename="camel", gc=False):
    """The place that a citation points to (a union)."""

    web: Web | None = None
    document_char: Span | None = None
    document_page: Span | None = None
    document_chunk: Span | None = None
    search_result_location: Span | None = None


class ConverseCitation(Struct, rename="camel", gc=False):
    """A citation, whole or as a delta: they have one shape."""

    title: str | None = None
    source: str | None = None
    source_content: list[TextPart] = []
    location: Location | None = None


class ConverseToolUse(Struct, rename="camel", gc=False):
    """A tool call, or the start of one in a stream (which has no `input` yet)."""

    tool_use_id: str
    name: str
    input: Raw = Raw(b"{}")
    type: str | None = None

    @property
    def runs_on_bedrock(self) -> bool:
        """Tells whether Bedrock itself runs the tool, so that the client must not."""
        return self.type == "server_tool_use"


class Media(Struct, gc=False, kw_only=True):
    """The members of a union for which Anthropic's answers have no block."""

    image: Present | None = None
    video: Present | None = None
    audio: Present | None = None
    document: Present | None = None


class ResultPart(Media, gc=False, kw_only=True):
    """A part of the result of a tool that Bedrock ran (a union)."""

    text: str = ""
    json: Raw = Raw(b"")


class ConverseToolResult(Struct, gc=False):
    """The result of a tool that Bedrock ran."""

    content: list[ResultPart] = []


class ReasoningText(Struct, gc=False):
    """Thinking; only some models sign it."""

    text: str | None = None
    signature: str | None = None


class Reasoning(Struct, rename="camel", gc=False):
    """Thinking, readable or not (a union)."""

    reasoning_text: ReasoningText | None = None
    redacted_content: str | None = None  # base64


class CitedText(Struct, gc=False):
    """Text with the citations of its sources."""

    content: list[TextPart] = []
    citations: list[ConverseCitation] = []


class Block(Media, rename="camel", gc=False, kw_only=True):
    """A content block of a whole answer (a union)."""

    text: str | None = None
    tool_use: ConverseToolUse | None = None
    reasoning_content: Reasoning | None = None
    citations_content: CitedText | None = None
    tool_result: ConverseToolResult | None = None


class AnswerMessage(Struct, gc=False):
    """The message inside a whole answer."""

    content: list[Block]


class ConverseOutput(Struct, gc=False):
    """The object around `AnswerMessage` in a whole answer."""

    message: AnswerMessage


class Stop(Struct, rename="camel", gc=False):
    """The reason why the model stopped: `messageStop`, or these members of a whole answer."""

    stop_reason: str = "end_turn"
    additional_model_response_fields: Any = None


class WholeAnswer(Stop, rename="camel", gc=False, kw_only=True):
    """The body of Converse. `usage` and `service_tier` are read with care, so they stay trees."""

    output: ConverseOutput
    usage: Any = None
    service_tier: Any = None


class BlockStarts(Struct, rename="camel", gc=False):
    """The start of a block of a stream (a union); text and reasoning blocks have none."""

    tool_use: ConverseToolUse | None = None
    image: Present | None = None


class BlockStart(Struct, rename="camel", gc=False):
    """`contentBlockStart`."""

    content_block_index: int
    start: BlockStarts


class ToolUseDelta(Struct, gc=False):
    """A piece of the JSON text of a tool's input."""

    input: str = ""


class ReasoningDelta(Struct, rename="camel", gc=False):
    """A piece of thinking (a union)."""

    text: str = ""
    signature: str = ""
    redacted_content: bytes = b""  # base64 on the wire


class Delta(Struct, rename="camel", gc=False):
    """A piece by which a block of a stream grows (a union)."""

    text: str = ""
    tool_use: ToolUseDelta | None = None
    reasoning_content: ReasoningDelta | None = None
    citation: ConverseCitation | None = None
    tool_result: list[ResultPart] | None = None
    image: Present | None = None


class BlockDelta(Struct, rename="camel", gc=False):
    """`contentBlockDelta`."""

    content_block_index: int
    delta: Delta


class BlockStop(Struct, rename="camel", gc=False):
    """`contentBlockStop`."""

    content_block_index: int
