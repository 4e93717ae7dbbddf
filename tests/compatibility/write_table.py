"""Writes docs/reference/compatibility.md from the rows; see COMMAND."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Final

from cases import ROWS
from journey import travel
from rows import COLUMNS, WORDS, Column, Row

ROOT: Final = Path(__file__).parents[2]
COMMAND: Final = "PYTHONPATH=src:tests/support python tests/compatibility/write_table.py"
PAGE: Final = "docs/reference/compatibility.md"
_HEAD: Final = """\
# Compatibility

<!-- Generated: edit the rows in tests/compatibility, then run `{command}`. -->

What becomes of everything that a client may say, by the way to the model. The way is chosen by the
model (see [settings](settings.md)); other Claude models behave like the nearest one shown here,
models of other makers like Nova Lite or Qwen3. Every cell of these tables is a test.

| Word | Meaning |
|---|---|
| native | The client's own JSON, in the same place (on Converse: among the model's own fields). |
| mapped | It reaches the model in another form that means the same. |
| emulated | The model has no such thing; the proxy does it. |
| dropped | It is left out, which does no harm. The log or `x-proxy-warning` names it. |
| refused | The client gets a 400 with the path. The notes are its words: they say what to do. |

A dropped cell with a ¹ is one that Bedrock refuses first: the proxy learns from that, once for each
model. A cell with a ✗ is a known mistake: it says what should be, and the notes say what is.

The beta flags are those that the newest SDK and Claude Code may send, each alone: one that stands
for a field is sent with that field, and a later one is left out. `count_tokens` is converted in the
same way; what cannot change a count is not sent.

{total} rows in {columns} columns: {counts}.
"""
_TITLES: Final = {
    "fields": "Fields of a request",
    "beta flags": "Beta flags (`anthropic-beta`)",
    "system messages": "System messages inside the conversation",
    "blocks": "Blocks of user messages",
    "results": "Tool results",
    "history": "Blocks of earlier answers",
    "server blocks": "Blocks of server-side tools",
    "tools": "Tools that the client runs",
    "server tools": "Tools that a server runs",
}


def page() -> str:
    """The whole page."""
    letters = Counter(row.letter(column) for row in ROWS for column in COLUMNS)
    counts = ", ".join(f"{letters[letter]} {word}" for letter, word in WORDS.items())
    head = _HEAD.format(command=COMMAND, total=len(ROWS), columns=len(COLUMNS), counts=counts)
    return "\n".join((head, *(_section(group) for group in _TITLES)))


def _section(group: str) -> str:
    notes: dict[str, int] = {}
    columns = " | ".join(column.title for column in COLUMNS)
    lines = [f"## {_TITLES[group]}", "", f"| | {columns} |", "|---" * (len(COLUMNS) + 1) + "|"]
    for row in ROWS:
        if row.group == group:
            cells = " | ".join(_cell(row, column, notes) for column in COLUMNS)
            lines.append(f"| {_plain(row.name)} | {cells} |")
    lines += ["", *(f"{number}. {_plain(note)}" for note, number in notes.items()), ""]
    return "\n".join(lines)


def _cell(row: Row, column: Column, notes: dict[str, int]) -> str:
    letter = row.letter(column)
    word = WORDS[letter]
    if column.key in row.bugs:
        return f"{word} ✗ [{_number(row.bugs[column.key], notes)}]"
    outcome = travel(column, row.request, row.flags)
    if letter == "R":
        return f"{word} [{_number(outcome.refusal, notes)}]"
    return f"{word} ¹" if letter == "D" and outcome.lessons else word


def _number(note: str, notes: dict[str, int]) -> int:
    return notes.setdefault(note, len(notes) + 1)


def _plain(text: str) -> str:
    """Text that Markdown leaves alone."""
    for sign in "\\`*_[]<>|":
        text = text.replace(sign, f"\\{sign}")
    return text


if __name__ == "__main__":
    (ROOT / PAGE).write_text(page(), "utf-8")
