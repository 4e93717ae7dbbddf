"""When to leave a target alone, and when to try it again: a circuit breaker, nothing else.

Pure: no clock of its own, no I/O. `now` is seconds of any clock that never goes back. Rules:
- closed: everything passes; `failures` in a row, or one that names its own cooldown, open it.
- open: nothing passes until the cooldown is over; then the next attempt is the probe.
- half-open: the probe is under way, and nothing else passes. Its success closes the breaker, its
  failure opens it anew, and if it was given up the next attempt becomes the probe.
- a failure may name a witness: then it may be the witness's own doing (a slow prompt is no slow
  target), and in a row the failures of one witness count once.
Every attempt carries a ticket. What happened before the state last changed does not count: a slow
failure from before neither ends a probe nor lengthens a cooldown.
Prior art: Nygard, "Release It!"; resilience4j.
"""

from __future__ import annotations

from typing import Literal

State = Literal["closed", "open", "half_open"]


class Breaker:
    """The breaker of one target."""

    __slots__ = (
        "_cooldown",
        "_failed",
        "_failures",
        "_probing",
        "_ticket",
        "_until",
        "_witnesses",
        "cause",
    )

    def __init__(self, *, failures: int, cooldown_seconds: float) -> None:
        self._failures = failures
        self._cooldown = cooldown_seconds
        self._failed = 0  # in a row
        self._witnesses: set[str] = set()  # of those; fewer than `failures`
        self._until: float | None = None  # None: closed
        self._probing = False
        self._ticket = 0
        self.cause = ""  # of the last failure, in the words of the caller

    @property
    def state(self) -> State:
        """Names the state for people and metrics; an open breaker stays open until an attempt."""
        if self._until is None:
            return "closed"
        return "half_open" if self._probing else "open"

    def allows(self, now: float) -> bool:
        """Tells whether `begin` would let an attempt pass."""
        return self._until is None or (not self._probing and now >= self._until)

    def wait_seconds(self, now: float) -> float:
        """Returns the seconds until an attempt may pass; 0 also while a probe decides about it."""
        return 0.0 if self._until is None else max(0.0, self._until - now)

    def begin(self, now: float) -> int | None:
        """Lets an attempt pass; returns its ticket, to be handed back however the attempt ends."""
        if not self.allows(now):
            return None
        if self._until is not None:
            self._probing = True
            self._ticket += 1
        return self._ticket

    def succeeded(self, ticket: int) -> bool:
        """Notes that the target answered; returns whether that closed the breaker."""
        if ticket != self._ticket:
            return False
        self._failed = 0
        self._witnesses.clear()
        if self._until is None:
            return False
        self._until, self._probing = None, False
        self._ticket += 1
        return True

    def failed(
        self,
        ticket: int,
        now: float,
        *,
        cause: str = "",
        cooldown_seconds: float | None = None,
        witness: str | None = None,
    ) -> bool:
        """Notes that the target failed; returns whether that opened the breaker.

        `cooldown_seconds` is a cooldown that the target named itself.
        `witness` is who may have brought the failure about; None: nobody but the target.
        """
        if ticket != self._ticket:
            return False
        if witness is not None and not self._probing:
            if witness in self._witnesses:
                return False
            self._witnesses.add(witness)
        self.cause = cause
        self._failed += 1
        if not self._probing and self._failed < self._failures and cooldown_seconds is None:
            return False
        self._until = now + (self._cooldown if cooldown_seconds is None else cooldown_seconds)
        self._failed, self._probing = 0, False
        self._witnesses.clear()
        self._ticket += 1
        return True

    def abandoned(self, ticket: int) -> None:
        """Notes that nobody waited for the outcome."""
        if ticket == self._ticket and self._probing:
            self._probing = False
            self._ticket += 1
