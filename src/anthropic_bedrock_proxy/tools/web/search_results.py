"""Results of web search: for the client sealed, for the model in numbered passages. Pure.

    SearchHit("https://a.example", "A", "One. Two.", "2 days ago")
    -> {"type": "web_search_result", "url": …, "title": "A", "page_age": "2 days ago",
        "encrypted_content": "AQ…"}
    -> <result url="https://a.example" title="A" age="2 days ago">
       [w3k9x-1] One. Two.
       </result>

What the client sends back with the next request is opened again, so nothing is kept here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from ...protocol.raw import Json, encode
from ...search.base import SearchHit
from ..base import UnreadableResultError
from ..calls import RequestContext
from ..passages import MAX_CITED, source_index, split_passages
from .seal import SealError, Seals

RESULT: Final = "web_search_tool_result"
_ERROR: Final = "web_search_tool_result_error"
_HIT: Final = "web_search_result"
_LOCATION: Final = "web_search_result_location"
_CONTENT: Final = b"web_search_result"
_INDEX: Final = b"web_search_result_location"
_MEND: Final = "remove this search and its result from the history, or begin a new conversation"
_NOTHING: Final = "No results were found. Try another query."
_WORDS: Final = {
    "invalid_tool_input": "The query must be a text.",
    "query_too_long": "The query is too long; shorten it.",
    "max_uses_exceeded": "No more searches are allowed in this answer.",
    "too_many_requests": "Too many searches were made; go on without, or try later.",
    "request_too_large": "The search was too large; ask for less.",
    "unavailable": "The web cannot be searched at the moment; say so, and do not guess.",
}
_decode_hit = msgspec.json.Decoder(SearchHit).decode


def failed(code: str) -> Json:
    """Returns the content of the result of a search that came to nothing."""
    return {"type": _ERROR, "error_code": code}


def is_failure(content: Any) -> bool:
    """Tells whether the content of a result says that there are no results to be had."""
    return not isinstance(content, list)


class ResultSeals:
    """The two forms of results of one API key, made of each other."""

    def __init__(self, seals: Seals, tenant: str) -> None:
        self._seals = seals
        self._tenant = tenant

    def content(self, hits: Sequence[SearchHit]) -> list[Json]:
        """Returns the content of a result block."""
        return [
            {
                "type": _HIT,
                "url": hit.url,
                "title": hit.title,
                "page_age": hit.page_age,
                "encrypted_content": self._seals.seal(self._tenant, _CONTENT, encode(hit)),
            }
            for hit in hits
        ]

    def hits(self, content: list[Any]) -> list[SearchHit]:
        """Opens the content of a result block. Raises `UnreadableResultError`, or MISSHAPEN's."""
        return [self.hit(block, place) for place, block in enumerate(content)]

    def hit(self, block: Json, place: int) -> SearchHit:
        """Opens one of the pages of a result block. Raises as `hits`."""
        try:
            plain = self._seals.open(self._tenant, _CONTENT, block["encrypted_content"])
        except SealError as error:
            where = f"{place}.encrypted_content"
            raise UnreadableResultError(where, f"{error.reason}; {_MEND}") from None
        return _decode_hit(plain)

    def citation(self, hit: SearchHit, index: str, passage: str) -> Json:
        """Returns the citation of a passage."""
        return {
            "type": _LOCATION,
            "url": hit.url,
            "title": hit.title,
            "encrypted_index": self._seals.seal(self._tenant, _INDEX, index.encode()),
            "cited_text": passage[:MAX_CITED],
        }

    def index_of(self, citation: Json) -> str | None:
        """Returns the index of the passage that was cited; None: it is another kind of citation.

        Raises `UnreadableResultError`, or MISSHAPEN's.
        """
        if citation["type"] != _LOCATION:
            return None
        try:
            plain = self._seals.open(self._tenant, _INDEX, citation["encrypted_index"])
        except SealError as error:
            raise UnreadableResultError("encrypted_index", f"{error.reason}; {_MEND}") from None
        return plain.decode()


def to_tool_result(content: Any, context: RequestContext, seals: ResultSeals) -> Json:
    """Returns `content` and `is_error` of the model's `tool_result`, and notes its passages.

    Raises `UnreadableResultError`, or MISSHAPEN's.
    """
    if is_failure(content):
        code = content["error_code"]
        return {"content": f"{code}: {_WORDS.get(code, code)}", "is_error": True}
    shown = []
    pages = context.passages.pages
    for place, block in enumerate(content):
        seal = block["encrypted_content"]
        if seal not in pages:  # a client may send one again and again
            pages[seal] = _page(seals.hit(block, place), context, seals)
        shown.append(pages[seal])
    return {"content": "\n".join(shown) or _NOTHING}


def _page(hit: SearchHit, context: RequestContext, seals: ResultSeals) -> str:
    lines = [f"[{index}] {text}" for index, text in _noted(hit, context, seals)]
    age = {"age": hit.page_age} if hit.page_age else {}
    told = {"url": hit.url, "title": hit.title} | age
    head = " ".join(f"{name}={encode(value).decode()}" for name, value in told.items())
    return "\n".join((f"<result {head}>", *lines, "</result>"))


def to_code(content: Any, context: RequestContext, seals: ResultSeals) -> str:
    """Returns results as code gets them: a JSON list, or a sentence. Raises as `to_tool_result`."""
    if is_failure(content):
        return f"Error: {content['error_code']}"
    return encode(
        [
            {
                "url": hit.url,
                "title": hit.title,
                "page_age": hit.page_age,
                "passages": [
                    {"index": index, "text": text} for index, text in _noted(hit, context, seals)
                ],
            }
            for hit in seals.hits(content)
        ]
    ).decode()


def _noted(hit: SearchHit, context: RequestContext, seals: ResultSeals) -> list[tuple[str, str]]:
    """Returns the passages of a page, each with its index, after noting them."""
    source = source_index(hit.url, hit.text)
    passages = []
    for number, (start, end) in enumerate(split_passages(hit.text), 1):
        index, text = f"{source}-{number}", hit.text[start:end]

        def cite(index: str = index, text: str = text) -> Json:
            return seals.citation(hit, index, text)

        context.passages.add(index, cite)
        passages.append((index, text))
    return passages
