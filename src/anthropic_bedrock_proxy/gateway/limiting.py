"""Rate limits of a request: which buckets it draws from, and what clients are told of them.

A key, its user and its team may each have limits; a request draws from all of them at once or from
none. Tokens are estimated when it begins, and the difference is settled when it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Literal

import msgspec

from ..errors import RateLimitError, UnavailableError
from ..limits.base import Bucket, Decision, Level, Limiter, LimiterError, Slot, Take
from ..protocol.metering import Meter
from ..store.records import Allowance, Caller
from .keys import MASTER
from .purse import owners_of
from .reply import Headers

Kind = Literal["requests", "tokens", "input-tokens", "output-tokens"]
_KINDS: Final[tuple[Kind, ...]] = ("requests", "tokens", "input-tokens", "output-tokens")
_WORDS: Final = {
    "requests": "requests",
    "tokens": "tokens",
    "input-tokens": "input tokens",
    "output-tokens": "output tokens",
}
_MINUTE: Final = 60.0
_MAX_REMEMBERED: Final = 4096


class LimitOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator says about limits; the default is for keys that have no rate of their own.

    `output_estimate` tokens are taken when a request begins, if it may write as many.
    """

    enabled: bool = True
    requests: int = 1000
    window_seconds: float = _MINUTE
    output_estimate: int = 4096
    master_requests: int | None = None  # per minute; None: the master key has no limits


class Plan(msgspec.Struct, frozen=True):
    """The buckets of a caller."""

    caller: Caller
    buckets: tuple[tuple[Kind, Bucket], ...]
    slots: tuple[Slot, ...]

    @property
    def counts_only_requests(self) -> bool:
        """Whether tokens need not be estimated."""
        return len(self.buckets) == 1 and self.buckets[0][0] == "requests"


class Ticket(msgspec.Struct, frozen=True):
    """What a running request has drawn."""

    plan: Plan
    decision: Decision
    takes: Sequence[Take]


