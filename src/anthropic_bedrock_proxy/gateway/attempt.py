"""One attempt: a request at one target, with all model calls that it makes there.

Whatever a call needs travels in it. Its one retry is that of a refusal which teaches what to leave
out (gateway/overrides): the model is called once more without. Retries of what is throttled or
broken are the upstream's; another target is another attempt (failover/attempts.py).

    attempt = Attempt(admitted, attempts, upstreams, overrides)
    while (answer := await attempt.call(request, send)) is None:
        it learned something: whether a turn is needed may have changed
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from ..aws_errors import NOT_AN_ANSWER, UpstreamRefusal
from ..errors import InvalidRequestError
from ..models.registry import Target
from ..protocol.answer.bedrock_words import DEFAULT_TIER
from ..protocol.answer.edits import with_added, with_tier
from ..protocol.answer.events import Event, explode
from ..protocol.raw import MISSHAPEN, decode
from ..protocol.request.messages import MessagesRequest
from ..redaction import shown
from ..upstream.base import AnswerStream, ModelCall, Upstream
from .admission.lease import Lease
from .conversion import Conversion, ConversionOptions, convert
from .exchange import Exchange
from .failover.attempts import Attempts, SingleTarget
from .overrides.known import OverrideView
from .overrides.overrides import Overrides

_log = logging.getLogger("anthropic_bedrock_proxy.gateway")
A = TypeVar("A")


class AdmittedRequest(msgspec.Struct, frozen=True):
    """A request that was admitted, and how it is to be converted wherever it goes."""

    exchange: Exchange
    request: MessagesRequest
    options: ConversionOptions
    lease: Lease


class Attempt:
    """A request at the target that `attempts` are at. `conversion` is that of the last call."""

    __slots__ = (
        "_answered",
        "_attempts",
        "_overrides",
        "_upstream",
        "conversion",
        "exchange",
        "lease",
        "options",
        "request",
        "target",
        "view",
        "warnings",
    )

    def __init__(
        self,
        admitted: AdmittedRequest,
        attempts: Attempts | SingleTarget,
        upstreams: Mapping[str, Upstream],
        overrides: Overrides,
    ) -> None:
        """`upstreams` by provider."""
        self.exchange = admitted.exchange
        self.request = admitted.request
        self.options = options = admitted.options
        self.lease = admitted.lease
        self.target = attempts.target
        self.view = overrides.view(attempts.target, options.key_id)
        self._attempts = attempts
        self._upstream = upstreams[attempts.target.provider]
        self._overrides = overrides
        self.conversion: Conversion | None = None
        self.warnings: Sequence[str] = ()  # of the turn, beside those of conversions
        self._answered = False  # then it cannot move elsewhere

    async def call(
        self, request: MessagesRequest, send: Callable[[Upstream, Conversion], Awaitable[A]]
    ) -> A | None:
        """Makes one model call; None if its refusal taught what to leave out: call again.

        Raises `UpstreamRefusal`, `InvalidRequestError` with the path for what the target cannot do.
        """
        conversion = self._convert(request)
        if not self._answered:
            conversion = self._attempts.with_deadlines(conversion)
        self.conversion = conversion
        exchange = self.exchange
        exchange.target = self.target
        try:
            answer = await send(self._upstream, conversion)
        except UpstreamRefusal as refusal:
            view = learned(
                self._overrides,
                request,
                self.target,
                self.options,
                call=conversion.call,
                refusal=refusal,
                view=self.view,
            )
            if view is None:
                raise
            self.view = view
            return None
        except BaseException:  # the client left, or the server is stopping
            exchange.meter.assume_input(conversion.call.body)
            raise
        self._answered = True
        if self.view is not None:
            self._overrides.confirm(self.target, self.options, conversion.call, self.view)
        return answer

    def added(self) -> Mapping[str, Any]:
        """Returns the fields that the answer gets after the last call."""
        return {} if self.conversion is None else self.conversion.added

    async def open_call(self, request: MessagesRequest) -> AnswerStream:
        """Opens one model call of a turn; admits each but the first.

        Raises as `call`, and what admission raises.
        """
        if self._answered:
            turn = self.exchange.turn
            await self.lease.extend(request, turn.turn.searches if turn is not None else 0)
            self.exchange.timeline.step += 1
        while (stream := await self.call(request, open_stream)) is None:
            pass
        return stream

    def _convert(self, request: MessagesRequest) -> Conversion:
        conversion = convert(request, self.target, self.options, self.view)
        self.exchange.warnings = [*self.warnings, *conversion.warnings]
        self.exchange.dropped = conversion.dropped
        if conversion.dropped or conversion.warnings:
            _log.info(
                "left out for Bedrock",
                extra={
                    "request_id": self.exchange.request_id,
                    "dropped": shown(conversion.dropped),
                    "warnings": shown(conversion.warnings),
                },
            )
        return conversion


def learned(
    overrides: Overrides,
    request: MessagesRequest,
    target: Target,
    options: ConversionOptions,
    *,
    call: ModelCall,
    refusal: UpstreamRefusal,
    view: OverrideView | None,
) -> OverrideView | None:
    """Returns what to convert with after the refusal of `call`; None: it makes the same call."""
    taught = overrides.learn(target, options, call, refusal, view=view)
    if taught is None:
        return None
    try:
        again = convert(request, target, options, taught).call
    except InvalidRequestError:
        return taught  # the next call says what cannot be done without
    return taught if (again.body, again.headers) != (call.body, call.headers) else None


async def call_whole(exchange: Exchange, upstream: Upstream, conversion: Conversion) -> bytes:
    """Calls the model whole; returns its message. Raises `UpstreamRefusal`."""
    answer = await upstream.call(conversion.call)
    exchange.upstream_request_id = answer.upstream_request_id
    exchange.service_tier = answer.service_tier
    body = conversion.finish(answer.body)
    if answer.service_tier is not None and answer.service_tier != DEFAULT_TIER:
        body = with_tier(body, answer.service_tier)
    try:
        exchange.meter.observe_message(body)
    except (msgspec.MsgspecError, ValueError) as error:
        raise UpstreamRefusal(NOT_AN_ANSWER, f"not a message: {error}") from error
    exchange.meter.assume_input(conversion.call.body)  # unless the answer told it
    if conversion.added:
        body = with_added(body, conversion.added)
    return body


async def open_stream(upstream: Upstream, conversion: Conversion) -> AnswerStream:
    """Opens an answer as a stream, be the model able to or not. Raises `UpstreamRefusal`."""
    if conversion.whole_only:
        return await whole_as_stream(upstream, conversion)
    return await upstream.stream(conversion.call, conversion.new_decoder)


async def whole_as_stream(upstream: Upstream, conversion: Conversion) -> AnswerStream:
    """Calls the model whole; its answer comes as events, all at once. Raises `UpstreamRefusal`."""
    answer = await upstream.call(conversion.call)
    try:
        events = list(explode(decode(conversion.finish(answer.body))))
    except MISSHAPEN as error:
        raise UpstreamRefusal(NOT_AN_ANSWER, f"not a message: {error}") from error
    return _Events(events, answer.upstream_request_id, answer.service_tier)


class _Events:
    """Events that are all there already (an `AnswerStream`)."""

    usage_estimated = False

    def __init__(
        self, events: list[Event], upstream_request_id: str | None, service_tier: str | None
    ) -> None:
        self._events: list[Event] | None = events
        self.upstream_request_id = upstream_request_id
        self.service_tier = service_tier

    async def read(self, timeout: float) -> list[Event] | None:  # noqa: ARG002, ASYNC109  # nothing to wait for
        """Returns all events, then the end."""
        events, self._events = self._events, None
        return events

    def close(self) -> None:
        """Does nothing: nothing is open."""
