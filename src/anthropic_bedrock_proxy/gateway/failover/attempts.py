"""One request's way through the targets of its route, until one answers or nothing is left."""

from __future__ import annotations

import logging
from typing import Final

import msgspec

from ...aws_errors import UpstreamRefusal, rule_for
from ...errors import RateLimitError
from ...models.registry import Route, Target
from ...protocol.request.messages import MessagesRequest
from ...upstream.base import Deadlines
from ..conversion import Conversion
from ..exchange import Exchange
from .breakers import BreakerPass, TargetBreakers
from .conversations import fingerprint
from .failover import Failover
from .targets import (
    FAILURES,
    THROTTLING,
    QuotaId,
    has_several,
    is_broken,
    is_elsewhere,
    is_of_the_request,
    is_unavailable,
    label,
    quota_of,
)

_LONGEST_COOLDOWN_SECONDS: Final = 300.0  # whatever a target says: a probe is cheap

_log = logging.getLogger("anthropic_bedrock_proxy.failover")


class SingleTarget:
    """The way of most requests: one target, so that nothing has to be kept (like `Attempts`)."""

    __slots__ = ("target",)

    def __init__(self, target: Target) -> None:
        self.target = target

    def with_deadlines(self, conversion: Conversion) -> Conversion:
        """Returns the conversion unchanged."""
        return conversion

    def failed(self, refusal: UpstreamRefusal) -> bool:  # noqa: ARG002  # as that of Attempts
        """Returns False: there is no other target."""
        return False


