"""The story of POST /v1/messages: parse, route, admit, convert, call, answer, settle.

Read it top to bottom. Nothing is sent to the client before the first upstream event, so a refusal
is a real HTTP status; what breaks later is an error at the end of the events.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from ..aws_errors import UpstreamRefusal
from ..errors import InvalidRequestError, ProxyError
from ..models.registry import Registry, Route
from ..money import dollars
from ..protocol.answer.edits import with_cost
from ..protocol.answer.events import Event
from ..protocol.request.messages import MessagesRequest, parse_request
from ..protocol.request.policy import Policy
from ..tools.toolset import Toolset
from ..upstream.base import AnswerStream, Upstream
from .admission.admission import Admission
from .admission.lease import Lease
from .admission.permissions import may_run_code
from .answer.pacing import PacedStream, Pacing
from .answer.stream import AnswerEvents, EventSource, refused
from .attempt import AdmittedRequest, Attempt, call_whole, open_stream
from .conversion import ConversionOptions, policy_for
from .exchange import Exchange
from .failover.attempts import Attempts, SingleTarget
from .failover.failover import Failover, pinned_provider
from .overrides.known import capabilities_of
from .overrides.overrides import Overrides
from .retirement import explained
from .sources import Sources, has_urls


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
        """`upstreams` by provider; `policy` is the operator's, for every request.

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
        request = parse_request(body, exchange.version, drops_sampling=self._policy.drops_sampling)
        exchange.model = request.view.model
        exchange.stream = bool(request.view.stream)
        route = self._route(exchange, request)
        options = ConversionOptions(
            flags=exchange.betas,
            rules=self._registry.betas,
            policy=policy_for(self._policy, exchange.caller),
            stream=exchange.stream,
            request_id=exchange.request_id,
            key_id=exchange.key_id,
            timeline=exchange.timeline,
        )
        lease = await self._admission.admit(exchange, request, route, body)
        try:
            if route.opaque:
                await self._resolve_profile(route.base_model_id, exchange.key_id)
                route = self._route(exchange, request)
                await self._admission.confirm(exchange, request, route, lease)
            if not request.plain and has_urls(request.view):
                request = await self._sources.inline(request, exchange.key_id)
            admitted = AdmittedRequest(exchange, request, options, lease)
            if len(route.targets) == 1:
                answer = await self._ask(admitted, SingleTarget(route.targets[0]))
                assert answer is not None  # noqa: S101  # there is no next one
            else:
                answer = await self._try_targets(admitted, route)
            if exchange.stream:
                return answer
            if isinstance(answer, AnswerEvents):
                answer = await answer.folded()
            return self._finished(admitted, answer)
        except UpstreamRefusal as refusal:
            # No local names the error: with its traceback it would keep this frame, and the
            # request's body, alive until the collector comes.
            _count_searches(exchange, route, lease)
            raise explained(refused(exchange, refusal, lease), route, self._registry) from None
        except ProxyError as error:
            exchange.error_type = error.type
            _count_searches(exchange, route, lease)
            lease.settle()
            raise
        except BaseException:  # the client left, or the server is stopping
            _count_searches(exchange, route, lease)
            lease.settle()
            raise

    def _route(self, exchange: Exchange, request: MessagesRequest) -> Route:
        geography = request.inference_geo() if "inference_geo" in request.fields else ""
        provider = pinned_provider(exchange.caller, self._upstreams)
        route = self._registry.route(exchange.model, provider=provider, geography=geography)
        exchange.listed, exchange.retires = route.listed, route.retires
        return route

    async def _try_targets(self, admitted: AdmittedRequest, route: Route) -> bytes | AnswerEvents:
        exchange = admitted.exchange
        attempts = Attempts(self._failover, route, exchange, admitted.request)
        while True:
            try:
                answer = await self._ask(admitted, attempts)
            except InvalidRequestError:
                if not attempts.unsuited():
                    raise
                continue
            except BaseException:
                attempts.abandoned()
                raise
            if answer is None:
                continue
            # A turn that needed no model has shown nothing of the target.
            if exchange.turn is not None and exchange.turn.needs_no_model:
                attempts.abandoned()
            else:
                exchange.served_by = attempts.succeeded()
            return answer

    async def _ask(
        self, admitted: AdmittedRequest, attempts: Attempts | SingleTarget
    ) -> bytes | AnswerEvents | None:
        """Asks the target that `attempts` are at; None: on to the next."""
        attempt = Attempt(admitted, attempts, self._upstreams, self._overrides)
        try:
            return await self._answer(attempt)
        except UpstreamRefusal as refusal:
            if attempts.failed(refusal):
                return None
            if refusal.sent and attempt.conversion is not None:
                attempt.exchange.meter.assume_input(attempt.conversion.call.body)
            raise

    async def _answer(self, attempt: Attempt) -> bytes | AnswerEvents:
        """Returns the answer of one target: whole, or, of a turn too, as events.

        Raises `UpstreamRefusal` before its first byte.
        """
        exchange, request = attempt.exchange, attempt.request
        while request.plain or not (
            tools := self._toolset.needed(
                request,
                capabilities_of(attempt.target, attempt.view),
                attempt.options.rules,
                may_provide_code=may_run_code(exchange.caller),
            )
        ):
            if exchange.stream:
                stream = await attempt.call(request, open_stream)
                if stream is not None:
                    return self._events(attempt, stream)
            else:
                body = await attempt.call(request, partial(call_whole, exchange))
                if body is not None:
                    return body
        from .turns import opened_turn  # noqa: PLC0415  # most never need it

        turn = await opened_turn(attempt, tools)
        return self._events(attempt, turn, spent=turn.spent)

    def _events(
        self,
        attempt: Attempt,
        stream: AnswerStream,
        *,
        spent: Callable[[], Event] | None = None,
    ) -> AnswerEvents:
        exchange, conversion = attempt.exchange, attempt.conversion
        exchange.upstream_request_id = stream.upstream_request_id
        exchange.service_tier = stream.service_tier
        exchange.ttft_ms = round((self._monotonic() - exchange.started) * 1000)
        added: Callable[[], Mapping[str, Any]] | None = None
        if spent is not None:  # of a turn: the last call's
            added = attempt.added
        elif conversion is not None and conversion.added:
            added = partial(dict, conversion.added)  # and not the attempt, which holds the request
        paced = PacedStream(stream, self._pacing, self._monotonic, started=exchange.started)
        return AnswerEvents(
            exchange,
            stream,
            paced,
            attempt.lease,
            added=added,
            spent=spent,
            report_cost=self._report_cost and exchange.stream,
            whole=not exchange.stream,
            request_body=conversion.call.body if conversion is not None else b"",
        )

    def _finished(self, admitted: AdmittedRequest, body: bytes) -> bytes:
        lease = admitted.lease
        lease.settle()
        if self._report_cost and (cost := admitted.exchange.cost_nano) is not None:
            admitted.exchange.tells_cost = True
            body = with_cost(body, dollars(cost))
        return body


def _count_searches(exchange: Exchange, route: Route, lease: Lease) -> None:
    """Charges the searches that a history left open, if nothing came of the model call behind."""
    if exchange.timeline.tools and lease.state == "open":
        from .turns import count_searches  # noqa: PLC0415  # most never need it

        count_searches(exchange, route.targets[0])
