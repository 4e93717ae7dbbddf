"""Rows: blocks of user messages."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from journey import PDF, PNG
from rows import (
    CODE,
    EPHEMERAL,
    FILE,
    HOUR,
    HOUR_POINT,
    PDF_DATA,
    PIXEL,
    POINT,
    TEXT,
    user,
)

IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
PDF_SOURCE = {"type": "base64", "media_type": "application/pdf", "data": PDF_DATA}
DOCUMENT = {"type": "document", "source": PDF_SOURCE}
PLAIN = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Read"}}
PLAIN_DATA = "UmVhZA=="
FOUND = {
    "type": "search_result",
    "source": "https://example.com",
    "title": "A",
    "content": [{"type": "text", "text": "Read"}],
}
_FIRST = "messages.0.content.0"
_UPLOADED = 'The file "sales.csv" (2,048 bytes) lies in the working folder.'
PICTURE = {"image": {"format": "png", "source": {"bytes": PIXEL}}}
WORDS = {"text": "A\nhttps://example.com\n\nRead"}
SEARCH = {
    "searchResult": {"source": "https://example.com", "title": "A", "content": [{"text": "Read"}]}
}
_LOCATIONS = {
    "char_location": {
        "document_index": 0,
        "document_title": "A",
        "start_char_index": 0,
        "end_char_index": 1,
    },
    "page_location": {
        "document_index": 0,
        "document_title": "A",
        "start_page_number": 1,
        "end_page_number": 2,
    },
    "content_block_location": {
        "document_index": 0,
        "document_title": "A",
        "start_block_index": 0,
        "end_block_index": 1,
    },
    "search_result_location": {
        "search_result_index": 0,
        "source": "s",
        "title": "A",
        "start_block_index": 0,
        "end_block_index": 1,
    },
    "web_search_result_location": {
        "url": "https://example.com",
        "title": "A",
        "encrypted_index": "x",
    },
}
CITATIONS = {
    kind: {"type": kind, "cited_text": "Re", **where} for kind, where in _LOCATIONS.items()
}


def _url(name: str) -> dict[str, str]:
    return {"type": "url", "url": f"https://example.com/{name}"}


def base64_of(media_type: str, data: bytes) -> dict[str, str]:
    return {"type": "base64", "media_type": media_type, "data": b64encode(data).decode()}


def _document(form: str, source: dict[str, Any], **rest: Any) -> dict[str, Any]:
    return {"document": {"format": form, "name": "document", "source": source, **rest}}


PDF_FILE = _document("pdf", {"bytes": PDF_DATA})
_TXT = _document("txt", {"text": "Read"})
_TXT_FILE = _document("txt", {"bytes": PLAIN_DATA})
_FILE = {"type": "file", "file_id": "file_1"}
IMAGE_URL = {"type": "image", "source": _url("a.png")}
FETCHED = {"image": {"format": "png", "source": {"bytes": b64encode(PNG).decode()}}}
_PIECES = {"type": "content", "content": [{"type": "text", "text": "Read"}]}
_PICTURES = {"type": "content", "content": [IMAGE]}
_CITED = {"citations": {"enabled": True}}

BLOCKS = (
    user("text", {"type": "text", "text": "Read"}, "NNNN MMM", converse={_FIRST: {"text": "Read"}}),
    user("text: blank", {"type": "text", "text": " "}, "DDDD DDD", silent="it says nothing"),
    user(
        "text: cache_control",
        {**TEXT, "cache_control": EPHEMERAL},
        "NNNN MMD",
        key="cache_control",
        converse={"messages.0.content.1": POINT},
    ),
    user(
        "text: cache_control, ttl 5m",
        {**TEXT, "cache_control": {**EPHEMERAL, "ttl": "5m"}},
        "NNNN MMD",
        key="cache_control",
        converse={"messages.0.content.1": POINT},
    ),
    user(
        "text: cache_control, ttl 1h",
        {**TEXT, "cache_control": HOUR},
        "NNNN MDD",
        key="cache_control.ttl",
        converse={"messages.0.content.1": HOUR_POINT},
        named=f"{_FIRST}.cache_control",
    ),
    user(
        "text: cache_control.scope",
        {**TEXT, "cache_control": {**EPHEMERAL, "scope": "global"}},
        "DDDD DDD",
        key="cache_control.scope",
        named=f"{_FIRST}.cache_control",
    ),
    user(
        "text: citations",
        {"type": "text", "text": "Read", "citations": [CITATIONS["char_location"]]},
        "NNNN DDD",
        key="citations",
    ),
    user("image: base64", IMAGE, "NNNN MMR", converse={_FIRST: PICTURE}),
    user(
        "image: url",
        IMAGE_URL,
        "EEEE EER",
        converse={_FIRST: FETCHED},
        native={f"{_FIRST}.source": base64_of("image/png", PNG)},
    ),
    user("image: file", {"type": "image", "source": _FILE}, "RRRR RRR"),
    user(
        "image: cache_control",
        {**IMAGE, "cache_control": EPHEMERAL},
        "NNNN MMR",
        key="cache_control",
        converse={"messages.0.content.1": POINT},
        says={"qwen": _FIRST},
    ),
    user(
        "image: transformations",
        {**IMAGE, "transformations": {"oversized_image": "downsize"}},
        "DDDD DDR",
        key="transformations",
        says={"qwen": _FIRST},
        named=(f"{_FIRST}.transformations", "messages.*.content.*.image.transformations"),
    ),
    user("document: base64", DOCUMENT, "NNNN MMR", converse={_FIRST: PDF_FILE}),
    user(
        "document: text",
        PLAIN,
        "NNNN MMR",
        converse={_FIRST: _TXT},
        only={"nova": {_FIRST: _TXT_FILE}},
    ),
    user(
        "document: content, text",
        {"type": "document", "source": {"type": "content", "content": "Read"}},
        "NNNN MMR",
        converse={_FIRST: _TXT},
        only={"nova": {_FIRST: _TXT_FILE}},
    ),
    user(
        "document: content, text blocks",
        {"type": "document", "source": _PIECES},
        "NNNN MMR",
        converse={_FIRST: _document("txt", {"content": [{"text": "Read"}]})},
        only={"nova": {_FIRST: _TXT_FILE}},
    ),
    user(
        "document: content, images",
        {"type": "document", "source": _PICTURES},
        "NNNN RRR",
        says={"converse": f"{_FIRST}.source.content.0", "nova": f"{_FIRST}.source.content.0"},
    ),
    user(
        "document: url of a PDF",
        {"type": "document", "source": _url("a.pdf")},
        "EEEE EER",
        native={f"{_FIRST}.source": base64_of("application/pdf", PDF)},
        converse={_FIRST: _document("pdf", {"bytes": b64encode(PDF).decode()})},
    ),
    user(
        "document: url of a text",
        {"type": "document", "source": _url("a.txt")},
        "EEEE EER",
        native={
            f"{_FIRST}.source": {"type": "text", "media_type": "text/plain", "data": "fetched"}
        },
        converse={_FIRST: _document("txt", {"text": "fetched"})},
        only={"nova": {_FIRST: _document("txt", {"bytes": b64encode(b"fetched").decode()})}},
    ),
    user(
        "document: url that leads nowhere",
        {"type": "document", "source": _url("no.pdf")},
        "RRRR RRR",
    ),
    user("document: file", {"type": "document", "source": _FILE}, "RRRR RRR"),
    user(
        "document: title",
        {**PLAIN, "title": "My notes"},
        "NNNN MMR",
        key="title",
        converse={f"{_FIRST}.document.name": "My notes"},
        says={"qwen": _FIRST},
    ),
    user(
        "document: context",
        {**PLAIN, "context": "Mine"},
        "NNNN MMR",
        key="context",
        converse={f"{_FIRST}.document.context": "Mine"},
        says={"qwen": _FIRST},
        only={"nova": {_FIRST: {"text": "Mine"}}},
    ),
    user(
        "document: citations",
        {**PLAIN, **_CITED},
        "NNNN MDR",
        key="citations",
        converse={f"{_FIRST}.document.citations": {"enabled": True}},
        says={"qwen": _FIRST},
    ),
    user(
        "document: cache_control",
        {**PLAIN, "cache_control": EPHEMERAL},
        "NNNN MMR",
        key="cache_control",
        converse={"messages.0.content.1": POINT},
        says={"qwen": _FIRST},
    ),
    user(
        "search_result",
        FOUND,
        "NNNN MMM",
        converse={_FIRST: WORDS},
        only={"converse": {_FIRST: SEARCH}},
    ),
    user(
        "search_result: citations",
        {**FOUND, **_CITED},
        "NNNN MDD",
        key="citations",
        converse={f"{_FIRST}.searchResult.citations": {"enabled": True}},
    ),
    user(
        "search_result: cache_control",
        {**FOUND, "cache_control": EPHEMERAL},
        "NNNN MMD",
        key="cache_control",
        converse={"messages.0.content.1": POINT},
    ),
    user(
        "container_upload, with code execution",
        {"type": "container_upload", "file_id": FILE, "cache_control": EPHEMERAL},
        "EEEE EEE",
        request={"tools": [CODE]},
        native={_FIRST: {"type": "text", "text": _UPLOADED, "cache_control": EPHEMERAL}},
        converse={f"{_FIRST}.text": _UPLOADED},
    ),
    user(
        "container_upload: a file that is not there, with code execution",
        {"type": "container_upload", "file_id": "file_2"},
        "RRRR RRR",
        request={"tools": [CODE]},
    ),
    user(
        "container_upload, without code execution",
        {"type": "container_upload", "file_id": FILE, "cache_control": EPHEMERAL},
        "RRRR RRR",
    ),
)
