"""Plain requests: found by one look, so that no later step has to look for work in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import UNSET, Raw

from .views import BlockView, RequestView, SourceView, ToolView

# A request with any other field is not plain: its meaning differs between models.
_FIELDS: Final = frozenset(
    ("max_tokens", "messages", "metadata", "model", "stop_sequences", "stream", "system", "tools")
)
_BLOCKS: Final = frozenset(("document", "image", "tool_result", "tool_use"))
_INLINE: Final = frozenset(("base64", "text"))
_MARK: Final = Raw(b'{"type":"ephemeral"}')
# Compared as a whole: one step for nearly every block.
_TEXT: Final = BlockView("text")
_MARKED_TEXT: Final = BlockView("text", cache_control=_MARK)


def is_plain(fields: Mapping[str, Raw], view: RequestView) -> bool:
    """Tells whether the tools and messages suit every model and dialect unedited.

    A plain request may still need edits of `system`, blank texts, a max_tokens over the model's,
    and cache breakpoints where the operator has settings for them.
    """
    if not fields.keys() <= _FIELDS:
        return False
    for tool in view.tools or ():
        if tool != ToolView(tool.name) and tool != ToolView(tool.name, cache_control=_MARK):
            return False
    for message in view.messages:
        content = message.content
        if (
            not content
            or message.role == "system"
            or message.output_config is not UNSET
            or message.clear_at is not UNSET
        ):
            return False
        if isinstance(content, str):
            if content.isspace():
                return False
            continue
        for block in content:
            if block not in (_TEXT, _MARKED_TEXT) and not _is_plain_block(block):
                return False
    return message.role == "user"


def _is_plain_block(block: BlockView) -> bool:
    source = block.source
    return (
        block.type in _BLOCKS
        and block.caller is UNSET
        and block.citations is UNSET
        and block.parsed_output is UNSET
        and block.toolset_name is UNSET
        and not isinstance(block.content, list)
        and (source is UNSET or (isinstance(source, SourceView) and source.type in _INLINE))
        and (block.cache_control is UNSET or block.cache_control == _MARK)
    )
