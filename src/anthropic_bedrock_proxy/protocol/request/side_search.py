"""The request by which Claude Code searches the web: one message, one tool. Pure.

Its WebSearch tool asks a small model to search, by a message that always begins with the same words
("Perform a web search for the query: …"), and hands what it says to the model of the conversation
as what was found. So it may not be answered from memory.
Source: Claude Code 2.1.332, and the same words in all versions before.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Raw

from ..raw import decode

_ASKS: Final = "Perform a web search for the query: "


def asks_to_search(messages: Raw) -> bool:
    """Tells whether a conversation is nothing but such a message. Raises any of MISSHAPEN."""
    said: Any = decode(messages)
    if len(said) != 1 or said[0]["role"] != "user":
        return False
    content = said[0]["content"]
    if isinstance(content, str):
        return content.startswith(_ASKS)
    return any(
        block["type"] == "text" and str(block.get("text")).startswith(_ASKS) for block in content
    )
