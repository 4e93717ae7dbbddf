"""The story of POST /v1/messages: parse, route, admit, convert, call, answer, settle.

Read it top to bottom. Nothing is sent to the client before the first upstream event, so a refusal
is a real HTTP status; what breaks later ends in an SSE `error` event.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from ..aws_errors import UpstreamRefusal
from ..errors import InvalidRequestError, ProxyError
from ..models.registry import Registry, Route, Target
from ..money import dollars
from ..protocol.answer.edits import with_applied_edits, with_cost
from ..protocol.request.messages import MessagesRequest, parse_request
from ..protocol.request.policy import Policy
from ..redaction import shown
from ..tools.toolset import Toolset
from ..upstream.base import AnswerStream, Upstream
from .admission.admission import Admission
from .admission.lease import Lease
from .answer.pacing import PacedStream, Pacing
from .answer.stream import AnswerEvents, EventSource, refused
from .answer.whole import open_stream
from .conversion import Conversion, ConversionOptions, policy_for
from .exchange import Exchange
from .failover.attempts import Attempts, SingleTarget
from .failover.failover import Failover, pinned_provider
from .overrides.known import OverrideView, capabilities_of
from .overrides.overrides import Overrides
from .sources import Sources, has_urls

_log = logging.getLogger("anthropic_bedrock_proxy.gateway")


class Messages:
    """Serves the Messages API from the providers where its models run."""

    def __init__(
        self,
        *,
        upstreams: Mapping[str, Upstream],
        registry: Registry,
        failover: Failover,
        admission: Admission,
        pacing: Pacing,
        overrides: Overrides,
        sources: Sources,
        resolve_profile: Callable[[str, str], Awaitable[None]],
        policy: Policy,
        toolset: Toolset,
        report_cost: bool = False,
        monotonic: Callable[[], float],
    ) -> None:
        """`upstreams` by provider; `policy` are the operator's, for every request.

        `report_cost` tells clients what an answer has cost.
        `resolve_profile` finds out what is behind an application inference profile, for a key.
        """
        self._upstreams = upstreams
        self._registry = registry
        self._failover = failover
        self._admission = admission
        self._pacing = pacing
        self._overrides = overrides
        self._sources = sources
        self._resolve_profile = resolve_profile
        self._policy = policy
        self._toolset = toolset
        self._report_cost = report_cost
        self._monotonic = monotonic

    async def handle(self, exchange: Exchange, body: bytes | bytearray) -> bytes | EventSource:
        """Answers one authenticated request: with a message document, or with events as they come.

        Raises `ProxyError`.
        """
        request = parse_request(body, exchange.version)
        exchange.model = request.view.model
        exchange.stream = bool(request.view.stream)
        route = self._route(exchange, request)
        exchange.listed = route.listed
        options = ConversionOptions(
            flags=exchange.betas,
            rules=self._registry.betas,
            policy=policy_for(self._policy, exchange.caller),
            stream=exchange.stream,
            request_id=exchange.request_id,
            key_id=exchange.key_id,
        )
        lease = await self._admission.admit(exchange, request, route, body)
        try:
            if route.opaque:
                await self._resolve_profile(route.base_model_id, exchange.key_id)
                route = self._route(exchange, request)
                exchange.listed = route.listed
                await self._admission.confirm(exchange, request, route, lease)
            if not request.plain and has_urls(request.view):
                request = await self._sources.inline(request, exchange.key_id)
            if len(route.targets) == 1:
                only = SingleTarget(route.targets[0])
                reply = await self._attempt(exchange, request, only, options, lease)
                assert reply is not None  # noqa: S101  # there is no next one
                return reply
            return await self._try_targets(exchange, request, route, options, lease)
        except UpstreamRefusal as refusal:
            # No local names the error: with its traceback it would keep this frame, and the
            # request's body, alive until the collector comes.
            raise refused(exchange, refusal, lease) from None
        except ProxyError as error:
            exchange.error_type = error.type
            lease.settle()
            raise
        except BaseException:  # the client left, or the server is stopping
            lease.settle()
            raise

    def _route(self, exchange: Exchange, request: MessagesRequest) -> Route:
        geography = request.inference_geo() if "inference_geo" in request.fields else ""
        provider = pinned_provider(exchange.caller, self._upstreams)
        return self._registry.route(exchange.model, provider=provider, geography=geography)

    async def _try_targets(
        self,
        exchange: Exchange,
        request: MessagesRequest,
        route: Route,
        options: ConversionOptions,
        lease: Lease,
    ) -> bytes | EventSource:
        attempts = Attempts(self._failover, route, exchange, request)
        while True:
            try:
                reply = await self._attempt(exchange, request, attempts, options, lease)
            except InvalidRequestError:
                if not attempts.unsuited():
                    raise
                continue
            except BaseException:
                attempts.abandoned()
                raise
            if reply is None:
                continue
            exchange.served_by = attempts.succeeded()
            return reply

    async def _attempt(
        self,
        exchange: Exchange,
        request: MessagesRequest,
        attempts: Attempts | SingleTarget,
        options: ConversionOptions,
        lease: Lease,
    ) -> bytes | EventSource | None:
        """Asks one target; again if its refusal taught what to leave out. None: on to the next."""
        target = attempts.target
        view = self._overrides.view(target, options.key_id)
        while True:
            if not request.plain and self._toolset.needs_turn(
                request, capabilities_of(target, view), options.rules
            ):
                return await self._turn(exchange, request, attempts, options, lease, view=view)
            conversion = attempts.with_deadlines(
                self._convert(exchange, request, target, options, view)
            )
            exchange.target = target
            upstream = self._upstreams[target.provider]
            reply: bytes | EventSource
            try:
                if exchange.stream:
                    reply = await self._stream(exchange, upstream, conversion, lease)
                else:
                    reply = await self._whole(exchange, upstream, conversion, lease)
            except UpstreamRefusal as refusal:
                taught = self._overrides.learn(
                    request, target, options, conversion.call, refusal, view=view
                )
                if taught is not None:
                    view = taught
                    continue
                if attempts.failed(refusal):
                    return None
                if refusal.sent:
                    exchange.meter.assume_input(conversion.call.body)
                raise
            except BaseException:  # the client left, or the server is stopping
                exchange.meter.assume_input(conversion.call.body)
                raise
            if view is not None:
                self._overrides.confirm(target, options, conversion.call, view)
            return reply

    async def _turn(
        self,
        exchange: Exchange,
        request: MessagesRequest,
        attempts: Attempts | SingleTarget,
        options: ConversionOptions,
        lease: Lease,
        *,
        view: OverrideView | None,
    ) -> bytes | EventSource | None:
        """Asks one target for a turn of several calls, in which the proxy runs the tools."""
        from .turns import Calls, opened_turn, whole_turn  # noqa: PLC0415  # most never need it

        target = attempts.target
        streamed = msgspec.structs.replace(options, stream=True)

        def convert(made: MessagesRequest, view: OverrideView | None) -> Conversion:
            conversion = self._convert(exchange, made, target, streamed, view)
            exchange.target = target
            return conversion

        calls = Calls(
            self._upstreams[target.provider],
            view=view,
            convert=convert,
            learn=lambda made, call, refusal, view: self._overrides.learn(
                made, target, streamed, call, refusal, view=view
            ),
            confirm=lambda call, view: self._overrides.confirm(target, streamed, call, view),
            patient=attempts.with_deadlines,
            extend=lease.extend,
        )
        try:
            stream = await opened_turn(request, calls, exchange, self._toolset)
        except UpstreamRefusal as refusal:
            if attempts.failed(refusal):
                return None
            raise
        paced = self._began(exchange, stream)
        if exchange.stream:
            return AnswerEvents(
                exchange,
                stream,
                paced,
                lease,
                applied_edits=calls.applied_edits,
                spent=stream.spent,
                report_cost=self._report_cost,
                request_body=calls.body,
            )
        body = await whole_turn(exchange, stream, paced, calls)
        return self._finished(exchange, body, lease)

    def _convert(
        self,
        exchange: Exchange,
        request: MessagesRequest,
        target: Target,
        options: ConversionOptions,
        view: OverrideView | None,
    ) -> Conversion:
        conversion = self._overrides.convert(request, target, options, view)
        exchange.warnings = conversion.warnings
        if conversion.dropped or conversion.warnings:
            _log.info(
                "left out for Bedrock",
                extra={
                    "request_id": exchange.request_id,
                    "dropped": shown(conversion.dropped),
                    "warnings": shown(conversion.warnings),
                },
            )
        return conversion

    async def _whole(
        self, exchange: Exchange, upstream: Upstream, conversion: Conversion, lease: Lease
    ) -> bytes:
        answer = await upstream.call(conversion.call)
        exchange.upstream_request_id = answer.upstream_request_id
        exchange.service_tier = answer.service_tier
        body = conversion.finish(answer.body)
        try:
            exchange.meter.observe_message(body)
        except (msgspec.MsgspecError, ValueError) as error:
            raise UpstreamRefusal("InternalServerException", f"not a message: {error}") from error
        exchange.meter.assume_input(conversion.call.body)  # unless the answer told it
        if conversion.applied_edits is not None:
            body = with_applied_edits(body, conversion.applied_edits)
        return self._finished(exchange, body, lease)

    def _finished(self, exchange: Exchange, body: bytes, lease: Lease) -> bytes:
        lease.settle()
        if self._report_cost and (cost := lease.price()) is not None:
            exchange.cost_nano = cost
            body = with_cost(body, dollars(cost))
        return body

    async def _stream(
        self, exchange: Exchange, upstream: Upstream, conversion: Conversion, lease: Lease
    ) -> EventSource:
        stream = await open_stream(upstream, conversion)
        paced = self._began(exchange, stream)
        return AnswerEvents(
            exchange,
            stream,
            paced,
            lease,
            applied_edits=conversion.applied_edits,
            report_cost=self._report_cost,
            request_body=conversion.call.body,
        )

    def _began(self, exchange: Exchange, stream: AnswerStream) -> PacedStream:
        exchange.upstream_request_id = stream.upstream_request_id
        exchange.service_tier = stream.service_tier
        exchange.ttft_ms = round((self._monotonic() - exchange.started) * 1000)
        return PacedStream(stream, self._pacing, self._monotonic, started=exchange.started)