class Attempts:
    """One request's way: `target` is the one to call now; tell how that ended, once each."""

    __slots__ = (
        "_absent",
        "_breakers",
        "_cooling",
        "_exchange",
        "_failover",
        "_pass",
        "_request",
        "_rest",
        "_route",
        "_said",
        "_sent",
        "_several",
        "target",
    )

    def __init__(
        self, failover: Failover, route: Route, exchange: Exchange, request: MessagesRequest
    ) -> None:
        """Raises `RateLimitError` or `OverloadedError` when every target is cooling."""
        self._failover = failover
        self._route = route
        self._exchange = exchange
        self._request = request
        self._rest = failover.order(route, exchange, request)
        self._several = has_several(self._rest)
        self._absent: list[Target] = []
        self._cooling: list[Target] = []  # passed over
        self._said: tuple[str, str, int, float | None] | None = None  # the last refusal
        self._sent = False
        self._breakers: TargetBreakers | None = None
        self._pass: BreakerPass | None = None
        self.target = self._rest[0]
        if not self._next():
            raise failover.cooling(self._cooling, exchange.key_id)

    def with_deadlines(self, conversion: Conversion) -> Conversion:
        """Shortens a call's deadlines while another provider could serve the request."""
        if not self._several or not self._others():
            return conversion
        options = self._failover.options
        streams = conversion.call.operation.endswith("-stream")
        seconds = options.first_byte_seconds if streams else options.answer_seconds
        deadlines = Deadlines(max_attempts=1, first_byte_seconds=seconds)
        call = msgspec.structs.replace(conversion.call, deadlines=deadlines)
        return msgspec.structs.replace(conversion, call=call)

    def unsuited(self) -> bool:
        """Moves on from a target that cannot do what is asked; returns whether there is another.

        What only the last target cannot do is not the client's mistake. So, if there is none, an
        earlier one's `UpstreamRefusal` is raised again, or said that the others are cooling.
        """
        self.abandoned()
        if self._next():
            return True
        if self._said is not None:
            if self._sent:  # and may be billed
                self._exchange.meter.assume_input(b",".join(self._request.fields.values()))
            raise self._again(*self._said) from None
        if self._cooling:
            raise self._failover.cooling(self._cooling, self._exchange.key_id) from None
        return False

    def failed(self, refusal: UpstreamRefusal) -> bool:
        """Moves on from a target that refused or failed; returns whether another may do better."""
        refusal.sent = self._sent = self._sent or refusal.sent
        target = self.target
        if is_elsewhere(target, refusal):
            self._answered()
            self._absent.append(target)
        elif is_broken(refusal):
            self._count(refusal)
            self._rest = self._others()
        elif is_unavailable(refusal):
            self._answered()
            self._rest = self._others()
        else:
            self._answered()
            return False
        if not self._next():
            return False
        self._said = (refusal.code, refusal.message, refusal.status, refusal.retry_after)
        self._note_switch(target, refusal.code)
        return True

    def succeeded(self) -> str | None:
        """Notes that the target answers; returns its label, if there was a choice."""
        target, failover = self.target, self._failover
        self._answered()
        for absent in self._absent:
            failover.remember_missing(absent)
        first = self._route.targets[0]
        if self._several:
            self._remember(quota_of(target), quota_of(first))
        elif target is first:
            return None
        return label(target)

    def abandoned(self) -> None:
        """Notes that nobody waits for the target any more."""
        if self._breakers is not None and self._pass is not None:
            self._breakers.abandoned(self._exchange.key_id, self._pass)

    def _again(
        self, code: str, message: str, status: int, retry_after: float | None
    ) -> UpstreamRefusal:
        refusal = UpstreamRefusal(code, message, status=status, retry_after=retry_after)
        refusal.sent = self._sent
        return refusal

    def _next(self) -> bool:
        """Takes the next target that may be called."""
        while self._rest:
            target, self._rest = self._rest[0], self._rest[1:]
            if self._several:
                self._breakers = self._failover.breakers(target)
                self._pass = self._breakers.begin(self._exchange.key_id, self._failover.monotonic())
                if self._pass is None:
                    self._cooling.append(target)
                    continue
            self.target = target
            return True
        self._breakers = self._pass = None
        return False

    def _others(self) -> list[Target]:
        """Returns the targets left in other providers and models that may be called."""
        now, here, failover = self._failover.monotonic(), quota_of(self.target), self._failover
        return [
            target
            for target in self._rest
            if quota_of(target) != here
            and failover.breakers(target).allows(self._exchange.key_id, now)
        ]

    def _answered(self) -> None:
        if (
            self._breakers is not None
            and self._pass is not None
            and self._breakers.succeeded(self._exchange.key_id, self._pass)
        ):
            _log.info("target answers again", extra={"target": label(self.target)})

    def _count(self, refusal: UpstreamRefusal) -> None:
        breakers, key_id = self._breakers, self._exchange.key_id
        if breakers is None or self._pass is None:
            return
        told = refusal.retry_after
        opened = breakers.failed(
            key_id,
            self._pass,
            self._failover.monotonic(),
            cause=THROTTLING if rule_for(refusal).error is RateLimitError else FAILURES,
            cooldown_seconds=None if not told else min(told, _LONGEST_COOLDOWN_SECONDS),
            may_be_its_own=is_of_the_request(refusal),
        )
        if opened:
            seconds = round(breakers.common.wait_seconds(self._failover.monotonic()), 1)
            extra = {"target": label(self.target), "code": refusal.code, "seconds": seconds}
            _log.warning("target is left alone", extra=extra)

    def _remember(self, quota: QuotaId, first: QuotaId) -> None:
        conversations = self._failover.conversations
        if quota == first and not len(conversations):
            return
        conversation = fingerprint(self._exchange.key_id, self._request)
        if quota == first:
            conversations.forget(conversation)
        else:
            conversations.remember(conversation, quota, self._failover.monotonic())

    def _note_switch(self, target: Target, code: str) -> None:
        switch = (label(target), label(self.target))
        self._exchange.switches += ((*switch, code),)
        _log.warning(
            "switched to another target; AWS may bill the attempt that was given up"
            if self._sent
            else "switched to another target",
            extra={
                "request_id": self._exchange.request_id,
                "from": switch[0],
                "to": switch[1],
                "code": code,
            },
        )
