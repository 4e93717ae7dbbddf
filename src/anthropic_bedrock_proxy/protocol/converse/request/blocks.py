"""The messages of a request as types: decoding checks all that the conversion relies on.

Each role has its own set of blocks, so a block in the wrong place is found while decoding. A key
that the Messages API does not have is refused, as Anthropic and InvokeModel do: Converse has no
place for it, and leaving it out silently could change what the client meant.
Source: Anthropic API, "Create a Message", content block params.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

Ignored = Raw | UnsetType  # known to the API, without meaning for Bedrock


class CacheControl(Struct, tag_field="type", tag="ephemeral", forbid_unknown_fields=True, gc=False):
    """A breakpoint of the prompt cache behind the block that carries it."""

    ttl: Literal["5m", "1h"] | None = None
    scope: Ignored = UNSET


class Citation(Struct, gc=False):
    """A citation of an earlier answer: the members of all kinds, of which `type` needs some."""

    type: str
    cited_text: str = ""
    document_index: int | None = None
    document_title: str | None = None
    search_result_index: int | None = None
    source: str | None = None
    title: str | None = None
    start_char_index: int | None = None
    end_char_index: int | None = None
    start_page_number: int | None = None
    end_page_number: int | None = None
    start_block_index: int | None = None
    end_block_index: int | None = None


class CitationsSetting(Struct, forbid_unknown_fields=True, gc=False):
    """The permission to cite a document or search result."""

    enabled: bool | None = None


class ToolCaller(Struct, gc=False):
    """The caller of a tool (`direct` or code); code is refused, so its id does not matter."""

    type: str


class Typed(Struct, tag_field="type", forbid_unknown_fields=True, gc=False):
    """The base of every object that its `type` tells apart."""


class Base64Source(Typed, tag="base64"):
    """Bytes as base64."""

    media_type: str
    data: str


class TextSource(Typed, tag="text"):
    """A text document, uncoded."""

    data: str
    media_type: str = "text/plain"


class ContentSource(Typed, tag="content"):
    """A document in pieces that can be cited one by one."""

    content: str | list[Text | Image]


class UrlSource(Typed, tag="url", forbid_unknown_fields=False):
    """A URL. Refused: Bedrock fetches nothing."""


class FileSource(Typed, tag="file", forbid_unknown_fields=False):
    """A file id. Refused: Bedrock has no Files API."""


class Text(Typed, tag="text"):
    """Text, in every role."""

    text: str
    citations: list[Citation] | None = None
    cache_control: CacheControl | None = None
    parsed_output: Ignored = UNSET


class Image(Typed, tag="image"):
    """A picture, from the user or a tool."""

    source: Base64Source | UrlSource | FileSource
    cache_control: CacheControl | None = None
    transformations: Ignored = UNSET


class Document(Typed, tag="document"):
    """A file, from the user or a tool."""

    source: Base64Source | TextSource | ContentSource | UrlSource | FileSource
    title: str | None = None
    context: str | None = None
    citations: CitationsSetting | None = None
    cache_control: CacheControl | None = None


class SearchResult(Typed, tag="search_result"):
    """A result of a search that the client made, from the user or a tool."""

    source: str
    title: str
    content: list[Text]
    citations: CitationsSetting | None = None
    cache_control: CacheControl | None = None


class ToolResult(Typed, tag="tool_result"):
    """A tool's result, which the client sends back."""

    tool_use_id: str
    content: str | list[Text | Image | Document | SearchResult] | None = None
    is_error: bool | None = None
    cache_control: CacheControl | None = None
    toolset_name: Ignored = UNSET


class Thinking(Typed, tag="thinking"):
    """The model's thoughts; valid only with the signature of the model that had them."""

    thinking: str
    signature: str = ""


class RedactedThinking(Typed, tag="redacted_thinking"):
    """Thoughts that only the model can read."""

    data: str


class ToolUse(Typed, tag="tool_use"):
    """A call of a tool; `input` stays the client's own JSON."""

    id: str
    name: str
    input: Raw
    caller: ToolCaller | None = None
    cache_control: CacheControl | None = None
    toolset_name: Ignored = UNSET


class ToolReference(Typed, tag="tool_reference"):
    """A tool of this request, by name."""

    name: str


class ToolAddition(Typed, tag="tool_addition"):
    """A tool that is offered from here on."""

    tool: ToolReference
    cache_control: CacheControl | None = None


class ToolRemoval(Typed, tag="tool_removal"):
    """A tool that is no longer offered from here on."""

    tool: ToolReference
    cache_control: CacheControl | None = None


UserBlock = Text | Image | Document | SearchResult | ToolResult
AssistantBlock = Text | Thinking | RedactedThinking | ToolUse
SystemBlock = Text | ToolAddition | ToolRemoval
Block = UserBlock | AssistantBlock | SystemBlock


class Said(Struct, tag_field="role", forbid_unknown_fields=True, gc=False):
    """The fields that messages of all roles share: settings that only Anthropic's own API takes."""

    output_config: Ignored = UNSET
    clear_at: Ignored = UNSET


class UserMessage(Said, tag="user", kw_only=True):
    """A message of role user."""

    content: str | list[UserBlock]


class AssistantMessage(Said, tag="assistant", kw_only=True):
    """A message of role assistant."""

    content: str | list[AssistantBlock]


class SystemMessage(Said, tag="system", kw_only=True):
    """A message of role system inside the conversation."""

    content: str | list[SystemBlock]


Message = UserMessage | AssistantMessage | SystemMessage

messages_decoder = msgspec.json.Decoder(list[Message])
system_decoder = msgspec.json.Decoder(str | list[Text] | None)
