"""The guard before the executor's HTTP API: who may come in, for how long, and what fails.

Connections are bounded in number, and those that have not shown the token within seconds are cut.
Nothing of a request is logged but that it failed: strangers would write the log.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from hmac import compare_digest
from typing import Final

import msgspec
from aiohttp import web

from ..base import ContainerGoneError, SandboxUnavailableError
from ..wire import ErrorBody
from .spool import FileMissingError, FileTooLargeError, SpoolFullError

MAX_CONNECTIONS: Final = 1024
FIRST_REQUEST_SECONDS: Final = 10.0

_log = logging.getLogger("anthropic_bedrock_proxy.sandbox")
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ForeignRequestError(Exception):
    """A request that no proxy of ours sends."""


class Guard:
    """The way in. Belongs to one event loop."""

    def __init__(
        self, token: str | None, *, first_request_seconds: float, max_connections: int
    ) -> None:
        """Without a `token` whoever can open the socket may come in."""
        self._token = token
        self._first_request_seconds = first_request_seconds
        self._max_connections = max_connections
        self._strangers: dict[object, asyncio.TimerHandle] = {}  # have not shown the token yet

    def close(self) -> None:
        """Forgets who has not come in yet."""
        for timer in self._strangers.values():
            timer.cancel()

    def connect(self, server: web.Server) -> asyncio.Protocol:
        """Makes the protocol of a new connection; beyond the limit, one that drops it."""
        if len(server.connections) >= self._max_connections:
            return _Refused()
        protocol = server()

        def give_up() -> None:
            del self._strangers[protocol]
            if protocol.transport is not None:
                protocol.transport.abort()

        loop = asyncio.get_running_loop()
        self._strangers[protocol] = loop.call_later(self._first_request_seconds, give_up)
        return protocol

    @web.middleware
    async def admit(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Lets nobody in without the token, and answers failures."""
        try:
            if self._token is not None:
                given = request.headers.get("authorization", "")
                expected = f"Bearer {self._token}"
                if not compare_digest(given.encode("utf-8", "replace"), expected.encode()):
                    return _failure(401, "unauthorized", "the token is missing or wrong")
            stranger = self._strangers.pop(request.protocol, None)
            if stranger is not None:
                stranger.cancel()
            return await handler(request)
        except ContainerGoneError:
            return _failure(404, "gone", "there is no such container or cell")
        except FileMissingError:
            return _failure(404, "gone", "there is no such file")
        except SandboxUnavailableError as error:
            return _failure(503, "unavailable", str(error))
        except FileTooLargeError as error:
            return _failure(413, "too_large", str(error))
        except SpoolFullError as error:
            return _failure(507, "full", str(error))
        except ForeignRequestError as error:
            return _failure(400, "invalid", str(error))
        except (ConnectionError, web.RequestPayloadError):  # cut, or not encoded as it says
            return _failure(400, "invalid", "the body cannot be read")
        except web.HTTPException as error:
            kind = "too_large" if error.status == web.HTTPRequestEntityTooLarge.status_code else ""
            return _failure(error.status, kind or "invalid", error.reason)
        except Exception as error:  # noqa: BLE001  # whatever it is, the log has to have it
            # But for what a trace may quote: code and results.
            _log.error("a request failed", extra={"error": type(error).__name__})
            return _failure(500, "unavailable", "The executor failed in an unexpected way.")


def silent_log() -> logging.Logger:
    """Returns aiohttp's log, of what its parser refuses: strangers would write it, with traces."""
    log = logging.Logger("aiohttp.server")  # noqa: LOG001  # not that of the whole process
    log.addHandler(logging.NullHandler())
    return log


class _Refused(asyncio.Protocol):
    """A connection beyond the limit."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Drops it."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # asyncio's own
        transport.abort()


def _failure(status: int, error: str, message: str) -> web.Response:
    body = msgspec.json.encode(ErrorBody(error, message))
    return web.Response(status=status, body=body, content_type="application/json")
