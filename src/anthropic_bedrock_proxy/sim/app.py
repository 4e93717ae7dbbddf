"""The simulator as an ASGI application: one request read top to bottom.

Route, read the body, verify the caller, validate, take a script step, answer, remember. Routing
works on the path as it was sent (`raw_path`), because a model ARN in it must be percent-encoded:
a bare slash is another operation, which AWS answers with UnknownOperationException.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import unquote

import msgspec

from . import operations
from .control import control
from .delivery import ClientGone, Cut, Headers, Receive, Send, Wire
from .ids import new_request_id
from .listing import get_inference_profile, list_foundation_models, list_inference_profiles
from .log import Entry, RequestLog
from .options import MAX_BODY_BYTES, SimulatorOptions
from .refusal import Refusal, invalid
from .script import Error, Script, Step
from .signature import Verifier

Scope = MutableMapping[str, Any]
Transports = MutableMapping[Any, asyncio.Transport]
_JSON = (b"content-type", b"application/json")


class Simulator:
    """The application and its state: script, log, known credentials."""

    def __init__(self, options: SimulatorOptions, transports: Transports | None = None) -> None:
        self.options = options
        self.script = Script(options.script)
        self.log = RequestLog(options.log_file)
        self.verifier = Verifier(options.credentials, options.bearer_tokens)
        self._transports: Transports = {} if transports is None else transports

    def reset(self) -> None:
        """Back to the state at start: its script, its credentials, an empty log."""
        self.script = Script(self.options.script)
        self.verifier.replace(self.options.credentials, self.options.bearer_tokens)
        self.log.reset()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            raise RuntimeError(f"the simulator serves http only, not {scope['type']}")
        raw_path = scope["raw_path"].decode("latin-1")
        if self.options.control and raw_path.startswith("/_sim/"):
            body = await _read(receive)
            status, document = control(self, scope["method"], raw_path, body or b"")
            await _plain(send, status, [_JSON], msgspec.json.encode(document))
            return
        await self._serve(scope, raw_path, receive, send)

    async def _serve(self, scope: Scope, raw_path: str, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        entry = Entry(number=self.log.next_number(), method=scope["method"], path=raw_path)
        entry.headers = scope["headers"]
        wire = Wire(receive, send, self._transports.get(scope.get("client")))
        request_id = new_request_id()
        try:
            body = await _read(receive)
            entry.body = body or b""
            await self._answer(scope, entry, wire, body, request_id)
        except Refusal as refusal:
            entry.outcome = "refused"
            _note(entry, refusal.status, refusal.type, refusal.message)
            error = Error(type=refusal.type, message=refusal.message, status=refusal.status)
            await _refuse(send, error, request_id)
        except ClientGone:
            entry.outcome = "aborted"
        except (Cut, ConnectionAbortedError) as cut:
            entry.outcome = "faulted"
            if isinstance(cut, ConnectionAbortedError):
                raise
        finally:
            wire.close()
            entry.duration_ms = (time.perf_counter() - started) * 1000
            self.log.add(entry)

    async def _answer(
        self, scope: Scope, entry: Entry, wire: Wire, body: bytes | None, request_id: str
    ) -> None:
        query = scope["query_string"].decode("latin-1")
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        entry.operation, identifier = _route(entry.method, entry.path)
        entry.model = identifier
        if entry.operation == "Unknown":
            raise Refusal(
                "UnknownOperationException",
                "The requested operation is not recognized by the service.",
            )
        if body is None:
            raise invalid(
                "1 validation error detected: Value at 'body' failed to satisfy constraint: "
                f"Member must have length less than or equal to {MAX_BODY_BYTES}"
            )
        entry.auth = self.verifier.check(entry.method, entry.path, query, headers, body=body)
        if entry.method == "GET":
            step = self._take(entry, "")
            document = self._listing(entry.operation, identifier, query)
            await self._run(entry, wire, step, operations.plain(document), request_id)
            return
        request = operations.parse(entry.operation, identifier, headers, body)
        step = self._take(entry, request.prompt.last_user_text)
        await self._run(entry, wire, step, request, request_id)

    def _take(self, entry: Entry, text: str) -> Step | None:
        if not self.script:
            return None
        step = self.script.take(entry.operation, entry.model, text, entry.body)
        entry.scripted = step is not None
        return step

    def _listing(self, operation: str, identifier: str, query: str) -> dict[str, Any]:
        if operation == "ListInferenceProfiles":
            return list_inference_profiles(self.options, query)
        if operation == "ListFoundationModels":
            return list_foundation_models(self.options, query)
        return get_inference_profile(self.options, identifier)

    async def _run(
        self,
        entry: Entry,
        wire: Wire,
        step: Step | None,
        request: operations.Request,
        request_id: str,
    ) -> None:
        if step is not None and step.delay_ms:
            await wire.pause(step.delay_ms / 1000)
        if step is not None and step.error is not None:
            error = step.error
            entry.outcome = "refused"
            status = await _refuse(wire.raw_send, error, request_id)
            _note(entry, status, error.type, error.message)
            return
        await operations.respond(
            request,
            step,
            wire,
            entry,
            request_id=request_id,
            event_delay_seconds=self.options.event_delay_seconds,
        )


def build_simulator(options: SimulatorOptions, transports: Transports | None = None) -> Simulator:
    """The ASGI application. `transports` maps client addresses to connections, for resets."""
    return Simulator(options, transports)


_OPERATIONS = {
    "invoke": "InvokeModel",
    "invoke-with-response-stream": "InvokeModelWithResponseStream",
    "converse": "Converse",
    "converse-stream": "ConverseStream",
    "count-tokens": "CountTokens",
}


def _route(method: str, raw_path: str) -> tuple[str, str]:
    parts = raw_path.split("/")[1:]
    match (method, *parts):
        case ("POST", "model", identifier, action) if identifier and action in _OPERATIONS:
            return _OPERATIONS[action], unquote(identifier)
        case ("GET", "inference-profiles"):
            return "ListInferenceProfiles", ""
        case ("GET", "inference-profiles", identifier) if identifier:
            return "GetInferenceProfile", unquote(identifier)
        case ("GET", "foundation-models"):
            return "ListFoundationModels", ""
    return "Unknown", ""


async def _read(receive: Receive) -> bytes | None:
    """The request body; None when it is over the limit (it is drained, not kept)."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part = message.get("body", b"")
        size += len(part)
        if size <= MAX_BODY_BYTES:
            parts.append(part)
        if not message.get("more_body"):
            break
    if size > MAX_BODY_BYTES:
        return None
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _note(entry: Entry, status: int, type_: str, message: str) -> None:
    entry.status = status
    entry.error_type = type_
    entry.error_message = message


async def _refuse(send: Send, error: Error, request_id: str) -> int:
    status = error.status or Refusal(error.type, "").status
    headers: Headers = [_JSON, (b"x-amzn-requestid", request_id.encode())]
    if error.retry_after is not None:
        headers.append((b"retry-after", f"{error.retry_after:g}".encode()))
    if error.envelope == "anthropic":
        detail = {"type": error.type, "message": error.message}
        document: dict[str, Any] = {"type": "error", "error": detail}
    else:
        headers.append((b"x-amzn-errortype", error.type.encode()))
        document = {"message": error.message}
    await _plain(send, status, headers, msgspec.json.encode(document))
    return status


async def _plain(send: Send, status: int, headers: Headers, body: bytes) -> None:
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
