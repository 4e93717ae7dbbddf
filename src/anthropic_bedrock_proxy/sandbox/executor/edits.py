"""The results of the text editor, in the forms that are passed on. Pure.

Clients get these as they are, and the model sees the pictures; a runner could write anything. So
what is not of one of these forms, whole and without another field, breaks the protocol:

    is_edit("create", {"is_file_update": True})            -> True
    is_edit("create", {"is_file_update": True, "x": 1})    -> False
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Annotated, Any, Final

import msgspec

_Count = Annotated[int, msgspec.Meta(ge=0)]
_PICTURES: Final = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")


class _View(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="file_type", kw_only=True
):
    content: str


class _TextView(_View, frozen=True, forbid_unknown_fields=True, tag="text", kw_only=True):
    num_lines: _Count
    start_line: _Count
    total_lines: _Count


class _ImageView(_View, frozen=True, forbid_unknown_fields=True, tag="image"):
    pass


class _Create(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    is_file_update: bool


class _StrReplace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    lines: list[str]
    old_start: _Count
    old_lines: _Count
    new_start: _Count
    new_lines: _Count


_FORMS: Final[dict[str, Any]] = {
    "view": _TextView | _ImageView,
    "create": _Create,
    "str_replace": _StrReplace,
}


def is_edit(kind: str, result: dict[str, Any]) -> bool:
    """Tells whether a result has the form of its kind; an image has to begin like one."""
    if kind not in _FORMS:
        return False
    try:
        form = msgspec.convert(result, _FORMS[kind])
    except (msgspec.ValidationError, RecursionError):
        return False
    return not isinstance(form, _ImageView) or _is_picture(form.content)


def _is_picture(text: str) -> bool:
    try:
        data = b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return data.startswith(_PICTURES) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")
