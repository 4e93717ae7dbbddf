"""When signals may come."""

from __future__ import annotations

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
