"""Views: types of exactly the fields of a request body that the proxy reads.

Source: Anthropic API, "Create a Message".
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Raw, UnsetType

from ...models.table import MAX_NAME


class Opaque(msgspec.Struct, gc=False):
    """Any JSON object, unread."""


class TypedView(msgspec.Struct, gc=False):
    """Any object of which only the `type` matters."""

    type: str = ""


class SourceView(msgspec.Struct, gc=False):
    """The source of an image or a document; `content` sources hold blocks themselves."""

    type: str = ""
    content: str | list[BlockView] | Opaque | UnsetType | None = UNSET


class BlockView(msgspec.Struct, gc=False):
    """A content block: the fields that may have to be edited or refused before Bedrock."""

    type: str
    cache_control: Raw | UnsetType = UNSET
    caller: TypedView | UnsetType | None = UNSET
    citations: list[Opaque] | Opaque | UnsetType | None = UNSET
    content: str | list[BlockView] | Opaque | UnsetType | None = UNSET
    id: str | UnsetType = UNSET
    name: str | UnsetType | None = UNSET
    parsed_output: Raw | UnsetType = UNSET
    source: SourceView | str | UnsetType = UNSET
    tool_use_id: str | UnsetType = UNSET
    toolset_name: Raw | UnsetType = UNSET


class MessageView(msgspec.Struct, gc=False):
    """One message of the history."""

    role: str
    content: str | list[BlockView]
    output_config: Raw | UnsetType = UNSET
    clear_at: Raw | UnsetType = UNSET

    @property
    def has_settings(self) -> bool:
        """Tells whether the message has settings of its own: effort or an expiry."""
        return self.output_config is not UNSET or self.clear_at is not UNSET


class ToolView(msgspec.Struct, gc=False):
    """One tool definition."""

    name: str = ""
    type: str | None = None
    allowed_callers: list[str] | UnsetType | None = UNSET
    cache_control: Raw | UnsetType = UNSET
    custom: Raw | UnsetType = UNSET
    defer_loading: bool | UnsetType | None = UNSET
    eager_input_streaming: bool | UnsetType | None = UNSET
    input_examples: Raw | UnsetType = UNSET


class RequestView(msgspec.Struct, gc=False):
    """The fields of a request that the proxy reads."""

    model: Annotated[str, msgspec.Meta(max_length=MAX_NAME)]  # it is remembered, and logged
    messages: list[MessageView]
    max_tokens: int | UnsetType = UNSET
    stream: bool | None = None
    tools: list[ToolView] | None = None
