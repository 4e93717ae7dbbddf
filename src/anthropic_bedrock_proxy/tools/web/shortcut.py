"""Searches of Claude Code itself: answered from the results, without a second call. Pure.

Its WebSearch tool is a request of its own (protocol/request/side_search.py) to a small model, which
is to search once and to sum up what it finds. Claude Code shows another model the links and
whatever text stands beside them; what is sealed it cannot read. So the passages themselves are that
text: nothing is lost, and the call that would sum them up is spared. A search that failed is left
to the model, which may try another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ...protocol.raw import Json
from ...protocol.request.side_search import asks_to_search
from ...search.base import SearchHit
from ..calls import RequestContext
from .versions import SEARCH_PREFIX

_NOTHING: Final = "The search found nothing."


def is_side_search(context: RequestContext) -> bool:
    """Tells whether a request is one of these."""
    views = context.tools.views
    if len(views) != 1 or not (views[0].type or "").startswith(SEARCH_PREFIX):
        return False
    return asks_to_search(context.fields["messages"])


def summary(hits: Sequence[SearchHit]) -> Json:
    """Returns the text block that tells what was found."""
    parts = [
        f"{number}. {hit.title} ({hit.url})"
        + (f", {hit.page_age}" if hit.page_age else "")
        + (f"\n{hit.text}" if hit.text else "")
        for number, hit in enumerate(hits, 1)
    ]
    return {"type": "text", "text": "\n\n".join(parts) or _NOTHING}
