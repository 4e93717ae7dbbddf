"""The story of POST /v1/messages: parse, resolve, convert, admit, call, answer, settle.

Read it top to bottom. Nothing is sent to the client before the first upstream event, so a refusal
is a real HTTP status; what breaks later ends in an SSE `error` event.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from ..errors import ProxyError, UpstreamRefusal, from_refusal
from ..protocol import sse
from ..protocol.anthropic_invoke import to_invoke
from ..protocol.events import Event
from ..protocol.invoke_answer import InvokeStream, finish_message
from ..protocol.messages import parse_request
from ..upstream.base import AnswerStream, Call, Upstream
from .admission import Admission, Lease
from .exchange import Exchange
from .pacing import PacedStream, Pacing
from .reply import Headers, Reply, StreamReply
from .routing import Registry

_log = logging.getLogger("anthropic_bedrock_proxy.gateway")


class Messages:
    """Serves the Messages API from an upstream."""

    def __init__(
        self,
        upstream: Upstream,
        registry: Registry,
        admission: Admission,
        pacing: Pacing,
        *,
        monotonic: Callable[[], float],
    ) -> None:
        self._upstream = upstream
        self._registry = registry
        self._admission = admission
        self._pacing = pacing
        self._monotonic = monotonic

    async def handle(self, exchange: Exchange, body: bytes | bytearray) -> Reply | StreamReply:
        """Answers one authenticated request. Raises `ProxyError`."""
        request = parse_request(body, exchange.version)
        route = exchange.route = self._registry.route(request.view.model)
        exchange.model = request.view.model
        exchange.stream = bool(request.view.stream)
        converted = to_invoke(request, exchange.betas, route.generation, self._registry.betas)
        if converted.dropped:
            _log.info(
                "left out for Bedrock",
                extra={"request_id": exchange.request_id, "dropped": converted.dropped},
            )
        call = Call(
            operation="invoke-with-response-stream" if exchange.stream else "invoke",
            bedrock_model_id=route.bedrock_model_id,
            body=converted.body,
        )
        lease = self._admission.admit(exchange)
        try:
            if exchange.stream:
                return await self._stream(exchange, call, lease)
            return await self._whole(exchange, call, lease)
        except UpstreamRefusal as refusal:
            if refusal.sent:
                exchange.meter.assume_input(call.body)
            # No local names the error: with its traceback it would keep this frame, and the
            # request's body, alive until the collector comes.
            raise _refused(exchange, refusal, lease) from None
        except BaseException:  # the client left, or the server is stopping
            exchange.meter.assume_input(call.body)
            lease.settle()
            raise

    async def _whole(self, exchange: Exchange, call: Call, lease: Lease) -> Reply:
        answer = await self._upstream.call(call)
        exchange.upstream_request_id = answer.upstream_request_id
        try:
            exchange.meter.observe_message(answer.body)
        except (msgspec.MsgspecError, ValueError) as error:
            raise UpstreamRefusal("InternalServerException", f"not a message: {error}") from error
        body = finish_message(answer.body, exchange.model)
        lease.settle()
        return Reply(body, headers=_upstream_headers(exchange))

    async def _stream(self, exchange: Exchange, call: Call, lease: Lease) -> StreamReply:
        stream = await self._upstream.stream(call, lambda: InvokeStream(exchange.model))
        exchange.upstream_request_id = stream.upstream_request_id
        exchange.ttft_ms = round((self._monotonic() - exchange.started) * 1000)
        paced = PacedStream(stream, self._pacing, self._monotonic, started=exchange.started)
        relay = Relay(exchange, stream, paced, lease)
        return StreamReply(relay, headers=_upstream_headers(exchange))


class Relay:
    """A streamed answer as SSE bytes, until its end, whatever that is (a `ByteSource`)."""

    __slots__ = ("_done", "_exchange", "_lease", "_paced", "_stream")

    def __init__(
        self, exchange: Exchange, stream: AnswerStream, paced: PacedStream, lease: Lease
    ) -> None:
        self._exchange = exchange
        self._stream = stream
        self._paced = paced
        self._lease = lease
        self._done = False

    async def read(self) -> bytes | None:
        """The next events. Settles the lease before it returns the last of them."""
        if self._done:
            return None
        try:
            events = await self._paced.read()
        except UpstreamRefusal as refusal:
            self._done = True
            error = _refused(self._exchange, refusal, self._lease)
            return sse.encode([error_event(error, self._exchange.request_id)])
        if events is None:
            return None
        observe = self._exchange.meter.observe
        for event in events:
            observe(event)
        if events[-1][0] == b"message_stop":
            self._done = True
            self._lease.settle()
        return sse.encode(events)

    def close(self) -> None:
        """Stops the model if it still talks, and settles."""
        self._stream.close()
        self._lease.settle()


def error_event(error: ProxyError, request_id: str) -> Event:
    """The SSE form of an error that comes after the HTTP status is gone."""
    return b"error", error.body(request_id)


def _refused(exchange: Exchange, refusal: UpstreamRefusal, lease: Lease) -> ProxyError:
    """What the client is told; settles with it."""
    error = from_refusal(refusal)
    exchange.error_type = error.type
    lease.settle()
    _log.warning(
        "upstream refused",
        extra={
            "request_id": exchange.request_id,
            "code": refusal.code,
            "upstream_status": refusal.status,
        },
    )
    return error


def _upstream_headers(exchange: Exchange) -> Headers:
    if exchange.upstream_request_id is None:
        return []
    return [(b"x-amzn-requestid", exchange.upstream_request_id.encode("latin-1"))]
