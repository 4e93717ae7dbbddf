"""Moments as people write them and as records keep them. UTC unless a text says otherwise."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS: Final = 253_402_300_799_999  # what can be written as a date ends with the year 9999


def moment_ms(text: str) -> int:
    """Converts a date (its first moment) or an ISO-8601 timestamp to epoch milliseconds.

    Raises `ValueError`, also for what is before 1970 or after 9999.
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
    moment = (at - _EPOCH) // timedelta(milliseconds=1)
    if moment > _LAST_MS:  # with an offset, the last hours of 9999 are in the next year
        raise ValueError(f"{text!r} is after 9999")
    return moment


def day(text: str) -> str:
    """Reads a day as YYYY-MM-DD, or a timestamp that begins a UTC day. Raises `ValueError`."""
    since, rest = divmod(moment_ms(text), 24 * 3600 * 1000)
    if rest:
        raise ValueError(f"{text!r} is within a day: sums are kept per day (UTC), so give a date")
    return (date(1970, 1, 1) + timedelta(days=since)).isoformat()


def timestamp(seconds: int | None) -> str | None:
    """Writes epoch seconds as ISO-8601; a moment after 9999, from others' tables, as its end."""
    if seconds is None:
        return None
    seconds = min(seconds, _LAST_MS // 1000)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def timestamp_ms(at_ms: int) -> str:
    """Writes epoch milliseconds as ISO-8601."""
    at = _EPOCH + timedelta(milliseconds=at_ms)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
