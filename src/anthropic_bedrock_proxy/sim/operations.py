"""The five model operations: from a body to a checked request, from an answer to bytes.

`parse` validates and yields a `Request` that knows its dialect; `respond` renders the answer of
the script or the built-in one, sends it through the faults, and notes what is billed. A stream
that breaks off is billed for the share of its events that went out.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import msgspec

from . import converse, converse_stream, counting, invoke, invoke_stream
from .delivery import ClientGone, Cut, Headers, Wire, deliver
from .log import Entry
from .models import MODELS, resolve_for_inference
from .prompt import Prompt
from .refusal import invalid
from .replies import Answer, answer
from .script import Step

_JSON = (b"content-type", b"application/json")
_STREAM = (b"content-type", b"application/vnd.amazon.eventstream")
_TIERS = ("priority", "default", "flex", "reserved")
_LATENCIES = ("standard", "optimized")


class Request(msgspec.Struct, kw_only=True):
    """A valid request. `document` is set when the answer needs no model (listing, counting)."""

    operation: str
    prompt: Prompt
    document: dict[str, Any] | None = None
    echoed: list[tuple[bytes, bytes]] = []

    @property
    def streams(self) -> bool:
        """Whether the answer is an event stream."""
        return self.operation.endswith("Stream")


def plain(document: dict[str, Any]) -> Request:
    """A request whose answer is already known."""
    return Request(operation="", prompt=Prompt(model=MODELS[0]), document=document)


def parse(operation: str, identifier: str, headers: Mapping[str, str], body: bytes) -> Request:
    """Validates a request for a model. Raises `Refusal`."""
    if operation == "CountTokens":
        prompt = counting.validate(identifier, body)
        return Request(
            operation=operation, prompt=prompt, document={"inputTokens": prompt.input_tokens}
        )
    model = resolve_for_inference(identifier)
    if operation.startswith("Converse"):
        streams = operation == "ConverseStream"
        return Request(operation=operation, prompt=converse.validate(model, body, streams=streams))
    echoed = _echoed(headers)
    return Request(operation=operation, prompt=invoke.validate(model, body), echoed=echoed)


def _echoed(headers: Mapping[str, str]) -> Headers:
    """The request headers that InvokeModel repeats in its answer, checked."""
    echoed: Headers = []
    for name, key, allowed in (
        ("x-amzn-bedrock-service-tier", "serviceTier", _TIERS),
        ("x-amzn-bedrock-performanceconfig-latency", "performanceConfigLatency", _LATENCIES),
    ):
        value = headers.get(name)
        if value is None:
            continue
        if value not in allowed:
            raise invalid(
                f"1 validation error detected: Value '{value}' at '{key}' failed to satisfy "
                f"constraint: Member must satisfy enum value set: [{', '.join(allowed)}]"
            )
        echoed.append((name.encode(), value.encode()))
    return echoed


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
    if request.streams:
        headers.append(_STREAM)
        if request.operation.startswith("Invoke"):
            headers.append((b"x-amzn-bedrock-content-type", b"application/json"))
    else:
        headers.append(_JSON)
        if step is None or not step.faults:
            headers.append((b"content-length", str(sum(map(len, frames))).encode()))
        if reply is not None and request.operation == "InvokeModel":
            headers += _counters(reply, int((time.perf_counter() - started) * 1000))
    entry.status = 200
    await wire.start(200, headers)
    try:
        broken = await deliver(wire, frames, step, event_delay_seconds)
    except (ClientGone, Cut):
        _bill(entry, reply, wire.sent, len(frames))
        raise
    if broken is not None:
        entry.outcome = "faulted"
        entry.error_type = broken
        entry.error_message = "exception frame in the stream"
    _bill(entry, reply, wire.sent, len(frames))


def _bill(entry: Entry, reply: Answer | None, sent: int, total: int) -> None:
    if reply is not None:
        entry.usage = reply.usage.until(sent, total)


def _frames(request: Request, reply: Answer | None, step: Step | None) -> list[bytes]:
    if step is not None and step.raw_body is not None:
        return [step.raw_body.encode()]
    if reply is None:
        return [msgspec.json.encode(request.document)]
    name, paths = request.prompt.model.name, request.prompt.response_paths
    raw = step.raw_events if step is not None else None
    if request.operation == "InvokeModel":
        return [msgspec.json.encode(invoke_stream.message(reply, name))]
    if request.operation == "Converse":
        return [msgspec.json.encode(converse_stream.message(reply, paths))]
    if request.operation == "ConverseStream":
        return [
            converse_stream.frame(event)
            for event in (converse_stream.events(reply, paths) if raw is None else raw)
        ]
    events = invoke_stream.events(reply, name) if raw is None else raw
    return [invoke_stream.frame(event) for event in events]


def _counters(reply: Answer, latency_ms: int) -> Headers:
    usage = reply.usage
    return [
        (b"x-amzn-bedrock-invocation-latency", str(latency_ms).encode()),
        (b"x-amzn-bedrock-input-token-count", str(usage.input_tokens).encode()),
        (b"x-amzn-bedrock-output-token-count", str(usage.output_tokens).encode()),
        (b"x-amzn-bedrock-cache-read-input-token-count", str(usage.cache_read).encode()),
        (b"x-amzn-bedrock-cache-write-input-token-count", str(usage.cache_write).encode()),
    ]
