"""Moments as people write them and as records keep them. UTC unless a text says otherwise."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def moment_ms(text: str) -> int:
    """A date (its first moment) or an ISO-8601 timestamp as epoch milliseconds.

    Raises `ValueError`, also for what is before 1970.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text[:100]!r} is not a date like 2026-01-31 or a timestamp like 2026-01-31T09:00:00Z"
        ) from None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    if at < _EPOCH:
        raise ValueError(f"{text!r} is before 1970")
    return (at - _EPOCH) // timedelta(milliseconds=1)


def day(text: str) -> str:
    """A day as YYYY-MM-DD; a timestamp only if a UTC day begins with it. Raises `ValueError`."""
    since, rest = divmod(moment_ms(text), 24 * 3600 * 1000)
    if rest:
        raise ValueError(f"{text!r} is within a day: sums are kept per day (UTC), so give a date")
    return (date(1970, 1, 1) + timedelta(days=since)).isoformat()


def timestamp(seconds: int | None) -> str | None:
    """Epoch seconds as ISO-8601."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def timestamp_ms(at_ms: int) -> str:
    """Epoch milliseconds as ISO-8601."""
    at = _EPOCH + timedelta(milliseconds=at_ms)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
