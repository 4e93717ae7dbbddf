"""HTML to Markdown, and bytes to text. Runs in the child process only; imports lxml and others.

trafilatura finds the main text of a page; where it finds none, or the page is too large for it,
the page's whole text is taken, by lxml.
"""

from __future__ import annotations

import re
from typing import Any, Final

from ..charset import DEFAULT, declared_charset
from .frames import MAX_TEXT

HTML: Final = frozenset(("text/html", "application/xhtml+xml"))
MAX_MARKUP: Final = 1_500_000  # characters: so much takes trafilatura two or three seconds
MAX_TITLE: Final = 300  # characters
_SAMPLE: Final = 32 * 1024  # bytes that a charset is guessed from
_GUESSED: Final = [
    *("windows-1252", "windows-1251", "windows-1253", "koi8-r"),
    *("shift_jis", "euc-jp", "euc-kr", "gb18030", "big5"),
]
_HIDDEN: Final = ("script", "style", "noscript", "template", "svg", "iframe", "object", "title")
_BLOCKS: Final = frozenset(
    (
        *("address", "article", "aside", "blockquote", "br", "dd", "div", "dl", "dt", "figure"),
        *("footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main"),
        *("nav", "ol", "option", "p", "pre", "section", "table", "td", "th", "tr", "ul"),
    )
)
_BLANKS: Final = re.compile(r"[ \t\r\f\v]+")
_BREAKS: Final = re.compile(r" ?\n[ \n]*")


class SlowPageError(BaseException):
    """The main text of a page takes too long to find. trafilatura must not catch it."""


def decode_body(body: bytes, header: str | None) -> str | None:
    """Decodes a body, whose server named the charset `header`; None if it is no text."""
    codec = declared_charset(body, header)
    if codec is None:
        try:
            text = body.decode(DEFAULT)
        except UnicodeDecodeError:
            text = body.decode(_guess(body), "replace")
    else:
        text = body.decode(codec, "replace")
    return None if "\0" in text else text


def _guess(body: bytes) -> str:
    try:
        from charset_normalizer import from_bytes  # noqa: PLC0415  # with trafilatura
    except ImportError:
        return "windows-1252"
    best = from_bytes(body[:_SAMPLE], cp_isolation=_GUESSED).best()
    return "windows-1252" if best is None else best.encoding


def read_html(markup: str, url: str) -> tuple[str | None, str]:
    """Returns title and text of a page; links are absolute in Markdown.

    Raises ImportError without the packages, MemoryError, and whatever a page makes lxml raise.
    """
    tree = _parse(markup)
    if tree is None:
        return None, ""
    title = _title(tree)
    text = _main_text(tree, url) if len(markup) <= MAX_MARKUP else None
    if not text:
        fresh = _parse(markup)  # the other may have been changed
        text = "" if fresh is None else plain_text(fresh)
    return title, text[:MAX_TEXT]


def _parse(markup: str) -> Any:
    from lxml import etree, html  # noqa: PLC0415  # so that texts are read without them

    parser = html.HTMLParser(
        encoding="utf-8", remove_comments=True, remove_pis=True, collect_ids=False, no_network=True
    )
    try:
        return html.document_fromstring(markup.encode("utf-8", "replace"), parser=parser)
    except etree.XMLSyntaxError:  # libxml2 goes over everything else, but says no more of it
        raise MemoryError from None
    except (etree.ParserError, ValueError):  # an empty document
        return None


def _title(tree: Any) -> str | None:
    for path in (
        "/html/head/title[1]//text()",
        "(//meta[@property='og:title'])[1]/@content",
        "(//h1)[1]//text()",
    ):
        if title := " ".join("".join(tree.xpath(path)).split())[:MAX_TITLE]:
            return title
    return None


def _main_text(tree: Any, url: str) -> str | None:
    from trafilatura import extract  # noqa: PLC0415  # half a second, and HTML only

    try:
        text: str | None = extract(
            tree,
            url=url,
            output_format="markdown",
            include_links=True,
            include_tables=True,
            include_formatting=True,
            include_comments=False,
            favor_recall=True,
        )
    except (MemoryError, ImportError):
        raise
    except (Exception, SlowPageError):  # noqa: BLE001  # a page that it cannot take
        return None
    return text


def plain_text(tree: Any) -> str:
    """Returns all text of a tree, a line for each block. Does not recurse: trees may be deep."""
    parts: list[str] = []
    hidden: Any = None
    for event, element in _walk(tree):
        name = element.tag if isinstance(element.tag, str) else ""
        if event == "start":
            if hidden is None and (not name or name in _HIDDEN):
                hidden = element
            if hidden is None:
                parts += ("\n" if name in _BLOCKS else "", element.text or "")
        else:
            if hidden is element:
                hidden = None
            if hidden is None:
                parts += ("\n" if name in _BLOCKS else "", element.tail or "")
    text = _BLANKS.sub(" ", "".join(parts))
    return _BREAKS.sub("\n", text).strip()


def _walk(tree: Any) -> Any:
    from lxml import etree  # noqa: PLC0415  # as above

    return etree.iterwalk(tree, events=("start", "end", "comment", "pi"))
