"""The three standard descriptors, which may be closed, or read by nobody."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Final

_LAST_STANDARD: Final = 2


def keep() -> None:
    """Opens what was closed of stdin, stdout and stderr, to nowhere.

    A listening socket or a client would get the free number, and with it the lines of the log.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _LAST_STANDARD:
        pass
    os.close(descriptor)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # so Python says that it was closed
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115  # for as long as the process lives


def say(text: str) -> None:
    """Prints a text for a person, if anybody reads it: serving does not depend on that."""
    try:
        print(text, flush=True)  # noqa: T201  # the banner of a command line
    except OSError:
        # What is left in its buffer would fail once more when the process ends.
        with contextlib.suppress(OSError):
            sys.stdout.close()
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115  # as above
