"""Output of commands: texts of clients, of stores and of AWS move no cursor of a terminal.

A model's name or a path may hold any character, and some of them clear the screen, change colours
or pretend to be another line. What a command prints goes through here, so none does.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import click
import msgspec

from ..process import standard

# An amount of money is a number of exactly the digits that it has.
_encode = msgspec.json.Encoder(decimal_format="number").encode


def printable(text: str) -> str:
    r"""Returns a text for one line: what cannot be printed is escaped.

    >>> printable("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def printable_lines(text: str) -> str:
    """Returns a text of several lines, each of them printable."""
    return "\n".join(printable(line.removesuffix("\r")) for line in text.split("\n"))


def say(line: str = "", *, err: bool = False) -> None:
    """Prints one line."""
    click.echo(printable(line), err=err)  # noqa: TID251  # here and nowhere else


def is_terminal() -> bool:
    """Tells whether a person reads what is printed, and not a program."""
    return sys.stdout.isatty()


def may_colour() -> bool:
    """Tells whether a terminal, if that is what reads along, wants colours: no-color.org."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def folded(line: str, indent: str) -> list[str]:
    """Breaks a line between words for the terminal, `indent` before what follows; else whole."""
    if not is_terminal():
        return [line]
    import shutil  # noqa: PLC0415  # on terminals only

    columns = max(shutil.get_terminal_size().columns, len(indent) + 20)
    return standard.folded(line, columns, indent)


def say_drawn(text: str) -> None:
    """Prints what was drawn of printable texts, with its colours."""
    click.echo(text, color=True)  # noqa: TID251  # here and nowhere else


def say_exactly(text: str) -> None:
    """Prints a text for a file or a program as it is; only a terminal gets it printable."""
    click.echo(printable_lines(text) if is_terminal() else text, nl=False)  # noqa: TID251


def asked(question: str, *, unasked: bool) -> bool:
    """Asks a person for a yes; returns `unasked` where nobody is there to answer."""
    if not (sys.stdin.isatty() and is_terminal()):
        return unasked
    return click.confirm(printable(question), err=True)


def say_json(document: Any, *, on_one_line: bool = False) -> None:
    """Prints one JSON document; what cannot be printed is escaped as JSON has it."""
    encoded = _encode(document)
    text = (encoded if on_one_line else msgspec.json.format(encoded)).decode()
    click.echo("\n".join(map(_escaped, text.split("\n"))))  # noqa: TID251


def _escaped(line: str) -> str:
    if line.isprintable():
        return line
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in line)
