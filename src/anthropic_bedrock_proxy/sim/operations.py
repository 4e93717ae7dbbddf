"""The operations on models: from a body to a checked request, from an answer to bytes.

`parse` validates and yields a `Request` that knows its dialect; `respond` renders the answer of
the script or the built-in one, sends it through the faults, and notes what is billed. A stream
that breaks off is billed for the share of its events that went out.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import msgspec

from . import counting, guardrail, tier
from .anthropic import endpoints as messages
from .anthropic import stream as invoke_stream
from .anthropic import validation as invoke
from .converse import stream as converse_stream
from .converse import validation as converse
from .log import Entry
from .models.catalog import MODELS
from .models.lookup import resolve_for_inference
from .prompt import Prompt
from .replies import SimulatedAnswer, answer
from .routing import Route
from .script import Step
from .wire.delivery import Headers, Wire, deliver, exception_frame
from .wire.envelope import JSON, anthropic_type, error_event
from .wire.ids import new_id

_FRAMES = (b"content-type", b"application/vnd.amazon.eventstream")
_EVENTS = (b"content-type", b"text/event-stream; charset=utf-8")
_NO_CACHE = (b"cache-control", b"no-cache")


class Request(msgspec.Struct, kw_only=True):
    """A valid request. `document` is set when the answer needs no model (listing, counting)."""

    operation: str
    prompt: Prompt
    document: dict[str, Any] | None = None
    echoed: list[tuple[bytes, bytes]] = []
    anthropic: bool = False

    @property
    def streams(self) -> bool:
        """Tells whether the answer is a stream of events."""
        return self.operation.endswith("Stream")


def plain(document: dict[str, Any]) -> Request:
    """Makes a request whose answer is already known."""
    return Request(operation="", prompt=Prompt(model=MODELS[0]), document=document)


def parse(
    route: Route,
    headers: Mapping[str, str],
    body: bytes,
    document: dict[str, Any] | None,
    profiles: Mapping[str, str],
) -> Request:
    """Validates a request for a model. `document` is the decoded body of a Messages request.

    Raises `Refusal`.
    """
    operation = route.operation
    if document is not None:
        return _parse_messages(operation, headers, document, profiles)
    if operation == "CountTokens":
        prompt = counting.validate(route.identifier, body, profiles)
        return Request(
            operation=operation, prompt=prompt, document={"inputTokens": prompt.input_tokens}
        )
    model = resolve_for_inference(route.identifier, profiles)
    if operation.startswith("Converse"):
        prompt = converse.validate(model, body, streams=operation == "ConverseStream")
        return Request(operation=operation, prompt=prompt)
    echoed = tier.echoed(headers)
    guarded = guardrail.from_headers(headers, body)
    prompt = invoke.validate(model, body)
    prompt.guardrail = guarded
    prompt.service_tier = tier.asked(headers)
    tier.check(model, prompt.service_tier)
    return Request(operation=operation, prompt=prompt, echoed=echoed)


def _parse_messages(
    operation: str,
    headers: Mapping[str, str],
    document: dict[str, Any],
    profiles: Mapping[str, str],
) -> Request:
    echoed = [] if operation.startswith("Mantle") else tier.echoed(headers)
    prompt = messages.validate(operation, document, headers, profiles)
    request = Request(operation=operation, prompt=prompt, echoed=echoed, anthropic=True)
    if echoed:
        prompt.service_tier = tier.asked(headers)
        tier.check(prompt.model, prompt.service_tier)
    if operation == "MantleCountTokens":
        request.document = {"input_tokens": prompt.input_tokens}
        if prompt.edits_context:
            request.document["context_management"] = {"original_input_tokens": prompt.input_tokens}
    return request


async def respond(
    request: Request,
    step: Step | None,
    wire: Wire,
    entry: Entry,
    *,
    request_id: str,
    event_delay_seconds: float,
) -> None:
    """Sends the answer and notes status, outcome and billed usage. Raises `ClientGone`, `Cut`."""
    started = time.perf_counter()
    reply = answer(request.prompt, step) if request.document is None else None
    frames = _frames(request, reply, step)
    headers: Headers = [(b"x-amzn-requestid", request_id.encode()), *request.echoed]
    if request.anthropic:
        headers.append((b"request-id", new_id("req_").encode()))
    length = None
    if request.streams:
        headers += _stream_headers(request)
    else:
        headers.append(JSON)
        if step is None or not step.faults:
            length = sum(map(len, frames))
        if reply is not None and request.operation == "InvokeModel":
            headers += _counters(reply, int((time.perf_counter() - started) * 1000))
    entry.status = 200
    wire.start(200, headers, length)
    broken = error_event if request.anthropic else exception_frame
    try:
        ended_by = await deliver(wire, frames, step, event_delay_seconds, broken)
    finally:  # events that were sent are billed, however the answer ended
        _bill(entry, reply, wire.sent, len(frames))
    if ended_by is not None:
        entry.outcome = "faulted"
        entry.error_type = anthropic_type(ended_by) if request.anthropic else ended_by
        entry.error_message = "error inside the stream"


def _stream_headers(request: Request) -> Headers:
    if request.anthropic:
        return [_EVENTS, _NO_CACHE]
    if request.operation.startswith("Invoke"):
        return [_FRAMES, (b"x-amzn-bedrock-content-type", b"application/json")]
    return [_FRAMES]


def _bill(entry: Entry, reply: SimulatedAnswer | None, sent: int, total: int) -> None:
    if reply is not None:
        entry.usage = reply.usage.until(sent, total)


def _frames(request: Request, reply: SimulatedAnswer | None, step: Step | None) -> list[bytes]:
    if step is not None and step.raw_body is not None:
        return [step.raw_body.encode()]
    if reply is None:
        return [msgspec.json.encode(request.document)]
    converses = request.operation.startswith("Converse")
    if not request.streams:
        whole = converse_stream.message if converses else invoke_stream.message
        return [msgspec.json.encode(whole(reply, request.prompt))]
    raw = step.raw_events if step is not None else None
    if converses:
        stream = converse_stream.events(reply, request.prompt) if raw is None else raw
        return [converse_stream.frame(event) for event in stream]
    stream = invoke_stream.events(reply, request.prompt) if raw is None else raw
    if request.anthropic:
        return [invoke_stream.server_sent(event) for event in stream]
    if raw is None:
        stream = invoke_stream.with_metrics(stream, reply, request.prompt)
    return [invoke_stream.frame(event) for event in stream]


def _counters(reply: SimulatedAnswer, latency_ms: int) -> Headers:
    usage = reply.usage
    return [
        (b"x-amzn-bedrock-invocation-latency", str(latency_ms).encode()),
        (b"x-amzn-bedrock-input-token-count", str(usage.input_tokens).encode()),
        (b"x-amzn-bedrock-output-token-count", str(usage.output_tokens).encode()),
        (b"x-amzn-bedrock-cache-read-input-token-count", str(usage.cache_read).encode()),
        (b"x-amzn-bedrock-cache-write-input-token-count", str(usage.cache_write).encode()),
    ]
