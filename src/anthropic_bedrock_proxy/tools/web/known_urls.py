"""The URLs that a conversation has brought up: others are not fetched for a model. Pure.

Else a model could be talked into sending what it knows to anybody, in a URL of its own making. So a
URL counts only as it stands in a user's message, in a result of a client's tool, or in a result of
web search or web fetch, and it counts whole: nothing longer, nothing shorter, no other query. Two
spellings of one URL are one: letters of scheme and host, the default port, a fragment, and what is
percent-encoded because it is not ASCII. A user may also name a host without a scheme.

What is read is bounded, the newest first: a long conversation forgets its oldest URLs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Any, Final
from urllib.parse import urlsplit

from ...fetch.spelling import DEFAULT_PORTS, ascii_host, percent_encoded
from ...protocol.raw import Json
from .url_sources import URLSources
from .versions import FETCH, SEARCH

MAX_TEXT: Final = 4_000_000  # characters that are looked through
MAX_URLS: Final = 20_000  # that are looked at, in whatever spelling
_MAX_URL: Final = 1000  # characters; what may be fetched has fewer
MAX_FOREIGN: Final = 500  # hosts that are not ASCII: each may take a millisecond
_FOREIGN: Final = re.compile(r"https?://[^/?#]*[^\x00-\x7f][^/?#]*", re.IGNORECASE)
_URL: Final = re.compile(r"https?://[^\s<>\"`|\\^{}\[\]\x00-\x1f\x7f]+", re.IGNORECASE)
# A host without a scheme, as people write it.
_BARE: Final = re.compile(
    r"(?<![\w@/.:%=&?-])(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,24}(?![\w@-])"
    r"(?:/[^\s<>\"`|\\^{}\[\]\x00-\x1f\x7f]*)?",
    re.IGNORECASE,
)
# Where a URL may end in the middle of what looks like one: a quote, or another script.
_ENDS: Final = re.compile(r"['\u0080-\U0010ffff]")
_TRAILING: Final = (
    ".,;:!?*_~'\u2019\u201d\u00bb\u2026"
    "\u3002\uff0c\u3001\uff1b\uff1a\uff01\uff1f\uff09\u300d\u300f\u3011\u300b"
)
_RESULTS: Final = {f"{name}_tool_result": name for name in (SEARCH, FETCH)}


def normalized(url: str) -> str | None:
    """Returns the one spelling of a URL; None for what is no http or https URL."""
    try:
        parts = urlsplit(url.strip())
        if parts.scheme not in DEFAULT_PORTS or "@" in parts.netloc:
            return None
        host, port = ascii_host(parts.hostname or ""), parts.port
        rest = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        rest = percent_encoded(rest)
    except ValueError:
        return None
    if ":" in host:
        host = f"[{host}]"
    shown = "" if port is None or port == DEFAULT_PORTS[parts.scheme] else f":{port}"
    return f"{parts.scheme}://{host}{shown}{rest}"


class KnownURLs:
    """The URLs of one conversation that may be fetched."""

    def __init__(self, sources: URLSources) -> None:
        self._sources = sources
        self._urls: set[str] = set()
        self._left = MAX_TEXT
        self._urls_left = MAX_URLS
        self._foreign: set[str] = set()

    def __contains__(self, url: str) -> bool:
        return normalized(url) in self._urls

    def add_messages(self, messages: list[Any]) -> None:
        """Adds those of a history. Raises any of MISSHAPEN if it has another form."""
        names = {
            block["id"]: block["name"]
            for message in messages
            if message["role"] == "assistant"
            for block in _blocks(message)
            if block["type"] == "tool_use"
        }
        for message in reversed(messages):
            for block in reversed(_blocks(message)):
                if message["role"] == "assistant":
                    if (name := _RESULTS.get(block["type"])) is not None:
                        self.add_result(name, block["content"])
                elif message["role"] == "user":
                    self._add_given(block, names)

    def add_result(self, name: str, content: Any) -> None:
        """Adds those of a result of web search or web fetch; of any other tool none."""
        if not self._sources.server_tools.takes(name):
            return
        if name == SEARCH and isinstance(content, list):
            for hit in content:
                self._add(str(hit.get("url")))
        elif name == FETCH and isinstance(content, dict) and "url" in content:
            self._add(str(content["url"]))
            source = content["content"]["source"]
            if source["type"] == "text":
                self._read(str(source["data"]))

    def _add_given(self, block: Json, names: dict[str, str]) -> None:
        if block["type"] == "tool_result":
            if self._sources.client_tools.takes(names.get(block["tool_use_id"], "")):
                for text in _texts(block.get("content")):
                    self._read(text)
        elif self._sources.user_input:
            for text in _texts(block):
                self._read(text, by_user=True)

    def _read(self, text: str, *, by_user: bool = False) -> None:
        text = text[: self._left]
        self._left -= len(text)
        if "://" in text and self._urls_left:
            for found in _URL.finditer(text):
                for url in _spellings(found[0]):
                    self._add(url)
                if not self._urls_left:
                    return
        if by_user:
            for found in _BARE.finditer(text):
                for scheme in DEFAULT_PORTS:
                    self._add(f"{scheme}://{_trimmed(found[0])}")
                if not self._urls_left:
                    return

    def _add(self, url: str) -> None:
        if self._urls_left and len(url) <= _MAX_URL:
            self._urls_left -= 1
            if (foreign := _FOREIGN.match(url)) is not None:
                if len(self._foreign) == MAX_FOREIGN and foreign[0] not in self._foreign:
                    return
                self._foreign.add(foreign[0])
            if (spelled := normalized(url)) is not None:
                self._urls.add(spelled)


def _blocks(message: Json) -> list[Json]:
    content = message["content"]
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    blocks: list[Json] = content
    return blocks


def _texts(tree: Any) -> Iterator[str]:
    """Yields the strings of a tree, but for base64."""
    rest = [tree]
    while rest:
        one = rest.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, list):
            rest += one
        elif isinstance(one, dict):
            rest += () if one.get("type") == "base64" else one.values()


def _spellings(found: str) -> Iterator[str]:
    """Yields the URLs that a piece of text may mean."""
    if len(found) > 2 * _MAX_URL:
        return
    for url in {found, unescape(found)}:
        yield _trimmed(url)
        if (end := _ENDS.search(url)) is not None:
            yield _trimmed(url[: end.start()])


def _trimmed(url: str) -> str:
    """Leaves out what belongs to the sentence around a URL."""
    end, closing = len(url), url.count(")") - url.count("(")
    while end:
        last = url[end - 1]
        if last == ")" and closing > 0:
            closing -= 1
        elif last not in _TRAILING:
            break
        end -= 1
    return url[:end]
