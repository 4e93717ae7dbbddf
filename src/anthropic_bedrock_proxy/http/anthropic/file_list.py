"""GET /v1/files: the files of a key in the shape of Anthropic's Files API, with its paging.

Newer SDKs go on with `page`, older ones with `after_id` or `before_id`. A page's cursor is the
place of its last file in the order, so it holds when that file is deleted meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from ...errors import InvalidRequestError
from ...sandbox.base import FileRecord

MAX_IDS: Final = 100
_DEFAULT_LIMIT: Final = 20
_MAX_LIMIT: Final = 1000
_MAX_SHOWN: Final = 60
_CURSOR: Final = re.compile(r"page_([0-9a-f]{1,16})_(file_[0-9a-f]{1,64})")
_Place = tuple[int, str]


def shape(record: FileRecord) -> dict[str, Any]:
    """Returns a file as clients are told it."""
    expires = record.expires_at
    return {
        "id": record.id,
        "type": "file",
        "filename": record.filename,
        "mime_type": record.mime_type,
        "size_bytes": record.size_bytes,
        "created_at": _moment(record.created_at),
        "expires_at": None if expires is None else _moment(expires),
        "downloadable": record.downloadable,
    }


def page_of(records: Sequence[FileRecord], query: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Returns one page, by `limit` and one of `page`, `after_id`, `before_id`; or those of `ids`.

    No file has a scope, so with a `scope_id` there is none. Raises `InvalidRequestError`.
    """
    if query.get("scope_id"):
        records = ()
    ordered = sorted(records, key=_place, reverse=True)
    cursors = [name for name in ("page", "after_id", "before_id") if query.get(name)]
    ids = {*query.get("ids[]", ()), *query.get("ids", ())}
    if len(cursors) + bool(ids) > 1:
        raise InvalidRequestError("page, after_id, before_id and ids: give one of them")
    if len(ids) > MAX_IDS:
        raise InvalidRequestError(f"ids: at most {MAX_IDS}")
    if ids:
        return _page([record for record in ordered if record.id in ids], more=False)
    limit = _limit(query)
    if query.get("before_id"):
        end = _position(ordered, query["before_id"][0], "before_id")
        start = max(0, end - limit)
        return _page(ordered[start:end], more=start > 0)
    if query.get("after_id"):
        start = _position(ordered, query["after_id"][0], "after_id") + 1
        ordered = ordered[start:]
    elif query.get("page"):
        place = _read_cursor(query["page"][0])
        ordered = [record for record in ordered if _place(record) < place]
    return _page(ordered[:limit], more=len(ordered) > limit)


def _page(page: Sequence[FileRecord], *, more: bool) -> dict[str, Any]:
    return {
        "data": [shape(record) for record in page],
        "has_more": more,
        "first_id": page[0].id if page else None,
        "last_id": page[-1].id if page else None,
        "next_page": _cursor(page[-1]) if page and more else None,
    }


def _place(record: FileRecord) -> _Place:
    return int(record.created_at * 1e6), record.id


def _cursor(record: FileRecord) -> str:
    micros, name = _place(record)
    return f"page_{micros:x}_{name}"


def _read_cursor(text: str) -> _Place:
    match = _CURSOR.fullmatch(text)
    if match is None:
        raise InvalidRequestError(f"page: not one of a listing: {text[:_MAX_SHOWN]}")
    return int(match[1], 16), match[2]


def _limit(query: Mapping[str, Sequence[str]]) -> int:
    text = query.get("limit", [str(_DEFAULT_LIMIT)])[0]
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(_MAX_LIMIT))):
        raise InvalidRequestError(f"limit: must be a number from 1 to {_MAX_LIMIT}")
    limit = int(text)
    if not 1 <= limit <= _MAX_LIMIT:
        raise InvalidRequestError(f"limit: must be a number from 1 to {_MAX_LIMIT}")
    return limit


def _position(records: Sequence[FileRecord], name: str, parameter: str) -> int:
    for index, record in enumerate(records):
        if record.id == name:
            return index
    raise InvalidRequestError(f"{parameter}: no file {name[:_MAX_SHOWN]}")


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
