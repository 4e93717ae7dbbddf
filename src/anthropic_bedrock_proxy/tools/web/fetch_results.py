"""Results of web fetch: for the client a document, for the model a page, for code JSON. Pure.

    Page("https://a.example/", 1_796_000_000.0, "A", "One. Two.")
    -> {"type": "web_fetch_result", "url": "https://a.example/", "retrieved_at": "2026-11-30T…Z",
        "content": {"type": "document", "title": "A",
                    "source": {"type": "text", "media_type": "text/plain", "data": "One. Two."}}}
    -> <page url="https://a.example/" title="A" retrieved_at="2026-11-30T…Z">
       One. Two.
       </page>

With citations the model sees an index before each passage, `[w3k9x-0] One. Two.`: that of the page
and the place where the passage begins. So a citation, which has the same place, leads back to it.
Documents are counted over the conversation, in the order in which they stand there, together with
those that the client itself has put into its messages.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from ...fetch.base import Page
from ...protocol.raw import Json, encode
from ...protocol.tokens import within_tokens
from ..calls import RequestContext
from ..passages import source_index, split_passages

RESULT: Final = "web_fetch_tool_result"
MAX_URL: Final = 250  # characters of what may be fetched
_ERROR: Final = "web_fetch_tool_result_error"
_FETCHED: Final = "web_fetch_result"
_LOCATION: Final = "char_location"
_LONGEST_PASSAGE: Final = 600  # characters; a longer sentence is cited in pieces
_INK: Final = re.compile(r"\S")
_EMPTY: Final = "(The page has no text.)"
_WORDS: Final = {
    "invalid_tool_input": "Give one whole http or https URL.",
    "url_too_long": f"The URL has more than {MAX_URL} characters.",
    "url_not_allowed": "This URL may not be fetched here.",
    "url_not_in_prior_context": "Only URLs that the user, a tool's result or a fetched page has "
    "named may be fetched, exactly as they were named. Search for it, or ask the user for the URL.",
    "url_not_accessible": "The page could not be fetched; it may not exist, or not answer.",
    "unsupported_content_type": "It is neither text nor a PDF.",
    "content_too_large": "The page is too large.",
    "too_many_requests": "Too many pages are being fetched; go on without, or try later.",
    "max_uses_exceeded": "No more pages may be fetched in this answer.",
    "unavailable": "The page cannot be read at the moment; say so, and do not guess.",
}


def failed(code: str) -> Json:
    """Returns the content of the result of a fetch that came to nothing."""
    return {"type": _ERROR, "error_code": code}


def fetched(page: Page, *, max_tokens: int, cites: bool) -> Json:
    """Returns the content of the result for a page, whose text has at most so many tokens."""
    document: Json = {"type": "document"}
    if page.pdf is not None:
        data = b64encode(page.pdf).decode("ascii")
        source = {"type": "base64", "media_type": "application/pdf", "data": data}
    else:
        text = _cut(page.text or "", max_tokens)
        source = {"type": "text", "media_type": "text/plain", "data": text}
        if cites:
            document["citations"] = {"enabled": True}
    document["source"] = source
    if page.title:
        document["title"] = page.title
    moment = datetime.fromtimestamp(int(page.retrieved_at), UTC)
    return {
        "type": _FETCHED,
        "url": page.url,
        "content": document,
        "retrieved_at": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _cut(text: str, max_tokens: int) -> str:
    begun = within_tokens(text, max_tokens)
    if len(begun) == len(text):
        return text
    return f"{begun}\n\n[The page is longer: it was cut here, after about {max_tokens} tokens.]"


def to_tool_result(content: Json, context: RequestContext) -> Json:
    """Returns `content` and `is_error` of the model's `tool_result`, and notes its passages.

    Raises any of MISSHAPEN if the content has another form.
    """
    if content["type"] == _ERROR:
        code = content["error_code"]
        return {"content": f"{code}: {_WORDS.get(code, code)}", "is_error": True}
    document = content["content"]
    source, data = document["source"], document["source"]["data"]
    names = {"url": content["url"], "title": document.get("title")}
    names["retrieved_at"] = content.get("retrieved_at")
    head = " ".join(f"{name}={encode(value).decode()}" for name, value in names.items() if value)
    if source["type"] == "text":
        page = (head, data, _is_cited(document))
        if page not in context.passages.pages:
            parts = [_EMPTY] if not data.strip() else [data]
            if passages := _noted(content, context):
                parts = list(_with_indexes(data, passages))
            context.passages.pages[page] = f"<page {head}>\n{''.join(parts)}\n</page>"
        return {"content": context.passages.pages[page]}
    _noted(content, context)
    size = len(data) // 4 * 3 - data[-2:].count("=")
    if size > context.document_bytes:
        said = "This model cannot be shown PDFs" + (" of its size" * bool(context.document_bytes))
        return {"content": f"<page {head}>\n(It is a PDF of {size} bytes. {said}.)\n</page>"}
    shown: Json = {"type": "document", "source": source}
    if document.get("title"):
        shown["title"] = document["title"]
    said = f"<page {head}>\nIt is a PDF, which follows.\n</page>"
    return {"content": [{"type": "text", "text": said}, shown]}


def to_code(content: Json, context: RequestContext) -> str:
    """Returns a result as code gets it: a JSON object, or a sentence.

    Raises any of MISSHAPEN if the content has another form.
    """
    if content["type"] == _ERROR:
        return f"Error: {content['error_code']}"
    document = content["content"]
    source = document["source"]
    page = {"url": content["url"], "title": document.get("title"), "text": None}
    passages = _noted(content, context)
    if source["type"] == "text":
        page["text"] = source["data"]
    else:
        page["note"] = "It is a PDF, which code is not given. Fetch it without code."
    if passages:
        page["passages"] = [
            {"index": index, "text": source["data"][start:end]} for index, start, end in passages
        ]
    return encode(page).decode()


def index_of(citation: Json, context: RequestContext) -> str | None:
    """Returns the index of the passage of a page that was cited; None: it is none of ours.

    Raises any of MISSHAPEN if the citation has another form.
    """
    if citation["type"] != _LOCATION:
        return None
    # The client's own documents are cited in this form too, by Claude itself.
    source = context.passages.source(citation["document_index"])
    index = f"{source}-{citation['start_char_index']}"
    known = context.passages.cite(index)
    return index if known and known["cited_text"] == citation["cited_text"] else None


def _is_cited(document: Json) -> bool:
    return bool((document.get("citations") or {}).get("enabled"))


def _noted(content: Json, context: RequestContext) -> list[tuple[str, int, int]]:
    """Counts a document, and notes its passages if it may be cited: index, start and end."""
    document = content["content"]
    data: str = document["source"]["data"]
    source = source_index(content["url"], data)
    number = context.passages.number(source)
    if not _is_cited(document):
        return []
    noted = []
    for start, end in _passages(data):

        def cite(start: int = start, end: int = end) -> Json:
            return {
                "type": _LOCATION,
                "cited_text": data[start:end],
                "document_index": number,
                "document_title": document.get("title"),
                "start_char_index": start,
                "end_char_index": end,
                "file_id": None,
            }

        index = f"{source}-{start}"
        context.passages.add(index, cite)
        noted.append((index, start, end))
    return noted


def _passages(data: str) -> Iterator[tuple[int, int]]:
    """Yields the passages of a text, none longer than `_LONGEST_PASSAGE`."""
    for start, end in split_passages(data):
        begin = start
        while end - begin > _LONGEST_PASSAGE:
            cut = data.rfind(" ", begin + 1, begin + _LONGEST_PASSAGE)
            cut = cut if cut > begin else begin + _LONGEST_PASSAGE
            yield begin, cut
            # Searched for, not cut off: a page may be one line of any length.
            begin = found.start() if (found := _INK.search(data, cut, end)) is not None else end
        yield begin, end


def _with_indexes(data: str, passages: list[tuple[str, int, int]]) -> Iterator[str]:
    """Yields the text with an index before each passage."""
    told = 0
    for index, start, end in passages:
        yield f"{data[told:start]}[{index}] {data[start:end]}"
        told = end
    yield data[told:]
