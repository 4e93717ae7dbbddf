"""The pauses between look-ups of AWS credentials.

Keys that expire are looked up again well before they do: when a sixth of their life is left, or a
quarter of an hour. An origin that gives the same keys once more (instance metadata does, until some
minutes before they expire) is asked every two minutes, or when half of the rest has passed. Keys
without an end are looked up again now and then, for files and processes change. After failures the
pauses grow.

    keys for an hour, at 12:00    looked up again at 12:50; the same keys: 12:52 … 12:58, 12:59, …
    the first failure             after a second, then two, four … sixty
"""

from __future__ import annotations

from typing import Final, NamedTuple

_AHEAD: Final = 1 / 6
_MOST_AHEAD_SECONDS: Final = 900.0
_SAME_SECONDS: Final = 120.0


class Pace(NamedTuple):
    """The pauses between look-ups, in seconds."""

    least: float = 5.0  # between the beginnings of two look-ups, whatever happens
    unending: float = 900.0  # after keys without an end; as AWS's SDKs do
    first_failure: float = 1.0  # doubles with each further one
    most_failures: float = 60.0
    hang: float = 60.0  # a look-up that takes longer has failed

    def after_keys(self, left: float | None, *, same: bool) -> float:
        """Returns the pause after keys that have `left` seconds to live; None: no end is known."""
        if left is None:
            return self.unending
        if same:
            return max(self.least, min(_SAME_SECONDS, left / 2))
        return max(self.least, left - min(_MOST_AHEAD_SECONDS, left * _AHEAD))

    def after_failure(self, failures: int, left: float | None) -> float:
        """Returns the pause after so many failures in a row, with jitter.

        `left` is the rest of the keys that are in use.
        """
        import random  # noqa: PLC0415  # the child alone needs it, and each start would pay for it

        most = min(self.most_failures, self.first_failure * 2.0 ** min(failures - 1, 10))
        if left is not None and left > 0:
            most = min(most, max(self.first_failure, left / 2))
        return most * random.uniform(0.75, 1.0)  # noqa: S311  # spreads load, guards nothing
