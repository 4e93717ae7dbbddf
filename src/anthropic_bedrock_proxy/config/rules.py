"""Rules for the texts of settings; `allowed` is a rule's description in errors and docs.

Patterns are compiled when a value meets them: defaults never do, so most starts compile none.
"""

from __future__ import annotations

import os
import re

from ..models.geography import PROFILE_PREFIXES, REGIONAL
from .schema import Rule

_NAME = r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])"
_HOST = rf"{_NAME}(?::(?P<port>[0-9]{{1,5}}))?"
_ENDPOINT = rf"(?i:(?P<origin>https?://{_HOST})/?)"
_PROXY = rf"(?i:(?P<scheme>http://)?(?P<authority>(?:[^\s/?#@]+@)?{_HOST})/?)"
_HTTPS = rf"(?i:https)://{_HOST}(?:/[^\s#]*)?"
_SERVERS = rf"(?:[^\s/?#@]*@)?{_HOST}"
_OTHERS = rf"(?:,{_NAME}(?::[0-9]{{1,5}})?)*"
_QUERY = r"(?:\?[^\s#]*)?"
_REDIS = (
    rf"(?i:rediss?://{_SERVERS}(?:/[0-9]*)?{_QUERY})",
    rf"(?i:rediss?\+sentinel://{_SERVERS}{_OTHERS}/[^\s/?#]+(?:/[0-9]*)?{_QUERY})",
    rf"(?i:rediss?\+cluster://{_SERVERS}{_OTHERS}/?0?{_QUERY})",
)
_REGION = r"[a-z]{2,}(?:-[a-z]+)+-[0-9]{1,2}"
_HEADER = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # RFC 9110 5.6.2, token
_ADDRESS = r"[^\s/@]+"
_MEMORY = r"[0-9]+[bkmgBKMG]?"
_TABLE = r"[A-Za-z0-9_.-]{3,255}"
_GEOGRAPHIES = (PROFILE_PREFIXES[0], REGIONAL, *PROFILE_PREFIXES[1:])
_SQLITE = r"sqlite:///[^?#]+"
_UNIX = r"unix:///\S+"
_LABEL = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}"
_SEARCHERS = ("agentcore-api", "agentcore", "tavily", "brave", "exa", "searxng")
_SEARCH_URL = rf"(?i:https?)://{_HOST}(?:/[A-Za-z0-9._~/-]*)?"
_SERVED = "v1|admin|api|health|metrics|ready|liveness"
_MAX_PORT = 65535
_SEAL_KEY = 32  # characters of the shortest


def _pattern(allowed: str, pattern: str) -> Rule:
    return Rule(allowed, lambda text: text if re.fullmatch(pattern, text) else None)


def _with_port(pattern: str, text: str) -> re.Match[str] | None:
    """Returns the match, unless its port is out of range."""
    match = re.fullmatch(pattern, text)
    if match is None or not 0 < int(match["port"] or 1) <= _MAX_PORT:
        return None
    return match


def _endpoint(text: str) -> str | None:
    match = _with_port(_ENDPOINT, text)
    return match["origin"] if match else None


def _proxy(text: str) -> str | None:
    match = _with_port(_PROXY, text)
    # Like curl, a bare host:port means http.
    return (match["scheme"] or "http://") + match["authority"] if match else None


def _store(text: str) -> str | None:
    if text in {"dynamodb://", "memory://"}:
        return text
    if text.endswith(("/", ":memory:")):
        return None
    return text if re.fullmatch(_SQLITE, text) else None


def _limits(text: str) -> str | None:
    known = text == "memory://" or any(_with_port(pattern, text) for pattern in _REDIS)
    return text if known else None


def _seal_keys(text: str) -> str | None:
    keys = [key.strip() for key in text.split(",")]
    return ",".join(keys) if min(map(len, keys)) >= _SEAL_KEY else None


def _executors(text: str) -> str | None:
    urls = [url.strip() for url in text.split(",")]
    if all(re.fullmatch(_UNIX, url) or _with_port(_ENDPOINT, url) for url in urls):
        return ",".join(urls)
    return None


def _searchers(text: str) -> str | None:
    names = [name.strip().lower() for name in text.split(",")]
    if names == ["auto"] or (set(names) <= {*_SEARCHERS} and len(set(names)) == len(names)):
        return ",".join(names)
    return None


def by_searcher(text: str) -> dict[str, str]:
    """Splits `tavily=a,brave=b` by its names; a text without names stands under "".

    >>> by_searcher("tavily=a, brave=b")
    {'tavily': 'a', 'brave': 'b'}
    """
    parts = [part.strip().partition("=") for part in text.split(",")]
    if all(name in _SEARCHERS and value for name, _, value in parts):
        return {name: value.strip() for name, _, value in parts}
    return {"": text}


