"""Rate limits of a request: which buckets it draws from, and what clients are told of them.

A key, its user and its team may each have limits; a request draws from all of them at once or from
none. Tokens are estimated when it begins, and the difference is settled when it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter, sub
from typing import Final

import msgspec

from ...errors import LimitState, RateLimitError, UnavailableError
from ...limits.base import Bucket, Buckets, Decision, Level, Limiter, LimiterError, Slot
from ...protocol.answer.metering import Usage
from ...store.base.callers import Allowance, Caller
from .authenticator import MASTER
from .budget_slice import allowances_of

# Kinds of limits by their number: as Anthropic's headers call them.
_KINDS: Final = ("requests", "tokens", "input-tokens", "output-tokens")
_REQUESTS: Final = 0
_COUNTS: Final = "token-counts"
_MINUTE: Final = 60.0


class LimitOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The operator's choices about limits; the default is for keys without a rate of their own.

    `output_estimate` tokens are taken when a request begins, if it may write as many.
    """

    enabled: bool = True
    requests: int = 1000
    window_seconds: float = _MINUTE
    output_estimate: int = 4096
    master_requests: int | None = None  # per minute; None: the master key has no limits


class LimitPlan(msgspec.Struct, frozen=True):
    """The buckets of a caller."""

    kinds: tuple[int, ...]  # of the buckets, in their order
    buckets: Buckets
    slots: tuple[Slot, ...]
    counts_tokens: bool
    has_levels: bool  # several buckets of a kind
    costs: Callable[[Sequence[int]], Sequence[int]]  # of each bucket, from those of each kind
    least: int  # that a bucket of tokens holds


class Ticket(msgspec.Struct, frozen=True, gc=False):
    """The amounts that a running request has drawn."""

    plan: LimitPlan
    decision: Decision
    charged: Sequence[int]  # from each bucket


