"""The application: routes by table, errors in one shape, one log line per answer.

No framework on purpose: nothing but this is imported or run for /v1/messages. Every answer carries
`request-id`; every error is Anthropic's document, for unknown paths and methods too, and for what
was no request at all (`refuse`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from time import monotonic, time
from typing import Any, Final

from ..errors import APIError, MethodNotAllowedError, NotFoundError, ProxyError, UnavailableError
from ..gateway.answer.relay import error_event
from ..gateway.answer.reply import Headers, Reply, StreamReply
from ..gateway.exchange import Exchange
from ..protocol.answer import sse
from .cors import CORS
from .server.errors import ClientGoneError
from .server.request import Request as ServerRequest

Request = ServerRequest[Exchange]
Handler = Callable[[Request], Awaitable[Reply | StreamReply]]
AccessLog = Callable[[Any, Exchange], None]  # gets method, path and client as a `Request` has them

_SHUTTING_DOWN: Final = "The proxy is shutting down."
_log = logging.getLogger("anthropic_bedrock_proxy.http")
_STREAM_LINES: Final = (
    b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    b"x-accel-buffering: no\r\n"  # nginx would hold events back
    b"request-id: %b\r\n%b%b"
)
_COMMENT: Final = b":\n\n"  # of server-sent events: whoever reads them passes over it
_NO_VALUE: Final = re.compile(rb"[\x00\r\n]")


class Application:
    """Serves the routes; `draining` is for whoever stops it."""

    def __init__(
        self,
        routes: Mapping[str, Mapping[str, Handler]],
        prefixes: Mapping[str, Mapping[str, Handler]],
        *,
        access_log: AccessLog | None = None,
        cors: CORS | None = None,
    ) -> None:
        """`routes` by exact path, then `prefixes`; each maps methods to handlers.

        `cors` lets pages of other origins read the answers; None lets none.
        """
        self._routes = routes
        self._prefixes = prefixes
        self._access_log = access_log
        self._cors = cors
        # Of this process alone: applications are made after the fork.
        self._id_prefix = os.urandom(6).hex()
        self._id_count = 0
        self.draining = False  # /ready says no

    async def serve(self, request: Request) -> None:
        """Answers one request."""
        exchange = request.exchange = self._new_exchange()
        try:
            reply = await self._answer(request, exchange)
            if isinstance(reply, Reply):
                self._send_reply(request, exchange, reply)
            else:
                await self._send_stream(request, exchange, reply)
        except ClientGoneError:
            exchange.client_gone = True
        except asyncio.CancelledError:
            if not exchange.client_gone:
                raise
        finally:
            if self._access_log is not None:
                self._access_log(request, exchange)

    def left(self, request: Request) -> None:
        """The client of a request has gone; its task is cancelled next."""
        exchange: Exchange | None = getattr(request, "exchange", None)
        if exchange is not None:  # else its task had not begun
            exchange.client_gone = True

    def refuse(self, error: ProxyError, client: str) -> tuple[int, bytes, bytes]:
        """The answer to what was no request, as status, header lines and body."""
        exchange = self._new_exchange()
        reply = error_reply(exchange, error)
        exchange.status = reply.status
        if self._access_log is not None:
            self._access_log(_NoRequest(client), exchange)
        return reply.status, _lines_of(exchange, reply), reply.body

    def _new_exchange(self) -> Exchange:
        at_ms = int(time() * 1000)
        # Unique everywhere, and in the order of time: the store appends instead of inserting.
        self._id_count += 1
        request_id = f"req_{at_ms:011x}{self._id_prefix}{self._id_count:x}"
        return Exchange(request_id, started=monotonic(), at_ms=at_ms)

    async def _answer(self, request: Request, exchange: Exchange) -> Reply | StreamReply:
        try:
            return await self._find(request)(request)
        except ProxyError as error:
            if isinstance(error, UnavailableError):
                request.close_after_answer()
            return error_reply(exchange, error)
        except asyncio.CancelledError:
            if exchange.client_gone:
                raise
            _stay(asyncio.current_task())
            return error_reply(exchange, UnavailableError(_SHUTTING_DOWN, retry_after=1.0))
        except ClientGoneError:
            raise
        except Exception:  # noqa: BLE001  # the last line of defence: nothing may leak to clients
            _log.exception("unexpected error", extra={"request_id": exchange.request_id})
            return error_reply(exchange, APIError("Internal error of the proxy."))

    def _find(self, request: Request) -> Handler:
        path = request.path
        methods = self._routes.get(path)
        if methods is None:
            for prefix, candidates in self._prefixes.items():
                if path.startswith(prefix) and len(path) > len(prefix):
                    methods = candidates
                    break
            else:
                if path != "*":
                    raise NotFoundError(f"No such path: {path[:200]}")
                methods = {}
        handler = methods.get(request.method)
        if handler is None:
            if request.method == "OPTIONS":
                return self._options(methods)
            allow = ", ".join((*methods, "OPTIONS"))
            raise MethodNotAllowedError(f"{path[:200]}: only {allow} is served here", allow=allow)
        return handler

    def _options(self, methods: Iterable[str]) -> Handler:
        """Says what a path serves; for a browser that asks, what a page may send (preflight)."""
        allow = ", ".join((*methods, "OPTIONS"))

        async def handle(request: Request) -> Reply:
            headers = [(b"allow", allow.encode())]
            if self._cors is not None:
                headers += self._cors.preflight(request.headers, allow)
            return Reply(b"", status=204, headers=headers)

        return handle

    def _send_reply(self, request: Request, exchange: Exchange, reply: Reply) -> None:
        exchange.status = reply.status
        lines = _lines_of(exchange, reply)
        if self._cors is not None:
            lines += self._cors.lines(request.headers)
        request.answer(reply.status, lines, reply.body)

    async def _send_stream(self, request: Request, exchange: Exchange, reply: StreamReply) -> None:
        exchange.status = 200
        more = (_render(reply.headers), reply.lines)
        lines = _STREAM_LINES % (exchange.request_id.encode(), *more)
        if self._cors is not None:
            lines += self._cors.lines(request.headers)
        source, last = reply.source, b""
        try:
            request.begin(200, lines, filler=_COMMENT)
            while (chunk := await source.read()) is not None:
                if source.done:
                    last = chunk
                    break
                if not request.write(chunk):
                    await request.drain()
        except asyncio.CancelledError:
            if exchange.client_gone:
                raise
            _stay(asyncio.current_task())  # the server stops before the answer did: say so
            self._break_off(request, exchange, UnavailableError(_SHUTTING_DOWN))
        except Exception:  # noqa: BLE001  # as in _answer: no stream may end in silence
            _log.exception("unexpected error", extra={"request_id": exchange.request_id})
            self._break_off(request, exchange, APIError("Internal error of the proxy."))
        finally:
            source.close()  # settles
        request.end(last)

    def _break_off(self, request: Request, exchange: Exchange, error: ProxyError) -> None:
        """Ends a stream with an error event."""
        exchange.error_type = error.type
        request.close_after_answer()
        request.write(sse.encode([error_event(error, exchange.request_id)]))


class _NoRequest:
    """Stands for a request in the access log where none could be read."""

    method = "-"
    path = "-"

    def __init__(self, client: str) -> None:
        self.client = client


def error_reply(exchange: Exchange, error: ProxyError) -> Reply:
    """The answer for an error that comes before the answer began."""
    exchange.error_type = error.type
    body = error.body(exchange.request_id)
    return Reply(body, status=error.status, headers=error.headers())


def _lines_of(exchange: Exchange, reply: Reply) -> bytes:
    return b"content-type: %b\r\nrequest-id: %b\r\n%b%b" % (
        reply.content_type,
        exchange.request_id.encode(),
        _render(reply.headers),
        reply.lines,
    )


def _render(headers: Headers) -> bytes:
    """Header lines; what could end one before its time becomes a blank."""
    lines = b"".join([b"%b: %b\r\n" % header for header in headers])
    if lines.count(b"\n") == lines.count(b"\r") == len(headers) and b"\0" not in lines:
        return lines
    return _render([(name, _NO_VALUE.sub(b" ", value)) for name, value in headers])


def _stay(task: asyncio.Task[Any] | None) -> None:
    """Takes back that the task was cancelled: it has an answer to end."""
    if task is not None:
        task.uncancel()
