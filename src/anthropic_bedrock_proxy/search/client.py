"""HTTP to one search service: a request, its whole answer within a time and a size, or an error.

Nothing is sent twice, and no redirect is followed: where a service is, is the operator's word.
Reasons of errors name neither addresses nor keys nor what was asked: anybody may see them in
`/health/web-search`.
"""

from __future__ import annotations

import os
from time import monotonic
from typing import Final, TypeVar

import msgspec

from .. import __version__
from ..aws.connect import Endpoint
from ..aws.http import ConnectError, Pool, TransportError, TransportTimeoutError
from .base import SearchError, too_slow

MAX_BYTES: Final = 2 * 1024 * 1024
_T = TypeVar("_T")
_OK: Final = 200
_REDIRECTS: Final = range(300, 400)
_BAD_REQUEST: Final = frozenset((400, 422))
_DENIED: Final = frozenset((401, 403))
_PAYMENT: Final = frozenset((402, 432, 433))  # the last two are Tavily's: plan, and pay-as-you-go
_NOT_FOUND: Final = 404
_TOO_LARGE: Final = frozenset((413, 414, 431))
_TOO_MANY: Final = 429
_MEND: Final = "let this machine reach it, or lead elsewhere by WEB_SEARCH_URL"


class SearchAnswer(msgspec.Struct, frozen=True):
    """The whole answer of a search service."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


class SearchClient:
    """Connections to one search service. Belongs to one event loop."""

    def __init__(
        self,
        pool: Pool,
        endpoint: Endpoint,
        *,
        timeout_seconds: float = 10.0,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        """`timeout_seconds` bounds one request with its answer, `max_bytes` the answer."""
        self._pool = pool
        self.endpoint = endpoint
        self._seconds = timeout_seconds
        self._max_bytes = max_bytes

    async def get(self, path: str, headers: tuple[tuple[str, str], ...] = ()) -> SearchAnswer:
        """Asks for a path, which may have a query. Raises `SearchError`."""
        return await self._send("GET", path, (("host", self.endpoint.authority), *headers), b"")

    async def post(
        self, path: str, document: object, headers: tuple[tuple[str, str], ...] = ()
    ) -> SearchAnswer:
        """Sends a document as JSON. Raises `SearchError`."""
        own = (("host", self.endpoint.authority), ("content-type", "application/json"))
        return await self._send("POST", path, (*own, *headers), msgspec.json.encode(document))

    async def post_signed(
        self, path: str, body: bytes, signed: str, headers: tuple[tuple[str, str], ...] = ()
    ) -> SearchAnswer:
        """Sends a body with the header lines that its signer made. Raises `SearchError`."""
        return await self._send("POST", path, headers, body, signed)

    async def close(self) -> None:
        """Drops the connections."""
        await self._pool.close()

    async def _send(
        self,
        method: str,
        path: str,
        headers: tuple[tuple[str, str], ...],
        body: bytes,
        signed: str = "",
    ) -> SearchAnswer:
        lines = dict((("accept", "application/json"), *headers))
        head = (
            f"{method} {path} HTTP/1.1\r\n{signed}"
            + "".join([f"{name}: {value}\r\n" for name, value in lines.items()])
            + f"user-agent: anthropic-bedrock-proxy/{__version__}\r\n"
            f"accept-encoding: identity\r\ncontent-length: {len(body)}\r\n\r\n"
        ).encode("latin-1")
        deadline = monotonic() + self._seconds
        try:
            response = await self._pool.request(head, body, self._seconds)
            try:
                left = max(0.0, deadline - monotonic())
                answer = await response.read_all(left, deadline=deadline, limit=self._max_bytes)
            finally:
                response.close()
        except TransportError as error:
            raise SearchError("unavailable", self._words(error)) from error
        return SearchAnswer(response.status, response.headers, answer)

    def _words(self, error: TransportError) -> str:
        if isinstance(error, TransportTimeoutError):
            return too_slow(self._seconds)
        if isinstance(error, ConnectError):
            return f"cannot connect ({_cause(error)}): {_MEND}"
        if "over" in str(error) and "bytes" in str(error):
            return f"the answer is over {self._max_bytes} bytes"
        return "the connection was cut before the answer had ended"


def _cause(error: ConnectError) -> str:
    if error.lasting:
        return error.lasting
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.errno is not None and cause.errno > 0:
        return os.strerror(cause.errno)
    return "no connection in time" if "within" in str(error) else "no connection"


def check_status(answer: SearchAnswer, *, denied: str) -> None:
    """Raises `SearchError` unless the status is 200; `denied` is the mend of 401 and 403."""
    status = answer.status
    if status == _OK:
        return
    code = f"HTTP {status}"
    if status == _TOO_MANY:
        raise SearchError("too_many_requests", f"it allows no more searches now ({code})")
    if status in _DENIED:
        raise SearchError("unavailable", f"it refuses us ({code}): {denied}")
    if status in _PAYMENT:
        raise SearchError("unavailable", f"the plan there is used up ({code}): raise it there")
    if status in _TOO_LARGE:
        raise SearchError("query_too_long", f"the query is too long for it ({code})")
    if status in _BAD_REQUEST:
        raise SearchError("unavailable", f"it does not take the request ({code})")
    if status in _REDIRECTS or status == _NOT_FOUND:
        raise SearchError("unavailable", f"it is not there ({code}): correct WEB_SEARCH_URL")
    raise SearchError("unavailable", f"it failed ({code})")


def decode(body: bytes, shape: type[_T]) -> _T:
    """Decodes an answer of this shape. Raises `SearchError` for anything else."""
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as error:
        raise SearchError("unavailable", "the answer has not the form that it has there") from error
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise SearchError("unavailable", "the answer is not JSON") from error
