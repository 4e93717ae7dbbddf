r"""The head of a request: from bytes to its parts, bounded while it comes.

llhttp checks the syntax (no bare CR or LF, no folded lines, no blank before a colon, one
Content-Length of digits alone, never beside a Transfer-Encoding). It is given nothing but heads, up
to the empty line that ends one, so that it can neither begin a second message nor hand the
connection over (Upgrade, CONNECT, HTTP/2). Here is what it leaves open:

- the request line has one blank between its parts and ends in HTTP/1.0 or HTTP/1.1;
- HTTP/1.1 needs exactly one Host (RFC 9112 3.2);
- a body is framed by Content-Length or by `Transfer-Encoding: chunked` and nothing else, and the
  latter not in HTTP/1.0 (RFC 9112 6.1);
- values lose the blanks around them (RFC 9112 5.1); fields of one name are joined by commas, in
  order (RFC 9110 5.3).

`Upgrade` is ignored, as RFC 9110 7.8 allows: the request is served in HTTP/1.1.

    >>> reader = HeadReader(Bounds())
    >>> reader.receive(b"POST /v1/a%20b?c HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
    57
    >>> reader.head.path, reader.head.query, reader.head.length
    ('/v1/a b', b'c', 2)
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

import httptools
import msgspec

from .bounds import Bounds
from .errors import ProtocolError

CHUNKED: Final = -1
_END: Final = b"\r\n\r\n"
_METHODS: Final = frozenset((b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"))
_METHOD: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,24}(?: |\Z)")  # as far as it has come
_LINE_BYTES: Final = 40  # of a request line beside its target
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
        """Whether the client waits for 100 before it sends its body."""
        return self.modern and b"expect" in self.headers


class HeadReader:
    """Reads one head. `started` tells whether any byte of it has come; `head` is it, once whole."""

    __slots__ = (
        "_bounds",
        "_fields",
        "_held",
        "_line_checked",
        "_parser",
        "_target",
        "head",
    )

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._reset()

    def _reset(self) -> None:
        self.head: Head | None = None
        self._held = bytearray()  # what has come of a head that has not ended
        self._line_checked = False
        self._parser: httptools.HttpRequestParser | None = None
        self._fields: list[tuple[bytes, bytes]] = []
        self._target = b""

    @property
    def started(self) -> bool:
        """Whether a head has begun."""
        return bool(self._held)

    def clear(self) -> None:
        """Begins anew, and lets go of the parser, which refers to this reader."""
        self._reset()

    def receive(self, data: bytes) -> int:
        """Takes what belongs to the head and returns how many bytes that was.

        `head` is set if it ended there. Raises `ProtocolError`, the same however the head was cut:
        but for its lines as such it is judged when all of it is there.
        """
        held, skipped = self._held, 0
        before = len(held)
        if not before:
            if data[:1] in (b"\r", b"\n"):
                # Blank lines before a request are to be passed over (RFC 9112 2.2).
                skipped = len(data)
                data = data.lstrip(b"\r\n")
                skipped -= len(data)
            if not data:
                return skipped
            end = data.find(_END) + len(_END)
            if end >= len(_END):
                self._read(data[:end], 0)
                return skipped + end
        held += data
        end = held.find(_END, max(0, before - len(_END) + 1)) + len(_END)
        if end >= len(_END):
            self._read(bytes(held[:end]), before)
            return skipped + end - before
        self._check(held, before)
        return skipped + len(data)

    def _read(self, head: bytes, begin: int) -> None:
        self._check(head, begin)
        self._parse(head)
        self.head = self._finish()
        self._parser = None

    def _check(self, head: bytes | bytearray, begin: int) -> None:
        """What need not wait for the end of the head. What is before `begin` was checked."""
        if not self._line_checked:
            self._check_line(head)
        bound = self._bounds.head_bytes
        # Lines that end in LF alone would hide the end of a head, for others or for us.
        if head.count(b"\n", begin, bound) != head.count(b"\r\n", max(0, begin - 1), bound):
            raise ProtocolError("A line of the request's headers does not end in CRLF.")
        if len(head) > bound:
            raise ProtocolError(f"The request's headers are over {bound} bytes.", status=431)

    def _check_line(self, head: bytes | bytearray) -> None:
        """The request line, before llhttp takes it for something else. Raises `ProtocolError`."""
        if not _METHOD.match(head):  # also TLS, SSH and their like: none of them ends a line
            raise ProtocolError("This is no request of HTTP/1.1.")
        longest = self._bounds.target_bytes + _LINE_BYTES
        end = head.find(b"\n", 0, longest)
        if end < 0:
            if len(head) >= longest:
                raise self._target_too_long()
            return
        self._line_checked = True
        method, _, rest = bytes(head[:end]).partition(b" ")
        target, _, version = rest.partition(b" ")
        if version not in (b"HTTP/1.1\r", b"HTTP/1.0\r"):
            raise _bad_line(version)
        if method not in _METHODS:
            known = ", ".join(name.decode() for name in sorted(_METHODS))
            raise ProtocolError(f"The method is none of those served: {known}.", status=501)
        if len(target) > self._bounds.target_bytes:
            raise self._target_too_long()

    def _parse(self, head: bytes) -> None:
        parser = self._parser = httptools.HttpRequestParser(self)
        try:
            parser.feed_data(head)
        except httptools.HttpParserUpgrade:
            pass  # `Connection: upgrade`: the head is complete, and goes on like any other
        except httptools.HttpParserInvalidURLError:
            raise ProtocolError("The request target has characters that no URL has.") from None
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, ProtocolError):
                raise error.__context__ from None
            raise ProtocolError(f"The request is not valid HTTP/1.1: {error}.") from None

    def on_url(self, url: bytes) -> None:
        """Takes the target, or a further part of it (llhttp)."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Takes a field (llhttp, which wraps what is raised here)."""
        if len(self._fields) == self._bounds.headers:
            raise ProtocolError(f"The request has over {self._bounds.headers} headers.", status=431)
        self._fields.append((name, value))

    def _finish(self) -> Head:
        parser, fields = self._parser, self._fields
        assert parser is not None  # noqa: S101  # it was fed
        headers: dict[bytes, bytes] = {}
        for name, value in fields:
            name = name.lower()  # noqa: PLW2901  # the hot path
            value = value.rstrip(b" \t")  # noqa: PLW2901
            headers[name] = value if name not in headers else b"%b, %b" % (headers[name], value)
        modern = parser.get_http_version() == "1.1"
        if headers.get(b"expect", b"100-continue").lower() != b"100-continue":
            raise ProtocolError("expect: only 100-continue is known.", status=417)
        raw_path, query = self._split_target(headers, modern=modern)
        return Head(
            parser.get_method().decode(),
            unquote(raw_path.decode()) if b"%" in raw_path else raw_path.decode(),
            raw_path,
            query,
            headers,
            _length_of(headers, modern=modern),
            _keep_alive(headers, modern=modern),
            modern,
        )

    def _split_target(self, headers: dict[bytes, bytes], *, modern: bool) -> tuple[bytes, bytes]:
        """Path and query of any form of the target. Raises `ProtocolError`."""
        host = headers.get(b"host")
        if host is None:
            if modern:
                raise ProtocolError("The Host header is missing: HTTP/1.1 asks for it.")
        elif not _HOST.fullmatch(host):  # two of them are joined by a comma and a blank
            raise ProtocolError("The Host header must be there once, and name a host.")
        target = self._target
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

    def _target_too_long(self) -> ProtocolError:
        bound = self._bounds.target_bytes
        return ProtocolError(f"The request target is over {bound} bytes.", status=414)


def _bad_line(version: bytes) -> ProtocolError:
    if re.fullmatch(rb"HTTP/[0-9.]+\r", version):
        return ProtocolError("Only HTTP/1.1 and HTTP/1.0 are served here.", status=505)
    return ProtocolError("The request line is not that of an HTTP/1.1 request.")


def _keep_alive(headers: dict[bytes, bytes], *, modern: bool) -> bool:
    """Whether the client wants another answer on this connection (RFC 9112 9.3).

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
