"""The breakers of one target: one for all, and one for each key whose requests alone were slow.

A time-out may be the doing of the prompt: whoever sends three slow ones must not take the target
from everybody else. So the breaker for all counts the time-outs of a key once in a row, and what a
key meets beyond that is held against the target for that key alone. Throttling and errors are the
target's own and count for all. Pure, like the breakers.
"""

from __future__ import annotations

from typing import Final

import msgspec

from ...bounded import Bounded
from .breaker import Breaker, State

_MAX_REMEMBERED: Final = 1024  # keys; the oldest is forgotten first
# A key whose probe timed out is not the next one to probe: others may find the target well.
_AFTER_A_PROBE: Final = 2


class BreakerPass(msgspec.Struct, frozen=True, gc=False):
    """Permission for one attempt, to be handed back with its end."""

    common: int  # tickets
    own: int | None
    probes: bool


class TargetBreakers:
    """When to leave one target alone, and for whom."""

    __slots__ = ("_cooldown", "_failures", "_own", "common")

    def __init__(self, *, failures: int, cooldown_seconds: float) -> None:
        self._failures = failures
        self._cooldown = cooldown_seconds
        self._own: Bounded[str, Breaker] = Bounded(_MAX_REMEMBERED)  # by key
        self.common = Breaker(failures=failures, cooldown_seconds=cooldown_seconds)

    @property
    def state(self) -> State:
        """Names the state of the breaker for all, for people and metrics."""
        return self.common.state

    def cause(self, key_id: str) -> str:
        """Tells why the target is left alone, in the words of the caller."""
        return self._strictest(key_id).cause

    def allows(self, key_id: str, now: float) -> bool:
        """Tells whether `begin` would let an attempt pass."""
        own = self._own.get(key_id) if self._own else None
        return self.common.allows(now) and (own is None or own.allows(now))

    def wait_seconds(self, key_id: str, now: float) -> float:
        """Returns the seconds until an attempt may pass; 0 also while a probe decides about it."""
        own = self._own.get(key_id)
        wait = self.common.wait_seconds(now)
        return wait if own is None else max(wait, own.wait_seconds(now))

    def begin(self, key_id: str, now: float) -> BreakerPass | None:
        """Lets an attempt of a key pass. Hand it back with its end, whatever that is."""
        if not self.allows(key_id, now):
            return None
        own = self._own.get(key_id) if self._own else None
        probes = self.common.state != "closed"
        ticket = self.common.begin(now)
        assert ticket is not None  # noqa: S101  # it allows that
        return BreakerPass(ticket, own.begin(now) if own is not None else None, probes)

    def succeeded(self, key_id: str, passed: BreakerPass) -> bool:
        """Notes that the target answered; returns whether that closed the breaker for all."""
        own = self._own.get(key_id) if self._own else None
        # What came before its breaker opened does not close it: breaker.py.
        if own is not None and passed.own is not None:
            own.succeeded(passed.own)
            if own.state == "closed":
                del self._own[key_id]
        return self.common.succeeded(passed.common)

    def failed(
        self,
        key_id: str,
        passed: BreakerPass,
        now: float,
        *,
        cause: str,
        cooldown_seconds: float | None = None,
        may_be_its_own: bool = False,
    ) -> bool:
        """Notes that the target failed; returns whether that opened the breaker for all.

        `may_be_its_own`: the key's request may have brought it about.
        """
        if may_be_its_own:
            own = self._own.get(key_id) or self._new_own(key_id)
            ticket = own.begin(now) if passed.own is None else passed.own
            if ticket is not None:
                after = self._cooldown * _AFTER_A_PROBE if passed.probes else None
                own.failed(ticket, now, cause=cause, cooldown_seconds=after)
        else:
            self._give_back(key_id, passed)
        return self.common.failed(
            passed.common,
            now,
            cause=cause,
            cooldown_seconds=None if may_be_its_own else cooldown_seconds,
            witness=key_id if may_be_its_own else None,
        )

    def abandoned(self, key_id: str, passed: BreakerPass) -> None:
        """Notes that nobody waited for the outcome."""
        self.common.abandoned(passed.common)
        self._give_back(key_id, passed)

    def _give_back(self, key_id: str, passed: BreakerPass) -> None:
        own = self._own.get(key_id)
        if own is not None and passed.own is not None:
            own.abandoned(passed.own)

    def _strictest(self, key_id: str) -> Breaker:
        own = self._own.get(key_id)
        return self.common if own is None or self.common.state != "closed" else own

    def _new_own(self, key_id: str) -> Breaker:
        breaker = Breaker(failures=self._failures, cooldown_seconds=self._cooldown)
        self._own[key_id] = breaker
        return breaker
