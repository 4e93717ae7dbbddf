"""Media types of bodies: the server's word, checked against the first bytes. Pure.

Object stores serve pictures as application/octet-stream and call PNGs JPEGs; Bedrock refuses a
picture whose bytes are of another kind than its media type. So the bytes decide between pictures,
and wherever the server says nothing definite.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from .base import WrongTypeError

_SAYS_NOTHING: Final = frozenset(
    (
        "",
        "application/octet-stream",
        "binary/octet-stream",
        "application/download",
        "application/force-download",
        "application/x-download",
    )
)
_ALIASES: Final = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "application/x-pdf": "application/pdf",
}
_SNIFFED: Final = frozenset(
    ("image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf")
)
_PDF_WITHIN: Final = 1024  # readers find the mark within so many bytes
_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,63}/[a-z0-9!#$&^_.+-]{1,63}")
_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([A-Za-z0-9._:-]{1,40})", re.IGNORECASE)


class Declared(msgspec.Struct, frozen=True):
    """A Content-Type header."""

    media_type: str  # "" where it says nothing
    charset: str | None


def parse_content_type(value: str) -> Declared:
    """Reads the header; "" stands for an absent one. Raises `WrongTypeError`."""
    media_type = value.partition(";")[0].strip().lower()
    if media_type in _SAYS_NOTHING:
        return Declared("", None)
    if not _TYPE.fullmatch(media_type):
        raise WrongTypeError("the server did not say validly of what media type it is")
    charset = _CHARSET.search(value)
    return Declared(_ALIASES.get(media_type, media_type), charset[1].lower() if charset else None)


def sniff(body: bytes) -> str | None:
    """Returns the media type that the first bytes prove, of the five that Claude reads."""
    if body.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if body.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if body.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if body.startswith(b"RIFF") and body[8:12] == b"WEBP":
        return "image/webp"
    if b"%PDF-" in body[:_PDF_WITHIN]:
        return "application/pdf"
    return None


def check_declared(declared: Declared, accept: frozenset[str]) -> None:
    """Refuses, before the body is read, a type that the bytes cannot correct to a wanted one.

    Raises `WrongTypeError`.
    """
    media_type = declared.media_type
    if media_type and not media_type.startswith("image/"):
        _check_accepted(media_type, accept)


def media_type_of(declared: Declared, body: bytes, accept: frozenset[str]) -> str:
    """Returns the media type of a whole body. Raises `WrongTypeError` if it is not in `accept`."""
    media_type = declared.media_type
    if not media_type or media_type.startswith("image/"):
        proven = sniff(body)
        if proven is None and media_type in _SNIFFED:
            raise WrongTypeError(f"the server calls it {media_type}, but it is something else")
        media_type = proven or media_type or "application/octet-stream"
    _check_accepted(media_type, accept)
    return media_type


def _check_accepted(media_type: str, accept: frozenset[str]) -> None:
    if media_type not in accept and f"{media_type.partition('/')[0]}/*" not in accept:
        raise WrongTypeError(
            f"its media type is {media_type}; accepted are {', '.join(sorted(accept))}"
        )