class RateLimits:
    """Draws for requests, from whatever limiter there is."""

    def __init__(
        self, limiter: Limiter, options: LimitOptions, *, now: Callable[[], float]
    ) -> None:
        self._limiter = limiter
        self._options = options
        self._now = now

    def plan(self, caller: Caller) -> LimitPlan | None:
        """Returns the limits that apply; None: none at all."""
        if not self._options.enabled or (
            caller is MASTER and self._options.master_requests is None
        ):
            return None
        found: list[tuple[int, Bucket]] = []
        slots: list[Slot] = []
        for owner, allowance in allowances_of(caller):
            found += self._buckets(owner, allowance)
            if allowance.concurrency_limit is not None:
                slots.append(Slot(owner, allowance.concurrency_limit))
        if not found and not slots:
            return None
        kinds = tuple(kind for kind, _ in found)
        buckets = tuple(bucket for _, bucket in found)
        return LimitPlan(
            kinds,
            buckets,
            tuple(slots),
            counts_tokens=any(kinds),
            has_levels=len(set(kinds)) < len(kinds),
            costs=_picker(kinds),
            least=min((bucket.limit for kind, bucket in found if kind), default=0),
        )

    def plan_of_counts(self, plan: LimitPlan) -> LimitPlan | None:
        """Returns the limits of counting tokens: those of requests, in buckets of their own."""
        buckets = tuple(
            Bucket(f"{bucket.name.rpartition('/')[0]}/{_COUNTS}", bucket.limit, bucket.seconds)
            for kind, bucket in zip(plan.kinds, plan.buckets, strict=True)
            if kind == _REQUESTS
        )
        if not buckets:
            return None
        kinds = (_REQUESTS,) * len(buckets)
        return LimitPlan(
            kinds,
            buckets,
            slots=(),
            counts_tokens=False,
            has_levels=len(buckets) > 1,
            costs=_picker(kinds),
            least=0,
        )

    async def take(self, plan: LimitPlan, *, input_tokens: int, max_tokens: int) -> Ticket:
        """Draws, or raises `RateLimitError`; `UnavailableError` if nobody can count."""
        output = min(max_tokens, self._options.output_estimate)
        costs = plan.costs((1, input_tokens + output, input_tokens, output))
        if plan.counts_tokens and input_tokens + output > plan.least:
            costs = [b.charged(cost) for b, cost in zip(plan.buckets, costs, strict=True)]
        try:
            decision = await self._limiter.take(plan.buckets, costs, plan.slots)
        except LimiterError as error:
            raise UnavailableError(
                "Rate limits cannot be checked right now. Try again shortly.",
                retry_after=2.0,
                cause="unavailable:limiter",
            ) from error
        if not decision.allowed:
            raise self._refused(plan, decision)
        return Ticket(plan, decision, costs)

    def settle(self, ticket: Ticket, usage: Usage | None, output_tokens: int) -> None:
        """Takes or gives back the difference to what was used; None: no model was called."""
        plan = ticket.plan
        if plan.counts_tokens or plan.slots:
            given = 0
            if usage is not None:
                # Cache reads are free of limits, as with Anthropic.
                given = (usage.input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
            used = plan.costs((1, given + output_tokens, given, output_tokens))
            changes = list(map(sub, used, ticket.charged))
            self._limiter.settle(ticket.decision, plan.buckets, changes, plan.slots)

    def undo(self, ticket: Ticket) -> None:
        """Gives back what was drawn for a request that was refused for another reason."""
        plan, changes = ticket.plan, [-charged for charged in ticket.charged]
        self._limiter.settle(ticket.decision, plan.buckets, changes, plan.slots)

    def states(self, plan: LimitPlan, decision: Decision) -> list[LimitState]:
        """Returns where the caller stands: the narrowest level of each kind."""
        levels: Iterable[tuple[int, Level]] = zip(plan.kinds, decision.levels, strict=True)
        now = self._now()
        return [
            LimitState(
                _KINDS[kind], level.limit, level.remaining, int(now + level.reset_seconds) + 1
            )
            for kind, level in (_narrowest(levels) if plan.has_levels else levels)
        ]

    def _buckets(self, owner: str, allowance: Allowance) -> Iterator[tuple[int, Bucket]]:
        rate, seconds = allowance.rate_limit, _MINUTE
        if allowance is MASTER.key:
            rate = self._options.master_requests
        elif rate is None and owner.startswith("key:"):
            rate, seconds = self._options.requests, self._options.window_seconds
        limits = (
            (rate, seconds),
            (allowance.tpm_limit, _MINUTE),
            (allowance.input_tpm_limit, _MINUTE),
            (allowance.output_tpm_limit, _MINUTE),
        )
        for kind, (limit, per) in enumerate(limits):
            if limit is not None:
                yield kind, Bucket(f"{owner}/{_KINDS[kind]}", limit, per)

    def _refused(self, plan: LimitPlan, decision: Decision) -> RateLimitError:
        index = decision.denied or 0
        retry_after = max(decision.retry_after, 0.001)
        if index < len(plan.buckets):
            bucket = plan.buckets[index]
            owner, what = bucket.name.rsplit("/", 1)
            per = "minute" if bucket.seconds == _MINUTE else f"{bucket.seconds:g} seconds"
            limit = f"{bucket.limit} {what.replace('-', ' ')} per {per}"
        else:
            slot = plan.slots[index - len(plan.buckets)]
            owner, what, limit = slot.name, "concurrency", f"{slot.limit} requests at once"
        return RateLimitError(
            f"This request would exceed the limit of {limit} of the {owner.replace(':', ' ')}. "
            "Try again later.",
            retry_after=retry_after,
            cause=f"limit:{owner.partition(':')[0]}/{what}",
            limits=self.states(plan, decision),
        )


def _picker(kinds: Sequence[int]) -> Callable[[Sequence[int]], Sequence[int]]:
    """Makes a function that picks the items of these kinds, in their order."""
    if len(kinds) > 1:
        return itemgetter(*kinds)
    return itemgetter(slice(kinds[0], kinds[0] + 1)) if kinds else itemgetter(slice(0))


def _narrowest(levels: Iterable[tuple[int, Level]]) -> Iterable[tuple[int, Level]]:
    """Returns the level with the least left, for each kind."""
    narrowest: dict[int, tuple[int, Level]] = {}
    for kind, level in levels:
        known = narrowest.get(kind)
        if known is None or level.remaining < known[1].remaining:
            narrowest[kind] = (kind, level)
    return narrowest.values()
