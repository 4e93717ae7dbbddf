r"""The head of a request: from its bytes to its parts.

llhttp checks the syntax (no bare CR, no folded lines, no blank before a colon, one Content-Length
of digits alone, never beside a Transfer-Encoding). It is given one head, whole, up to the empty
line that ends it, so that it can neither begin a second message nor hand the connection over
(Upgrade, CONNECT, HTTP/2). Here is what it leaves open:

- the request line has one blank between its parts and ends in HTTP/1.0 or HTTP/1.1;
- HTTP/1.1 needs exactly one Host (RFC 9112 3.2);
- a body is framed by Content-Length or by `Transfer-Encoding: chunked` and nothing else, and the
  latter not in HTTP/1.0 (RFC 9112 6.1);
- values lose the blanks around them (RFC 9112 5.1); fields of one name are joined by commas, in
  order (RFC 9110 5.3).

`Upgrade` is ignored, as RFC 9110 7.8 allows: the request is served in HTTP/1.1.

    >>> data = b"PUT /a%20b?c HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"
    >>> head = parse_head(data, ConnectionBounds())
    >>> head.path, head.query, head.length
    ('/a b', b'c', 2)
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

import httptools
import msgspec

from .bounds import ConnectionBounds
from .errors import ProtocolError

CHUNKED: Final = -1
_METHODS: Final = {
    name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
}
_METHOD: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,24}(?: |\Z)")
_LINE_BYTES: Final = 40  # of a request line beside its target
_VERSIONS: Final = {b"HTTP/1.1\r": True, b"HTTP/1.0\r": False}
_VERSION: Final = re.compile(rb"HTTP/[0-9.]+\r")
_LENGTH_DIGITS: Final = 18  # more is no length of anything, and may be over 64 bits
_ABSOLUTE: Final = re.compile(rb"https?://[^/?]+", re.IGNORECASE)
# RFC 3986: a registered name, IPv4 or [IPv6], and a port; empty where the target has no authority.
_HOST: Final = re.compile(rb"(?:[A-Za-z0-9._~%!$&'()*+,;=-]*|\[[0-9A-Fa-fv:.]+\])(?::[0-9]*)?")


class Head(msgspec.Struct, frozen=True, gc=False):
    """The head of one request."""

    method: str
    path: str  # without escapes; `*` for OPTIONS of the whole server
    raw_path: bytes
    query: bytes
    headers: dict[bytes, bytes]  # names in lower case
    length: int  # bytes of the body, or CHUNKED
    keep_alive: bool
    modern: bool  # HTTP/1.1, not 1.0

    @property
    def expects_continue(self) -> bool:
        """Tells whether the client waits for 100 before it sends its body."""
        return self.modern and b"expect" in self.headers


class _Fields:
    """Header fields, gathered (llhttp's callback)."""

    __slots__ = ("headers",)

    def __init__(self) -> None:
        self.headers: dict[bytes, bytes] = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        """Takes one field."""
        name, value = name.lower(), value.rstrip(b" \t")
        headers = self.headers
        headers[name] = value if name not in headers else b"%b, %b" % (headers[name], value)


def parse_head(data: bytes, bounds: ConnectionBounds) -> Head:
    """Parses a head that ends with its empty line. Raises `ProtocolError`."""
    method, target, modern = parse_line(data[: data.find(b"\n")], bounds)
    lines = data.count(b"\r\n")
    check_line_ends(data, lines)
    if lines - 2 > bounds.headers:  # the request line, and the empty one
        raise ProtocolError(f"The request has over {bounds.headers} headers.", status=431)
    fields = _Fields()
    try:
        httptools.HttpRequestParser(fields).feed_data(data)
    except httptools.HttpParserUpgrade:
        pass  # `Connection: upgrade`: the head is complete, and goes on like any other
    except httptools.HttpParserInvalidURLError:
        raise ProtocolError("The request target has characters that no URL has.") from None
    except httptools.HttpParserError as error:
        raise ProtocolError(f"The request is not valid HTTP/1.1: {error}.") from None
    headers = fields.headers
    if headers.get(b"expect", b"100-continue").lower() != b"100-continue":
        raise ProtocolError("expect: only 100-continue is known.", status=417)
    _check_host(headers, modern=modern)
    raw_path, query = _split_target(target)
    path = raw_path.decode()
    return Head(
        method,
        unquote(path) if "%" in path else path,
        raw_path,
        query,
        headers,
        _length_of(headers, modern=modern),
        _keep_alive(headers, modern=modern),
        modern,
    )


def check_line_ends(data: bytes | bytearray, lines: int) -> None:
    """Raises `ProtocolError` unless every line feed of `data` is that of one of its `lines`.

    A line that ends in LF alone would hide the end of a head, for others or for us.
    """
    if data.count(b"\n") != lines:
        raise ProtocolError("A line of the request's headers does not end in CRLF.")


def parse_line(line: bytes, bounds: ConnectionBounds) -> tuple[str, bytes, bool]:
    """Splits a request line, without its line feed: method, target, whether it is HTTP/1.1.

    Raises `ProtocolError`.
    """
    parts = line.split(b" ")
    method = _METHODS.get(parts[0])
    if method is None or len(parts) != 3 or parts[2] not in _VERSIONS:  # noqa: PLR2004
        raise _bad_line(line, bounds)
    if len(parts[1]) > bounds.target_bytes:
        raise target_too_long(bounds)
    return method, parts[1], _VERSIONS[parts[2]]


def check_method(data: bytes | bytearray) -> None:
    """Raises `ProtocolError` if no request line begins like this, as far as it has come.

    It tells TLS, SSH and their like: none of them ends a line.
    """
    if not _METHOD.match(data):
        raise ProtocolError("This is no request of HTTP/1.1.")


def longest_line(bounds: ConnectionBounds) -> int:
    """Returns how many bytes a request line may take, its end included."""
    return bounds.target_bytes + _LINE_BYTES


def _bad_line(line: bytes, bounds: ConnectionBounds) -> ProtocolError:
    check_method(line)
    if len(line) >= longest_line(bounds):
        return target_too_long(bounds)
    method, _, rest = line.partition(b" ")
    _, _, version = rest.partition(b" ")
    if version in _VERSIONS and method not in _METHODS:
        known = ", ".join(_METHODS.values())
        return ProtocolError(f"The method is none of those served: {known}.", status=501)
    if _VERSION.fullmatch(version):
        return ProtocolError("Only HTTP/1.1 and HTTP/1.0 are served here.", status=505)
    return ProtocolError("The request line is not that of an HTTP/1.1 request.")


def target_too_long(bounds: ConnectionBounds) -> ProtocolError:
    """Returns the error for a request target over its bound."""
    return ProtocolError(f"The request target is over {bounds.target_bytes} bytes.", status=414)


def _check_host(headers: dict[bytes, bytes], *, modern: bool) -> None:
    host = headers.get(b"host")
    if host is None:
        if modern:
            raise ProtocolError("The Host header is missing: HTTP/1.1 asks for it.")
    elif not _is_host(host):  # two of them are joined by a comma and a blank
        raise ProtocolError("The Host header must be there once, and name a host.")


@lru_cache(maxsize=64)
def _is_host(host: bytes) -> bool:
    return _HOST.fullmatch(host) is not None


def _split_target(target: bytes) -> tuple[bytes, bytes]:
    """Splits any form of the target into path and query. Raises `ProtocolError`."""
    if b"#" in target:
        raise ProtocolError("The request target has a fragment (#).")
    if not target.startswith(b"/") and target != b"*":
        authority = _ABSOLUTE.match(target)
        if authority is None:
            raise ProtocolError("The request target must be a path or an http URL.")
        target = target[authority.end() :]
        if not target.startswith(b"/"):
            target = b"/" + target
    path, _, query = target.partition(b"?")
    return path, query


def _keep_alive(headers: dict[bytes, bytes], *, modern: bool) -> bool:
    """Tells whether the client wants another answer on this connection (RFC 9112 9.3).

    llhttp would say it too, but by `Proxy-Connection` as well, and not once a message has ended.
    """
    connection = headers.get(b"connection")
    if connection is None:
        return modern
    options = [option.strip(b" \t") for option in connection.lower().split(b",")]
    return b"close" not in options and (modern or b"keep-alive" in options)


def _length_of(headers: dict[bytes, bytes], *, modern: bool) -> int:
    coding = headers.get(b"transfer-encoding")
    if coding is not None:
        if not modern:
            raise ProtocolError("Transfer-Encoding is not part of HTTP/1.0.")
        if coding.lower() != b"chunked":
            raise ProtocolError("transfer-encoding: only chunked is supported.", status=501)
        return CHUNKED
    length = headers.get(b"content-length")
    if length is None:
        return 0
    if len(length) > _LENGTH_DIGITS:
        raise ProtocolError("content-length: this is no length.")
    return int(length)
