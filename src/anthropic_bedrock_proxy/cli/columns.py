"""Tables of commands: as wide as they need to be for programs, as wide as the terminal for people.

In a pipe a table is plain text in columns, and nothing is left out. On a terminal it is drawn by
rich (the extra `terminal`; plain without it): cells that may be cut end with an ellipsis, an id
never does, and columns that matter least are left out where there is no room for them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from .terminal import is_terminal, printable, say, say_drawn

_GAP: Final = 2
_LEAST: Final = 10  # of a cell that is cut
_MOMENT: Final = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(:\d\d(?:\.\d+)?)(?:Z|\+00:00)")


class Column(NamedTuple):
    """A column: whether its cells may be cut, and how soon it is left out (0: never)."""

    title: str
    cut: bool = False
    rank: int = 0


def print_table(
    header: Sequence[str | Column],
    rows: Sequence[Sequence[object]],
    *,
    note: str | None = None,
    empty: str = "none",
) -> None:
    """Prints columns, numbers to the right; a dash for None. The `note` says what all have.

    A note is no row: with a table for a program it goes to stderr. `empty` is said to a person
    where there are no rows; a program gets the header alone.
    """
    columns = [Column(one) if isinstance(one, str) else one for one in header]
    if not rows:
        if is_terminal():
            say(empty, err=True)
        else:
            _print_plainly([column.title for column in columns], [], [False] * len(columns))
        return
    texts = [[cell_text(cell) for cell in row] for row in rows]
    numeric = [any(_is_number(row[n]) for row in rows) for n in range(len(columns))]
    if not ((is_terminal() or os.environ.get("FORCE_COLOR")) and _drawn(columns, texts, numeric)):
        _print_plainly([column.title for column in columns], texts, numeric)
    if note is not None:
        say(note, err=not is_terminal())


def cell_text(value: object) -> str:
    """Writes a value for one cell."""
    if value is None:
        return "-"
    text = ", ".join(map(str, value)) or "-" if isinstance(value, list) else str(value)
    return printable(text)  # before it is measured


def fitted(columns: Sequence[Column], widths: Sequence[int], room: int | None) -> dict[int, int]:
    """Returns the columns that are shown, by their numbers, each with its width.

    >>> name = Column("NAME", cut=True)
    >>> fitted([Column("ID"), name, Column("CREATED", rank=1)], [6, 40, 20], 30)
    {0: 6, 1: 22}
    """
    if room is None:
        return dict(enumerate(widths))
    shown: dict[int, int] = {}
    left = room + _GAP
    for n in sorted(range(len(columns)), key=lambda n: columns[n].rank):
        least = _GAP + (min(widths[n], _LEAST) if columns[n].cut else widths[n])
        if not columns[n].rank or least <= left:
            shown[n] = widths[n]
            left -= least
    shown = dict(sorted(shown.items()))
    while sum(shown.values()) + _GAP * (len(shown) - 1) > room:
        longest = max((n for n in shown if columns[n].cut), key=lambda n: shown[n], default=None)
        if longest is None or shown[longest] <= _LEAST:
            break  # narrower than what must be seen: the terminal breaks the lines
        shown[longest] -= 1
    return shown


def _print_plainly(
    titles: Sequence[str], texts: Sequence[Sequence[str]], numeric: Sequence[bool]
) -> None:
    widths = [max(map(len, column)) for column in zip(titles, *texts, strict=True)]
    for line in (titles, *texts):
        cells = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        )
        say("  ".join(cells).rstrip())


def _drawn(
    columns: Sequence[Column], texts: Sequence[Sequence[str]], numeric: Sequence[bool]
) -> bool:
    """Draws a table for a person; False where rich is not installed."""
    try:
        from rich.cells import cell_len  # noqa: PLC0415  # for tables on terminals only
        from rich.console import Console  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415
    except ModuleNotFoundError:
        return False
    cells = [[_MOMENT.sub(_shortly, text) for text in row] for row in texts]
    titles = [column.title for column in columns]
    widths = [max(map(cell_len, column)) for column in zip(titles, *cells, strict=True)]
    console = Console(highlight=False, markup=False, emoji=False)
    shown = fitted(columns, widths, console.width if is_terminal() else None)
    # Wider than a terminal that is too narrow, so that nothing but what may be cut is.
    console.width = max(console.width, sum(shown.values()) + _GAP * len(shown))
    table = Table(
        box=None,
        padding=(0, _GAP, 0, 0),
        pad_edge=False,
        header_style="" if os.environ.get("NO_COLOR") else "bold",
    )
    for n, width in shown.items():
        table.add_column(
            Text(titles[n]),
            width=width,
            no_wrap=True,
            overflow="ellipsis",
            justify="right" if numeric[n] else "left",
        )
    for row in cells:
        table.add_row(*(Text(row[n]) for n in shown))
    with console.capture() as captured:
        console.print(table)
    say_drawn("\n".join(line.rstrip() for line in captured.get().splitlines()))
    if left_out := [titles[n] for n in range(len(titles)) if n not in shown]:
        say(f"Not shown for lack of width: {', '.join(left_out)}. --json has all.", err=True)
    return True


def _shortly(moment: re.Match[str]) -> str:
    day, time, seconds = moment.groups()
    return day if time == "00:00" and seconds.startswith(":00") else f"{day} {time}"


def _is_number(cell: object) -> bool:
    return isinstance(cell, int | Decimal) and not isinstance(cell, bool)
