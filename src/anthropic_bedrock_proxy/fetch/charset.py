"""Charsets of texts: the codecs that may be used, and where a body says which is its own. Pure.

Not every codec of Python's: some take quadratic time, others run over the text more than once.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

DEFAULT: Final = "utf-8-sig"  # UTF-8, with or without its mark
_KNOWN: Final = re.compile(
    r"utf-?8|utf-16(le|be)?|(us-)?ascii|latin-?1|iso-8859-\d{1,2}|windows-125\d|koi8-[ru]|"
    r"shift_jis|euc-(jp|kr)|gb2312|gbk|gb18030|big5"
)
# These names stand for another charset wherever the web is read (WHATWG Encoding, 4.2).
_MEANT: Final = {
    "utf-8": DEFAULT,
    "utf8": DEFAULT,
    "ascii": "windows-1252",
    "us-ascii": "windows-1252",
    "latin1": "windows-1252",
    "latin-1": "windows-1252",
    "iso-8859-1": "windows-1252",
    "iso-8859-9": "windows-1254",
    "gb2312": "gb18030",
    "gbk": "gb18030",
}
_MARKS: Final = (
    (codecs.BOM_UTF8, DEFAULT),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WITHIN: Final = 1024  # bytes of a page in which its charset must stand (HTML, 4.2.5.4)
_NAME: Final = rb"\s*=\s*[\"']?\s*([A-Za-z0-9._:-]{1,40})"
_INSIDE: Final = re.compile(
    rb"<meta\s[^>]{0,300}?charset" + _NAME + rb"|<\?xml\s[^>]{0,100}?encoding" + _NAME,
    re.IGNORECASE,
)


def known_charset(name: str | None) -> str | None:
    """Returns the codec for a charset's name, in whatever case; None if it is none of ours."""
    lower = (name or "").strip().lower()
    if not _KNOWN.fullmatch(lower):
        return None
    codec = _MEANT.get(lower, lower)
    try:
        codecs.lookup(codec)
    except LookupError:  # iso-8859-12 and the like
        return None
    return codec


def declared_charset(body: bytes, header: str | None) -> str | None:
    """Returns the codec of a body: by its HTTP header, by its first bytes, or by its markup.

    None if nothing says a charset that is known.
    """
    if (codec := known_charset(header)) is not None:
        return codec
    for mark, codec in _MARKS:
        if body.startswith(mark):
            return codec
    found = _INSIDE.search(body[:_WITHIN])
    if found is None:
        return None
    name = (found[1] or found[2]).decode("ascii")
    codec = known_charset(name)
    # Whoever could read that in ASCII has no UTF-16 before him.
    return DEFAULT if codec is not None and codec.startswith("utf-16") else codec