def _search_keys(text: str) -> str | None:
    named = by_searcher(text)
    if "" not in named:
        return text if re.fullmatch(r"[!-~]+(?:, *[!-~]+)*", text) else None
    # A list, or a name that nobody has, would be taken for one long key.
    odd = "," in text or re.match(r"[a-z-]{2,20}=(?!=*$)", text)
    return text if not odd and re.fullmatch(r"[!-~]+", text) else None


def _search_urls(text: str) -> str | None:
    good = all(_with_port(_SEARCH_URL, url) for url in by_searcher(text).values())
    return text if good else None


def _usd(text: str) -> str | None:
    from decimal import Decimal, InvalidOperation  # noqa: PLC0415  # most never set an amount

    from ..money import nano  # noqa: PLC0415  # same

    try:
        nano(Decimal(text))
    except (InvalidOperation, ValueError):
        return None
    return text


def _header(text: str) -> str | None:
    return text.lower() if re.fullmatch(_HEADER, text) else None


def _listen(text: str) -> str | None:
    if re.fullmatch(rf"\[[0-9A-Fa-f:.]+(?:%{_ADDRESS})?\]", text):
        return text[1:-1]  # as in URLs
    return text if re.fullmatch(rf"unix:///\S+|{_ADDRESS}", text) else None


def _existing(text: str) -> str | None:
    # Not Path.exists, which raises where a parent directory may not be searched.
    return text if os.path.exists(text) else None  # noqa: PTH110  # see above


LISTEN = Rule("a host name, an IP address or unix:///PATH", _listen)
# Characters that a header carries unchanged (RFC 9110 5.5); outer blanks are cut before.
TOKEN = Rule(
    "letters, digits and signs of ASCII, without blanks",
    lambda text: text if re.fullmatch(r"[!-~]+", text) else None,
    hides=True,
)
KEY = _pattern("letters, digits, signs and inner blanks of ASCII", r"[ -~]+")
MODE = _pattern("three or four octal digits, such as 0660", r"0?[0-7]{3}")
ENDPOINT = Rule("http:// or https://, a host and perhaps a port, without a path", _endpoint)
HTTPS = _pattern("https://, a host, and perhaps a port and a path", _HTTPS)
PROXY = Rule("http://[USER:PASSWORD@]HOST:PORT", _proxy)
REGION = _pattern("the name of an AWS region, such as eu-central-1", _REGION)
HEADER = Rule("the name of an HTTP header", _header)
GEOGRAPHY = Rule(
    f"{', '.join(_GEOGRAPHIES[:-1])} or {_GEOGRAPHIES[-1]}",
    lambda text: text if text in _GEOGRAPHIES else None,
)
MEMORY = _pattern("a size such as 256m or 1g", _MEMORY)
TABLE = _pattern("3 to 255 letters, digits, `_`, `-` or `.`", _TABLE)
STORE = Rule("sqlite:///PATH, dynamodb:// or memory://", _store)
LIMITS = Rule(
    "memory://, redis://HOST:PORT/DB, redis+sentinel://HOST:PORT,HOST:PORT/NAME/DB or "
    "redis+cluster://HOST:PORT; rediss for TLS",
    _limits,
)
PAGE = _pattern(
    "a path; not below /v1, /admin, /api, /health, /metrics, /ready or /liveness",
    rf"(?!/(?:{_SERVED})(?:/|$))(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)+",
)
EXISTING_PATH = Rule("the path of a file that exists", _existing)
EXECUTORS = Rule("unix:///PATH or http://HOST:PORT; several with commas between", _executors)
SEAL_KEYS = Rule(
    "texts of at least 32 characters each, separated by commas", _seal_keys, hides=True
)
SEARCHERS = Rule(f"auto, or of {', '.join(_SEARCHERS)} some with commas between", _searchers)
SEARCH_KEYS = Rule(
    "a key of letters, digits and signs of ASCII without blanks, or NAME=KEY with commas between",
    _search_keys,
    hides=True,
)
SEARCH_URLS = Rule(
    "http:// or https://, a host, and perhaps a port and a path, or NAME=URL with commas between",
    _search_urls,
)
USD = Rule("an amount of USD such as 0.007, with up to nine digits behind the point", _usd)
FOLDER = _pattern("the path of a folder, from the root", r"(?:/[A-Za-z0-9_.-]+)+")
LABEL = _pattern("1 to 63 letters, digits, `_`, `-` or `.`", _LABEL)
