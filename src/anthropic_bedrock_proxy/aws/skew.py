"""Measures how far the clock of AWS is ahead of this machine's, by the `Date` of its answers.

A `Date` is cut to its second, and was made between the sending of the request and the coming of the
answer: so one answer gives two bounds of the skew. The last estimate is kept while it is within
them; clocks that agree are never said to differ by a fraction of a second.

    sent 100.2, came 100.5, Date 103    bounds 103 - 100.5 and 104 - 100.2: 2.5 to 3.8, so 3.15
"""

from __future__ import annotations

import logging
from typing import Final

_log = logging.getLogger("anthropic_bedrock_proxy.clock")
# Skews of so many seconds are logged: NTP keeps machines within a tenth of a second, so a machine
# that is five seconds off has no working NTP.
_TOLD_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 60.0  # between answers that are measured, where many come
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
        """`name` is the log's name for the clock of AWS that is measured."""
        self._name = name
        self.seconds = 0.0  # to be added to this machine's time
        self.signing = 0.0  # the same for signatures; 0 until one was refused
        self.look_at = 0.0  # no answer needs to be looked at before this moment (monotonic)
        self._date = b""
        self._told = 0.0

    def learn(self, date: bytes | None, *, sent: float, came: float) -> None:
        """Measures by the `Date` of an answer; `sent` and `came` in epoch seconds."""
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
        """Notes that an answer was measured at this moment: the next is due after a minute."""
        self.look_at = monotonic + _LOOK_SECONDS

    def follow(self) -> bool:
        """Lets signatures follow the measured skew; tells whether that changes them by much."""
        if abs(self.seconds - self.signing) <= _SIGNED_SECONDS:
            return False
        self.signing = self.seconds
        return True

    def _tell(self) -> None:
        """Logs a skew once, and again when it has changed by much."""
        if abs(self.seconds - self._told) < _TOLD_SECONDS:
            return
        if abs(self.seconds) < _TOLD_SECONDS:
            self._told = 0.0
            _log.info("the clock of this machine agrees with that of %s again", self._name)
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
    """Returns the epoch seconds of a `Date`; None if it is no date."""
    from calendar import timegm  # noqa: PLC0415  # together they cost the start 5 ms
    from email.utils import parsedate  # noqa: PLC0415

    parts = parsedate(date.decode("latin-1"))
    return None if parts is None else float(timegm(parts))
