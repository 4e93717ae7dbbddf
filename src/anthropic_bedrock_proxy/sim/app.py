"""The simulator as an application of http/server: one request read top to bottom.

Route, read the body, verify the caller, validate, take a script step, answer, remember. Routing
works on the path as it was sent (`raw_path`).
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import msgspec

from ..errors import ProxyError
from ..http.server.errors import ClientGoneError
from ..http.server.request import Request as ServerRequest
from . import operations
from .anthropic.endpoints import named
from .anthropic.validation import decode_body
from .control import control
from .log import Entry
from .models.listing import get_inference_profile, list_foundation_models, list_inference_profiles
from .options import MAX_BODY_BYTES
from .price_list import SERVICE as PRICING
from .price_list import get_products
from .routing import Route, route
from .script import Error, Seen, Step
from .state import SimulatorState
from .wire.delivery import ClientGone, Cut, Wire
from .wire.envelope import answered
from .wire.ids import new_request_id
from .wire.refusal import Refusal, invalid

Request = ServerRequest[Any]
_NOT_FOUND: Final = 404
_JSON_LINE: Final = b"content-type: application/json\r\n"


class _Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request while it is served."""

    query: str
    headers: dict[str, str]
    route: Route
    entry: Entry
    wire: Wire
    request_id: str


class Simulator(SimulatorState):
    """The application over its state."""

    async def serve(self, request: Request) -> None:
        """Answers one request."""
        raw_path = request.head.raw_path.decode("latin-1")
        if self.options.control and raw_path.startswith("/_sim/"):
            body = await _read(request)
            status, document = control(self, request.method, raw_path, body or b"")
            request.answer(status, _JSON_LINE, msgspec.json.encode(document))
            return
        if raw_path == "/" and request.method in ("GET", "HEAD"):
            # Who looks whether somebody is there calls no model: it is no part of the log.
            request.answer(_NOT_FOUND, _JSON_LINE, b'{"message":"no such operation"}')
            return
        await self._serve(request, raw_path)

    def left(self, request: Request) -> None:
        """Does nothing when a client has left: the request itself knows."""

    def refuse(self, error: ProxyError, client: str) -> tuple[int, bytes, bytes]:  # noqa: ARG002  # the seam's signature
        """Returns the answer (status, headers, body) to bytes that were no valid request."""
        return error.status, _JSON_LINE, msgspec.json.encode({"message": error.message})

    async def _serve(self, request: Request, raw_path: str) -> None:
        started = time.perf_counter()
        entry = Entry(number=self.log.next_number(), method=request.method, path=raw_path)
        entry.headers = list(request.headers.items())
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in entry.headers}
        call = _Call(
            query=request.head.query.decode("latin-1"),
            headers=headers,
            route=route(entry.method, raw_path, headers),
            entry=entry,
            wire=Wire(request),
            request_id=new_request_id(),
        )
        try:
            body = await _read(request)
            entry.body = body or b""
            await self._answer(call, body)
        except Refusal as refusal:
            _refuse(call, Error(type=refusal.type, message=refusal.message))
        except ProxyError as error:
            _refuse(call, Error(type="ValidationException", message=error.message))
        except (ClientGone, ClientGoneError):
            entry.outcome = "aborted"
        except asyncio.CancelledError:
            if not request.gone:
                raise
            entry.outcome = "aborted"
        except Cut:
            entry.outcome = "faulted"
        finally:
            entry.duration_ms = (time.perf_counter() - started) * 1000
            self.log.add(entry)

    async def _answer(self, call: _Call, body: bytes | None) -> None:
        entry, where = call.entry, call.route
        entry.operation, entry.model = where.operation, where.identifier
        if where.operation == "Unknown":
            raise Refusal(
                "UnknownOperationException",
                "The requested operation is not recognized by the service.",
            )
        if body is None and where.anthropic:
            raise Refusal("RequestEntityTooLargeException", "Request exceeds the maximum size")
        if body is None:
            raise invalid(
                "1 validation error detected: Value at 'body' failed to satisfy constraint: "
                f"Member must have length less than or equal to {MAX_BODY_BYTES}"
            )
        entry.auth = self.verifier.check(
            entry.method, entry.path, call.query, call.headers, body=body, service=where.service
        )
        if entry.method == "GET":
            await self._run(call, operations.plain(self._listing(where, call.query)))
            return
        if where.operation == "GetProducts":
            if entry.auth == "bearer":
                raise Refusal("MissingAuthenticationTokenException", "Missing Authentication Token")
            await self._run(call, operations.plain(get_products(call.headers, body)))
            return
        document = decode_body(body) if where.takes_messages else None
        if document is not None:
            entry.model, streams = named(document)
            if streams and where.operation != "MantleCountTokens":
                entry.operation = f"{where.operation}Stream"
                where = msgspec.structs.replace(where, operation=entry.operation)
        request = operations.parse(where, call.headers, body, document, self.profiles)
        await self._run(call, request)

    def _take(self, entry: Entry, request: operations.Request) -> Step | None:
        if not self.script:
            return None
        seen = Seen(
            operation=entry.operation,
            model=entry.model,
            text=request.prompt.last_user_text,
            body=entry.body,
            service_tier=request.prompt.service_tier,
        )
        step = self.script.take(seen)
        entry.scripted = step is not None
        return step

    def _listing(self, where: Route, query: str) -> dict[str, Any]:
        if where.operation == "ListInferenceProfiles":
            return list_inference_profiles(self.options, self.profiles, query)
        if where.operation == "ListFoundationModels":
            return list_foundation_models(self.options, query)
        return get_inference_profile(self.options, self.profiles, where.identifier)

    async def _run(self, call: _Call, request: operations.Request) -> None:
        step = self._take(call.entry, request)
        if step is not None and step.hang:
            await call.wire.pause(None)
        if step is not None and step.delay_ms:
            await call.wire.pause(step.delay_ms / 1000)
        if step is not None and step.error is not None:
            _refuse(call, step.error)
            return
        await operations.respond(
            request,
            step,
            call.wire,
            call.entry,
            request_id=call.request_id,
            event_delay_seconds=self.options.event_delay_seconds,
        )


async def _read(request: Request) -> bytes | None:
    """Reads the request body; None when it is over the limit (it is drained, not kept)."""
    parts: list[bytes] = []
    size = 0
    while part := await request.read():
        size += len(part)
        if size <= MAX_BODY_BYTES:
            parts.append(part)
    if size > MAX_BODY_BYTES:
        return None
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _refuse(call: _Call, error: Error) -> None:
    where = call.route
    typed = where.service == PRICING
    told = answered(error, call.request_id, anthropic=where.anthropic, typed=typed)
    entry = call.entry
    entry.outcome = "refused"
    entry.status, entry.error_type, entry.error_message = told.status, told.type, error.message
    call.wire.answer(told.status, told.headers, told.body)
