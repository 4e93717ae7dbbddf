"""When signals may come, and what SIGHUP means."""

from __future__ import annotations

import os
import signal
from typing import Final

STOP: Final = (signal.SIGTERM, signal.SIGINT)
AT_ONCE: Final = signal.SIGUSR1  # from the parent to its workers, after a second signal
_HELD: Final = (*STOP, signal.SIGHUP, AT_ONCE)


def hold() -> None:
    """Keeps the signals that mean something waiting until somebody can act on them.

    A worker that is being built, or forked, would else miss the signal or die in the middle of it;
    raising from a handler there is no way out, because callbacks swallow exceptions.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)


def release() -> None:
    """Lets them come."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)


class Terminal:
    """Knows whether the terminal that the process was started from is still there.

    Its end comes as SIGHUP, which else asks for a reload: but who has closed the window wants the
    process to end, not to hold the port where nobody sees it.
    """

    def __init__(self) -> None:
        self._had = os.isatty(0)

    @property
    def gone(self) -> bool:
        """Tells whether there was one, and there is none any more."""
        return self._had and not os.isatty(0)
