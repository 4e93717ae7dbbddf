"""The allowance of refusals to whoever shows no key: a flood of them would push all else out.

Ten thousand a second, which anybody can send, fill the 64 MiB of the request log in 16 s. A few are
worth their room: someone looks for a typing error in a key.
"""

from __future__ import annotations

from typing import Final

BURST: Final = 1000
_PER_SECOND: Final = 1.0  # of one worker: some 40 MB a day


class KeylessAllowance:
    """The number of such refusals that are noted: many at once, few for ever."""

    def __init__(self) -> None:
        self._left = float(BURST)
        self._at = 0.0

    def take(self, at: float) -> bool:
        """Tells whether one that has ended `at`, in monotonic seconds, is noted."""
        self._left = min(BURST, self._left + max(0.0, at - self._at) * _PER_SECOND)
        self._at = max(at, self._at)
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
