"""Parts of hits and queries that all back ends need: plain texts, usable URLs, ages, hosts. Pure.

host_names(("example.com/blog", "*.a.example", "EXAMPLE.com"), 100) -> ("example.com",)
page_age("2026-11-10T08:00:00Z") -> "November 10, 2026"
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from html import unescape
from typing import Final
from urllib.parse import urlsplit

from ..fetch.spelling import ascii_host
from .base import SearchHit

MAX_TEXT: Final = 10_000  # characters that are kept of one page
_MAX_TITLE: Final = 300
_MAX_URL: Final = 2048
_MAX_AGE: Final = 60
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
# The tags that search engines mark the words of a query with; other angle brackets are text.
_MARKS: Final = re.compile(r"</?(?:strong|b|em|i|mark)>", re.IGNORECASE)
# A reference that stands for no character; Python refuses to read thousands of digits.
_ENDLESS: Final = re.compile(r"&#[0-9]{8,};?")
_UNFIT: Final = re.compile(r"[\x00-\x20\x7f\"<>\\^`{|}]")
_SIGNS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_NO_AGE: Final = frozenset(("", "unknown", "none", "null"))
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def make_hit(url: str | None, title: str | None, text: str | None, age: str | None) -> SearchHit:
    """Makes a hit of what a back end told; its `url` is empty if the hit cannot be used."""
    address = url if url is not None and is_usable(url) else ""
    name = " ".join(_SIGNS.sub("", title or "").split())[:_MAX_TITLE]
    quoted = _SIGNS.sub("", text or "").strip()[:MAX_TEXT]
    return SearchHit(address, name or address, quoted, page_age(age))


def usable(hits: Iterable[SearchHit], most: int) -> list[SearchHit]:
    """Lists the hits that have a URL, each URL once, at most so many."""
    found: dict[str, SearchHit] = {}
    for hit in hits:
        if len(found) == most:  # an answer may have thousands, none of which is made then
            break
        if hit.url:
            found.setdefault(hit.url, hit)
    return list(found.values())


def is_usable(url: str) -> bool:
    """Tells whether a URL leads to a page: http or https, with a host, without a user."""
    if len(url) > _MAX_URL or _UNFIT.search(url):
        return False
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
        )
    except ValueError:
        return False


def plain(text: str | None) -> str:
    """Returns a text of HTML without the marks of search engines, its entities as characters."""
    return unescape(_ENDLESS.sub("\ufffd", _MARKS.sub("", text or "")))


def page_age(age: str | None) -> str | None:
    """Returns the age of a page for people: a timestamp as its day, words as they are."""
    text = " ".join((age or "").split())
    if text.casefold() in _NO_AGE or len(text) > _MAX_AGE:
        return None
    try:
        day = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{_MONTHS[day.month - 1]} {day.day}, {day.year}"


def host_names(domains: Iterable[str], most: int) -> tuple[str, ...]:
    """Returns the plain host names of domains, each once, at most so many; others are left out."""
    hosts = (_host(domain.partition("/")[0]) for domain in domains)
    return tuple(dict.fromkeys(host for host in hosts if host))[:most]


def whole_hosts(domains: Iterable[str], most: int) -> tuple[str, ...]:
    """Returns the host names of domains without a path: those that may be kept out as a whole."""
    return host_names((one for one in domains if not one.partition("/")[2]), most)


def site_words(allowed: Iterable[str], blocked: Iterable[str], room: int) -> str:
    """Returns domains as words of a query, with a blank before them, in so many characters.

    Of allowed domains all have to find room, or none is named: else some were never found.
    """
    wanted = [f"site:{_site(domain)}" for domain in allowed]
    found = f" ({' OR '.join(wanted)})" if len(wanted) > 1 else "".join(f" {one}" for one in wanted)
    if len(found) > room or "site:" in wanted:
        return ""
    for domain in blocked:
        word = f" -site:{_site(domain)}"
        if "*" not in domain and word != " -site:" and len(found) + len(word) <= room:
            found += word
    return found


def _site(domain: str) -> str:
    """Returns the place that `site:` takes, up to a wildcard; empty for what it cannot say."""
    host, _, path = domain.partition("/")
    path = path.partition("*")[0]
    if not _host(host) or not re.fullmatch(r"[A-Za-z0-9._~/-]*", path):
        return ""
    return f"{_host(host)}/{path}".rstrip("/")


def _host(name: str) -> str:
    """Returns a host name as DNS has it; empty for what is none."""
    try:
        host = ascii_host(name)
    except UnicodeError:
        return ""
    return host if _HOST.fullmatch(host) else ""


def cut(text: str, characters: int, *, words: int | None = None) -> str:
    """Cuts a query to so many characters, and words, at a blank if there is one."""
    text = " ".join(text.split())
    if words is not None:
        text = " ".join(text.split(" ")[:words])
    if len(text) <= characters:
        return text
    head = text[: characters + 1].rpartition(" ")[0]
    return head or text[:characters]
