"""Outages of the ledger, as the requests of one worker see them.

One question a second is enough to find out, and one answer ends an outage. Redis has another rule
(limits/outage.py): it is asked for every request, so its pauses grow and its end is on trial.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

_log = logging.getLogger("anthropic_bedrock_proxy.budgets")
_ASK_SECONDS: Final = 1.0  # between questions to a ledger that did not answer


class LedgerOutage:
    """The ledger's last silence: when it began, unless it is over, and when it was last asked."""

    def __init__(self, *, monotonic: Callable[[], float], fail_open: bool) -> None:
        self._monotonic = monotonic
        self._how = "requests go on" if fail_open else "requests are refused"
        self._since: float | None = None
        self.asked_at = 0.0

    @property
    def lasts(self) -> bool:
        """Says whether it left the last question without an answer."""
        return self._since is not None

    @property
    def forbids_asking(self) -> bool:
        """Says whether it failed a moment ago: then nobody waits for it again so soon."""
        return self._since is not None and self._monotonic() - self.asked_at < _ASK_SECONDS

    def begin(self, error: Exception) -> None:
        """Notes that the ledger did not answer, and logs the first time."""
        self.asked_at = self._monotonic()  # who waited meanwhile must not ask one after the other
        if self._since is None:
            self._since = self._monotonic()
            reason = str(error) or "no answer in time"
            _log.error("budgets cannot be asked, %s: %s", self._how, reason)

    def end(self) -> None:
        """Notes that the ledger has answered."""
        if self._since is not None:
            seconds = round(self._monotonic() - self._since)
            self._since = None
            _log.warning("budgets can be asked again after %d s", seconds)
