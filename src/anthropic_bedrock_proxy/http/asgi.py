"""The ASGI application: routes by table, errors in one shape, one log line per answer.

Bare ASGI on purpose: nothing of a framework is imported or run for /v1/messages. Every answer
carries `request-id`; every error is Anthropic's document, for unknown paths and methods too.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from time import monotonic, time
from typing import Any, Final

from ..errors import APIError, MethodNotAllowedError, NotFoundError, ProxyError, UnavailableError
from ..gateway.exchange import Exchange
from ..gateway.relay import error_event
from ..gateway.reply import ByteSource, Headers, Reply, StreamReply, parse_lines
from ..protocol import sse
from .body import ClientGoneError, Receive, too_slow
from .corked import ADD_TO_HEAD
from .watch import Watch, Watches

Send = Callable[[dict[str, Any]], Awaitable[None]]
Scope = dict[str, Any]
Handler = Callable[["Request"], Awaitable[Reply | StreamReply]]
AccessLog = Callable[[Scope, Exchange], None]

_LAST_WORD_SECONDS: Final = 0.5
_log = logging.getLogger("anthropic_bedrock_proxy.http")
_STREAM_LINES: Final = (
    b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    b"x-accel-buffering: no\r\n"  # nginx would hold events back
    b"request-id: %b\r\n%b"
)


class Request:
    """One HTTP request on its way through a handler."""

    __slots__ = ("exchange", "headers", "receive", "scope")

    def __init__(self, scope: Scope, receive: Receive, exchange: Exchange) -> None:
        self.scope = scope
        self.receive = receive
        self.exchange = exchange
        self.headers: Mapping[bytes, bytes] = dict(scope["headers"])


class Application:
    """Serves the routes; `draining` and `active` are for whoever stops it."""

    def __init__(
        self,
        routes: Mapping[str, Mapping[str, Handler]],
        prefixes: Mapping[str, Mapping[str, Handler]],
        *,
        access_log: AccessLog | None = None,
        body_timeout_seconds: float = 60.0,
        stall_timeout_seconds: float = 300.0,
    ) -> None:
        """`routes` by exact path, then `prefixes`; each maps methods to handlers.

        A client that takes no byte of its stream for `stall_timeout_seconds` is let go.
        """
        self._watches = Watches(body_timeout_seconds, stall_timeout_seconds)
        self._routes = routes
        self._prefixes = prefixes
        self._access_log = access_log
        # Of this process alone: applications are made after the fork.
        self._id_prefix = os.urandom(6).hex()
        self._id_count = 0
        self.draining = False  # /ready says no
        self.refusing = False  # new work is turned away
        self.active = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request (ASGI 3)."""
        if scope["type"] != "http":
            raise RuntimeError(f"ASGI {scope['type']} is not served")  # uvicorn is told so
        at_ms = int(time() * 1000)
        exchange = Exchange(self._new_id(at_ms), started=monotonic(), at_ms=at_ms)
        self.active += 1
        watch = self._watches.add(receive, exchange)
        try:
            reply = await self._answer(scope, receive, exchange, watch)
            if isinstance(reply, Reply):
                await _send_reply(scope, send, exchange, reply)
            else:
                await _send_stream(scope, send, exchange, reply)
        except ClientGoneError:
            exchange.client_gone = True
        except asyncio.CancelledError:
            if not exchange.client_gone:
                raise
        finally:
            self._watches.remove(watch)
            self.active -= 1
            if self._access_log is not None:
                self._access_log(scope, exchange)

    def _new_id(self, at_ms: int) -> str:
        """Unique everywhere, and in the order of time: the store appends instead of inserting."""
        self._id_count += 1
        return f"req_{at_ms:011x}{self._id_prefix}{self._id_count:x}"

    async def _answer(
        self, scope: Scope, receive: Receive, exchange: Exchange, watch: Watch
    ) -> Reply | StreamReply:
        try:
            return await self._find(scope)(Request(scope, receive, exchange))
        except ProxyError as error:
            return error_reply(exchange, error)
        except asyncio.CancelledError:
            if not watch.body_late:
                raise
            if watch.target is not None:
                watch.target.uncancel()
            return error_reply(exchange, too_slow(self._watches.body_timeout))
        except ClientGoneError:
            raise
        except Exception:  # noqa: BLE001  # the last line of defence: nothing may leak to clients
            _log.exception("unexpected error", extra={"request_id": exchange.request_id})
            return error_reply(exchange, APIError("Internal error of the proxy."))

    def _find(self, scope: Scope) -> Handler:
        path = scope["path"]
        methods = self._routes.get(path)
        if methods is None:
            for prefix, candidates in self._prefixes.items():
                if path.startswith(prefix) and len(path) > len(prefix):
                    methods = candidates
                    break
            else:
                raise NotFoundError(f"No such path: {path[:200]}")
        handler = methods.get(scope["method"])
        if handler is None:
            allow = ", ".join(methods)
            raise MethodNotAllowedError(f"{path}: only {allow} is served here", allow=allow)
        if self.refusing and path not in ALWAYS_SERVED:
            raise UnavailableError("The proxy is shutting down.", retry_after=1.0)
        return handler


