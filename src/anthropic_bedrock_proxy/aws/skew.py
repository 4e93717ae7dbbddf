"""Measures how far the clock of AWS is ahead of this machine's, by the `Date` of its answers.

A `Date` is cut to its second, and was made between the sending of the request and the coming of the
answer: so one answer says between which two numbers the skew is. What was thought before is kept
while it is between them; clocks that agree are never said to differ by a fraction of a second.
"""

from __future__ import annotations

import logging
from typing import Final

_log = logging.getLogger("anthropic_bedrock_proxy.clock")
# Told from so many seconds on: NTP keeps machines within a tenth of one, and whoever is five
# seconds off has no working NTP.
_TOLD_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 60.0  # between answers that are looked at where many come
_SIGNED_SECONDS: Final = 60.0  # signing follows a change by more than that, as AWS's SDKs do
# The codes by which AWS refuses a signature for its time, but also for other reasons: only the
# skew says which. Source: `CLOCK_SKEW_ERROR_CODES` of the AWS SDK for JavaScript.
REFUSALS: Final = frozenset(
    (
        "InvalidSignatureException",
        "RequestExpired",
        "RequestInTheFuture",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
    )
)


class Skew:
    """The skew to one endpoint of AWS."""

    def __init__(self, name: str) -> None:
        """`name` says in the log whose clock is meant."""
        self._name = name
        self.seconds = 0.0  # to be added to this machine's time
        self.signing = 0.0  # the same for signatures: nothing before one was refused
        self.look_at = 0.0  # no answer needs to be looked at before this moment (monotonic)
        self._date = b""
        self._told = 0.0

    def learn(self, date: bytes | None, *, sent: float, came: float) -> None:
        """Takes in the `Date` of an answer to what was sent and came then (epoch seconds)."""
        if date is None or date == self._date:
            return
        at = _seconds(date)
        if at is None:
            return
        self._date = date
        least, most = at - came, at + 1 - sent
        if not least <= self.seconds <= most:
            self.seconds = (least + most) / 2
            self._tell()

    def looked(self, monotonic: float) -> None:
        """Notes that an answer was looked at: that is enough for a while."""
        self.look_at = monotonic + _LOOK_SECONDS

    def follow(self) -> bool:
        """Lets signatures follow; returns whether that makes a difference after a refusal."""
        if abs(self.seconds - self.signing) <= _SIGNED_SECONDS:
            return False
        self.signing = self.seconds
        return True

    def _tell(self) -> None:
        """Tells of a skew once, and again when it has changed by much."""
        if abs(self.seconds - self._told) < _TOLD_SECONDS:
            return
        if abs(self.seconds) < _TOLD_SECONDS:
            self._told = 0.0
            _log.warning("the clock of this machine agrees with that of %s again", self._name)
            return
        self._told = self.seconds
        _log.warning(
            "the clock of this machine is %.0f s %s that of %s: let NTP set it. Days and months, "
            "and limits unless Redis counts them, go by this machine's clock; from 300 s on AWS "
            "refuses signatures, which are then made by its own clock",
            abs(self.seconds),
            "behind" if self.seconds > 0 else "ahead of",
            self._name,
        )


def _seconds(date: bytes) -> float | None:
    """Returns the epoch seconds of a `Date`; None for what is none."""
    from calendar import timegm  # noqa: PLC0415  # together they cost the start 5 ms
    from email.utils import parsedate  # noqa: PLC0415

    parts = parsedate(date.decode("latin-1"))
    return None if parts is None else float(timegm(parts))
