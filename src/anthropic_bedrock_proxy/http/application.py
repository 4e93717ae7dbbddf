"""The application: one router, errors in the client's shape, one log line per answer.

No framework on purpose: nothing but this is imported or run for /v1/messages. Every answer carries
`request-id`; every error has the shape of the clients of the route, for unknown paths and methods
too, and for what was no request at all (`refuse`).
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from time import monotonic, time
from typing import Any, Final

import msgspec

from ..errors import APIError, NotFoundError, ProxyError, UnavailableError
from ..gateway.exchange import Exchange
from ..router import Router, method_not_allowed
from .cors import CORS
from .encoder import Encoder, StreamEncoder
from .paths import meant_path
from .reply import Reply, StreamReply, header_lines
from .server.errors import ClientGoneError
from .server.request import Request as ServerRequest

Request = ServerRequest[Exchange]
# Gets the request, and the variable segments of its path as keywords.
Handler = Callable[..., Awaitable[Reply | StreamReply]]
# Gets method, path, headers and client as a `Request` has them, once a request has ended.
Observer = Callable[[Any, Exchange], None]

# What their messages quote is not for the request log: a body, or words of AWS.
_QUOTING: Final = ("aws:", "unavailable:store")
_log = logging.getLogger("anthropic_bedrock_proxy.http")
_STREAM_LINES: Final = (
    b"content-type: %b\r\ncache-control: no-cache\r\n"
    b"x-accel-buffering: no\r\n"  # nginx would hold events back
    b"request-id: %b\r\n%b"
)


class HTTPRoute(msgspec.Struct, frozen=True):
    """A path template (see router.py) and its handlers by method.

    `encoder` is that of its clients, for errors; None: the application's.
    """

    template: str
    methods: Mapping[str, Handler]
    encoder: Encoder | None = None


class Application:
    """Serves the routes."""

    def __init__(
        self,
        routes: Iterable[HTTPRoute],
        encoder: Encoder,
        *,
        observers: Sequence[Observer] = (),
        begin_trace: Observer | None = None,
        cors: CORS | None = None,
    ) -> None:
        """`encoder` renders errors where no route does.

        `observers` look at each request when it has ended, `begin_trace` when it begins.

        `cors` lets pages of other origins read the answers; None lets none.
        """
        self._router = Router((route.template, route) for route in routes)
        self._encoder = encoder
        self._observers = observers
        self._begin_trace = begin_trace
        self.in_flight = 0  # requests that have not ended
        self._cors = cors
        # Of this process alone: applications are made after the fork.
        self._id_prefix = os.urandom(6).hex()
        self._id_count = 0

    async def serve(self, request: Request) -> None:
        """Answers one request."""
        exchange = request.exchange = self._new_exchange()
        self.in_flight += 1
        if self._begin_trace is not None:
            _observe(self._begin_trace, request, exchange)
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
            self.in_flight -= 1
            self._end(request, exchange)

    def left(self, request: Request) -> None:
        """The client of a request has gone; its task is cancelled next."""
        exchange: Exchange | None = getattr(request, "exchange", None)
        if exchange is not None:  # else its task had not begun
            exchange.client_gone = True

    def refuse(self, error: ProxyError, client: str) -> tuple[int, bytes, bytes]:
        """The answer to what was no request, as status, header lines and body."""
        exchange = self._new_exchange()
        reply = _error_reply(exchange, error, self._encoder)
        exchange.status = reply.status
        self._end(_NoRequest(client), exchange)
        return reply.status, _lines_of(exchange, reply), reply.body

    def _end(self, request: Request | _NoRequest, exchange: Exchange) -> None:
        exchange.ended = monotonic()
        for observer in self._observers:
            _observe(observer, request, exchange)

    def _new_exchange(self) -> Exchange:
        at_ms = int(time() * 1000)
        # Unique everywhere, and in the order of time: the store appends instead of inserting.
        self._id_count += 1
        request_id = f"req_{at_ms:011x}{self._id_prefix}{self._id_count:x}"
        return Exchange(request_id, started=monotonic(), at_ms=at_ms)

    async def _answer(self, request: Request, exchange: Exchange) -> Reply | StreamReply:
        encoder = self._encoder
        try:
            route, parameters = self._find(request.path, request.head.raw_path)
            encoder = route.encoder or encoder
            exchange.endpoint = route.template
            handler = self._handler(route.methods, request)
            return await (handler(request, **parameters) if parameters else handler(request))
        except ProxyError as error:
            if isinstance(error, UnavailableError):
                request.close_after_answer()
            return _error_reply(exchange, error, encoder)
        except asyncio.CancelledError:
            if exchange.client_gone:
                raise
            _stay(asyncio.current_task())
            return _error_reply(exchange, _stopping(), encoder)
        except ClientGoneError:
            raise
        except Exception:  # noqa: BLE001  # the last line of defence: nothing may leak to clients
            _log.exception("unexpected error", extra={"request_id": exchange.request_id})
            return _error_reply(exchange, _internal(), encoder)

    def _find(self, path: str, raw_path: bytes) -> tuple[HTTPRoute, Mapping[str, str]]:
        try:
            return self._router.find(path, raw_path)
        except NotFoundError:
            meant = meant_path(raw_path)
            if meant is None:
                raise
        return self._router.find(*meant)

    def _handler(self, methods: Mapping[str, Handler], request: Request) -> Handler:
        handler = methods.get(request.method)
        if handler is not None:
            return handler
        allowed = (*methods, "OPTIONS")
        if request.method == "OPTIONS":
            return partial(self._options, ", ".join(allowed))
        raise method_not_allowed(request.path, allowed)

    async def _options(self, allow: str, request: Request, **_: str) -> Reply:
        """Says what a path serves; for a browser that asks, what a page may send (preflight)."""
        headers = [(b"allow", allow.encode())]
        if self._cors is not None:
            headers += self._cors.preflight(request.headers, allow)
        return Reply(b"", status=204, lines=header_lines(headers))

    def _send_reply(self, request: Request, exchange: Exchange, reply: Reply) -> None:
        exchange.status = reply.status
        lines = _lines_of(exchange, reply)
        if self._cors is not None:
            lines += self._cors.lines(request.headers)
        request.answer(reply.status, lines, reply.body)

    async def _send_stream(self, request: Request, exchange: Exchange, reply: StreamReply) -> None:
        exchange.status = 200
        source, encoder, last = reply.source, reply.encoder, b""
        lines = _STREAM_LINES % (encoder.content_type, exchange.request_id.encode(), reply.lines)
        if self._cors is not None:
            lines += self._cors.lines(request.headers)
        encode = encoder.events
        try:
            request.begin(200, lines, filler=encoder.filler)
            while (events := await source.read()) is not None:
                if source.done:
                    last = encode(events)
                    exchange.told = exchange.told or monotonic()
                    break
                ready = request.write(encode(events))
                exchange.told = exchange.told or monotonic()
                if not ready:
                    await request.drain()
        except ProxyError as error:  # the model broke off, or a further call was not admitted
            exchange.error_cause = error.cause
            last = encoder.error(error, exchange.request_id)
        except asyncio.CancelledError:
            if exchange.client_gone:
                raise
            _stay(asyncio.current_task())  # the server stops before the answer did: say so
            last = self._broken_off(request, exchange, encoder, _stopping())
        except Exception as error:  # noqa: BLE001  # as in _answer: no stream may end in silence
            exchange.timeline.fail(monotonic(), error)
            _log.exception("unexpected error", extra={"request_id": exchange.request_id})
            last = self._broken_off(request, exchange, encoder, _internal())
        finally:
            source.close()  # settles
        request.end(last)

    def _broken_off(
        self, request: Request, exchange: Exchange, encoder: StreamEncoder, error: ProxyError
    ) -> bytes:
        """Ends the connection with this stream; returns the error that it ends with."""
        exchange.error_type, exchange.error_cause = error.type, error.cause
        request.close_after_answer()
        return encoder.error(error, exchange.request_id)


def _observe(observer: Observer, request: Request | _NoRequest, exchange: Exchange) -> None:
    try:
        observer(request, exchange)
    except Exception:  # noqa: BLE001  # its client need not know, nor the other observers
        _log.exception("a request is not observed", extra={"request_id": exchange.request_id})


class _NoRequest:
    """Stands for a request in the access log where none could be read."""

    method = "-"
    path = "-"
    headers: Mapping[bytes, bytes] = {}

    def __init__(self, client: str) -> None:
        self.client = client


def _error_reply(exchange: Exchange, error: ProxyError, encoder: Encoder) -> Reply:
    """Returns the answer for an error that comes before the answer began."""
    exchange.error_type, exchange.error_cause = error.type, error.cause
    if error.limits:
        exchange.limits = error.limits
    if error.cause and not error.cause.startswith(_QUOTING):
        exchange.error_message = error.message
    body = encoder.error(error, exchange.request_id)
    return Reply(body, status=error.status, lines=encoder.error_lines(error))


def _stopping() -> ProxyError:
    return UnavailableError("The proxy is shutting down.", retry_after=1.0, cause="stopping")


def _internal() -> ProxyError:
    return APIError("Internal error of the proxy.", cause="internal")


def _lines_of(exchange: Exchange, reply: Reply) -> bytes:
    return b"content-type: %b\r\nrequest-id: %b\r\n%b" % (
        reply.content_type,
        exchange.request_id.encode(),
        reply.lines,
    )


def _stay(task: asyncio.Task[Any] | None) -> None:
    """Takes back that the task was cancelled: it has an answer to end."""
    if task is not None:
        task.uncancel()
