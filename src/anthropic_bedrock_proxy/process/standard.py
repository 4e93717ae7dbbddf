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


def width(descriptor: int = 1) -> int | None:
    """Returns how many columns the terminal has that reads along; None: it is none."""
    try:
        return os.get_terminal_size(descriptor).columns or None  # 0: of one that does not tell
    except OSError:
        return None


def folded(line: str, columns: int, indent: str) -> list[str]:
    """Breaks a line between words, never within one, with `indent` before what follows."""
    import textwrap  # noqa: PLC0415  # on terminals only

    return textwrap.wrap(
        line, columns, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def say(text: str, descriptor: int = 1) -> None:
    """Prints a text for a person, if anybody reads it: serving does not depend on that.

    Past `sys.stdout`, which keeps what could not be written and fails once more at the end.
    """
    data = f"{text}\n".encode("utf-8", "backslashreplace")
    with contextlib.suppress(OSError):
        while data:
            data = data[os.write(descriptor, data) :]