class Limits:
    """Draws for requests, from whatever limiter there is."""

    def __init__(
        self, limiter: Limiter, options: LimitOptions, *, now: Callable[[], float]
    ) -> None:
        self._limiter = limiter
        self._options = options
        self._now = now
        self._plans: dict[str, Plan] = {}
        self.refusals = 0

    def plan(self, caller: Caller) -> Plan | None:
        """The limits that apply; None: none at all."""
        if not self._options.enabled or (
            caller is MASTER and self._options.master_requests is None
        ):
            return None
        plan = self._plans.get(caller.key.id)
        if plan is None or plan.caller is not caller:
            if len(self._plans) >= _MAX_REMEMBERED:
                self._plans.clear()
            plan = self._plans[caller.key.id] = self._make(caller)
        return plan if plan.buckets or plan.slots else None

    async def take(self, plan: Plan, *, input_tokens: int, max_tokens: int) -> Ticket:
        """Draws, or raises `RateLimitError`; `UnavailableError` if nobody can count."""
        output = min(max_tokens, self._options.output_estimate)
        costs = (1, input_tokens + output, input_tokens, output)
        takes = [Take(bucket, costs[_KINDS.index(kind)]) for kind, bucket in plan.buckets]
        try:
            decision = await self._limiter.take(takes, plan.slots)
        except LimiterError as error:
            raise UnavailableError(
                "Rate limits cannot be checked right now. Try again shortly.", retry_after=2.0
            ) from error
        if not decision.allowed:
            self.refusals += 1
            raise self._refused(plan, decision)
        return Ticket(plan, decision, takes)

    def settle(self, ticket: Ticket, meter: Meter | None) -> None:
        """Takes or gives back the difference to what was used; None: no model was called."""
        changes: list[Take] = []
        if meter is None:
            used = (1, 0, 0, 0)
        else:
            usage, output = meter.usage, meter.output_tokens
            # Cache reads are free of limits, as with Anthropic.
            given = (usage.input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
            used = (1, given + output, given, output)
        for (kind, bucket), take in zip(ticket.plan.buckets, ticket.takes, strict=True):
            difference = used[_KINDS.index(kind)] - take.charged
            if difference:
                changes.append(Take(bucket, difference))
        if changes or ticket.plan.slots:
            self._limiter.settle(ticket.decision, changes, ticket.plan.slots)

    def undo(self, ticket: Ticket) -> None:
        """The request was refused for another reason: as if it had never been."""
        changes = [Take(take.bucket, -take.charged) for take in ticket.takes]
        self._limiter.settle(ticket.decision, changes, ticket.plan.slots)

    def headers(self, plan: Plan, decision: Decision) -> Headers:
        """Where the caller stands: the narrowest level of each kind."""
        narrowest: dict[Kind, Level] = {}
        for (kind, _), level in zip(plan.buckets, decision.levels, strict=True):
            known = narrowest.get(kind)
            if known is None or level.remaining < known.remaining:
                narrowest[kind] = level
        now = self._now()
        headers: Headers = []
        for kind, level in narrowest.items():
            name = f"anthropic-ratelimit-{kind}-".encode()
            reset = _rfc3339(int(now + level.reset_seconds) + 1)
            headers += [
                (name + b"limit", b"%d" % level.limit),
                (name + b"remaining", b"%d" % level.remaining),
                (name + b"reset", reset),
            ]
        if (requests := narrowest.get("requests")) is not None:
            headers += [
                (b"x-ratelimit-limit", b"%d" % requests.limit),
                (b"x-ratelimit-remaining", b"%d" % requests.remaining),
                (b"x-ratelimit-reset", b"%d" % (int(now + requests.reset_seconds) + 1)),
            ]
        return headers

    def _make(self, caller: Caller) -> Plan:
        buckets: list[tuple[Kind, Bucket]] = []
        slots: list[Slot] = []
        for owner, allowance in owners_of(caller):
            buckets += [(kind, bucket) for kind, bucket in self._buckets(owner, allowance)]
            if allowance.concurrency_limit is not None:
                slots.append(Slot(owner, allowance.concurrency_limit))
        return Plan(caller, tuple(buckets), tuple(slots))

    def _buckets(self, owner: str, allowance: Allowance) -> list[tuple[Kind, Bucket]]:
        rate, seconds = allowance.rate_limit, _MINUTE
        if allowance is MASTER.key:
            rate = self._options.master_requests
        elif rate is None and owner.startswith("key:"):
            rate, seconds = self._options.requests, self._options.window_seconds
        limits: tuple[tuple[Kind, int | None, float], ...] = (
            ("requests", rate, seconds),
            ("tokens", allowance.tpm_limit, _MINUTE),
            ("input-tokens", allowance.input_tpm_limit, _MINUTE),
            ("output-tokens", allowance.output_tpm_limit, _MINUTE),
        )
        return [
            (kind, Bucket(f"{owner}/{kind}", limit, per))
            for kind, limit, per in limits
            if limit is not None
        ]

    def _refused(self, plan: Plan, decision: Decision) -> RateLimitError:
        index = decision.denied or 0
        retry_after = max(decision.retry_after, 0.001)
        if index < len(plan.buckets):
            kind, bucket = plan.buckets[index]
            owner, what = bucket.name.partition("/")[0], _WORDS[kind]
            per = "minute" if bucket.seconds == _MINUTE else f"{bucket.seconds:g} seconds"
            limit = f"{bucket.limit} {what} per {per}"
        else:
            slot = plan.slots[index - len(plan.buckets)]
            owner, limit = slot.name, f"{slot.limit} requests at once"
        error = RateLimitError(
            f"This request would exceed the limit of {limit} of the {owner.replace(':', ' ')}. "
            "Try again later.",
            retry_after=retry_after,
        )
        error.extra_headers = self.headers(plan, decision)
        return error


@lru_cache(maxsize=256)
def _rfc3339(at: int) -> bytes:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode()
