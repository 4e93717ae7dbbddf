"""The state of back ends, as searches have left it: nobody is asked to find it out. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec

SearchStatus = Literal["unknown", "ok", "failed"]


class BackendState(msgspec.Struct, frozen=True, kw_only=True):
    """A back end as its last search left it; `age_seconds` is None before the first.

    `reason` says why it failed, and names no address, key or query.
    """

    name: str
    status: SearchStatus = "unknown"
    reason: str = ""
    age_seconds: float | None = None
    succeeded: int = 0
    failed: int = 0


class BackendRecord:
    """The record of one back end's searches."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.status: SearchStatus = "unknown"
        self._reason = ""
        self._at: float | None = None
        self._succeeded = 0
        self._failed = 0

    def succeeded(self, now: float) -> bool:
        """Notes a search that was answered; tells whether the one before had failed."""
        was, self.status = self.status, "ok"
        self._reason, self._at = "", now
        self._succeeded += 1
        return was == "failed"

    def failed(self, now: float, reason: str) -> bool:
        """Notes a search that failed; tells whether that is news."""
        was, self.status = (self.status, self._reason), "failed"
        self._reason, self._at = reason, now
        self._failed += 1
        return was != ("failed", reason)

    def failed_within(self, seconds: float, now: float) -> bool:
        """Tells whether its last search failed, less than so many seconds ago."""
        return self.status == "failed" and self._at is not None and now - self._at < seconds

    def state(self, now: float) -> BackendState:
        """Returns what is known at this moment."""
        return BackendState(
            name=self.name,
            status=self.status,
            reason=self._reason,
            age_seconds=None if self._at is None else max(0.0, now - self._at),
            succeeded=self._succeeded,
            failed=self._failed,
        )