# What still answers while the proxy waits for its last streams.
ALWAYS_SERVED: Final = frozenset(("/health", "/liveness", "/ready"))


def error_reply(exchange: Exchange, error: ProxyError) -> Reply:
    """The answer for an error that comes before the answer began."""
    exchange.error_type = error.type
    headers = error.headers()
    # Not after 413: closing under a client that still sends its body resets the connection before
    # it has read the answer. The server discards what comes instead.
    if isinstance(error, UnavailableError):
        headers.append((b"connection", b"close"))
    return Reply(error.body(exchange.request_id), status=error.status, headers=headers)


async def _send_reply(scope: Scope, send: Send, exchange: Exchange, reply: Reply) -> None:
    exchange.status = reply.status
    headers = [(b"content-length", b"%d" % len(reply.body)), *reply.headers]
    own = (reply.content_type, exchange.request_id.encode(), reply.lines)
    _add_lines(scope, headers, b"content-type: %b\r\nrequest-id: %b\r\n%b" % own)
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    body = reply.body if scope["method"] != "HEAD" else b""
    await send({"type": "http.response.body", "body": body})


async def _send_stream(scope: Scope, send: Send, exchange: Exchange, reply: StreamReply) -> None:
    exchange.status = 200
    headers = reply.headers.copy()
    _add_lines(scope, headers, _STREAM_LINES % (exchange.request_id.encode(), reply.lines))
    source = reply.source
    try:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        while (chunk := await source.read()) is not None:
            exchange.sending_since = monotonic()
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            exchange.sending_since = None
        await send({"type": "http.response.body", "body": b""})
    except asyncio.CancelledError:
        if not exchange.client_gone:  # the server stops before the answer did: say so
            error = UnavailableError("The proxy is shutting down.")
            await _break_off(send, exchange, source, error)
        raise
    except Exception:  # noqa: BLE001  # as in _answer: no stream may end in silence
        _log.exception("unexpected error", extra={"request_id": exchange.request_id})
        await _break_off(send, exchange, source, APIError("Internal error of the proxy."))
    finally:
        source.close()


def _add_lines(scope: Scope, headers: Headers, lines: bytes) -> None:
    """Adds them past the server if it is our own (see corked.py), else as any headers."""
    if (state := scope.get("state")) and (add := state.get(ADD_TO_HEAD)):
        add(lines)
    else:
        headers += parse_lines(lines)


async def _break_off(send: Send, exchange: Exchange, source: ByteSource, error: ProxyError) -> None:
    """Ends a stream with an error event, if the client takes it."""
    exchange.error_type = error.type
    source.close()  # settles, before anything can wait for a client that does not read
    body = sse.encode([error_event(error, exchange.request_id)])
    with suppress(TimeoutError):
        async with asyncio.timeout(_LAST_WORD_SECONDS):
            await send({"type": "http.response.body", "body": body})
