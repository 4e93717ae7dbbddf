"""The time of a log line: ISO 8601 in UTC with milliseconds, the same in every kind of line."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache


def line_time(epoch_ms: int) -> str:
    """Returns a moment as `2026-11-29T06:30:12.125Z`."""
    seconds, milliseconds = divmod(epoch_ms, 1000)
    return f"{_second(seconds)}.{milliseconds:03}Z"


@lru_cache(maxsize=4)  # lines come in the order of time, nearly
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
