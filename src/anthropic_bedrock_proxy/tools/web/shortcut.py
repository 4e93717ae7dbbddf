"""Searches of Claude Code itself: answered from the results, without a second call. Pure.

Its WebSearch tool is a request of its own, with one message ("Perform a web search for the query:
…"), one tool and a small model, which is to search once and to sum up what it finds. Claude Code
shows another model the links and whatever text stands beside them; what is sealed it cannot read.
So the passages themselves are that text: nothing is lost, and the call that would sum them up is
spared. A search that failed is left to the model, which may try another one.
Source: Claude Code 2.1.332, and the same words in all versions before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ...protocol.raw import Json, decode
from ...search.base import SearchHit
from ..calls import RequestContext
from .versions import SEARCH_PREFIX

_ASKS: Final = "Perform a web search for the query: "
_NOTHING: Final = "The search found nothing."


def is_side_search(context: RequestContext) -> bool:
    """Tells whether a request is one of these."""
    views = context.tools.views
    if len(views) != 1 or not (views[0].type or "").startswith(SEARCH_PREFIX):
        return False
    messages: Any = decode(context.fields["messages"])
    if len(messages) != 1 or messages[0]["role"] != "user":
        return False
    content = messages[0]["content"]
    if isinstance(content, str):
        return content.startswith(_ASKS)
    return any(
        block["type"] == "text" and str(block.get("text")).startswith(_ASKS) for block in content
    )


def summary(hits: Sequence[SearchHit]) -> Json:
    """Returns the text block that tells what was found."""
    parts = [
        f"{number}. {hit.title} ({hit.url})"
        + (f", {hit.page_age}" if hit.page_age else "")
        + (f"\n{hit.text}" if hit.text else "")
        for number, hit in enumerate(hits, 1)
    ]
    return {"type": "text", "text": "\n\n".join(parts) or _NOTHING}
