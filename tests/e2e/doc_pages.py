"""The commands and programs of the documentation, as they stand on its pages."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from servers import ROOT

PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "bench/*.md")
    for path in ROOT.glob(pattern)
)
SHELL = ("bash", "console", "sh")
_BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


class Command(NamedTuple):
    """What is typed at one prompt, or a block without prompts, and what it is shown to print."""

    line: int
    text: str
    shown: tuple[str, ...] = ()


class Block(NamedTuple):
    """A block of code of a page."""

    line: int
    language: str
    text: str

    @property
    def commands(self) -> list[Command]:
        """Its commands; none if it is not for a shell."""
        if self.language not in SHELL:
            return []
        if self.language != "console":
            return [Command(self.line + 1, self.text)]
        return list(self._typed())

    def _typed(self) -> Iterator[Command]:
        lines = self.text.splitlines()
        starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
        for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
            length = next(n for n in range(1, end - start + 1) if _whole(lines[start:end], n))
            text = re.sub(
                r"^[$>] ", "", "\n".join(lines[start : start + length]), flags=re.MULTILINE
            )
            yield Command(self.line + 1 + start, text, tuple(lines[start + length : end]))


def blocks(page: str) -> list[Block]:
    """All blocks of code of a page, by its path in the repository."""
    text = Path(ROOT, page).read_text()
    return [
        Block(text.count("\n", 0, found.start()) + 1, found[2], textwrap.dedent(found[3]))
        for found in _BLOCK.finditer(text)
    ]


def _whole(lines: list[str], count: int) -> bool:
    """Whether so many of these lines are a command that does not go on in the next."""
    if lines[count - 1].endswith("\\") or "".join(lines[count : count + 1]).startswith("> "):
        return False
    try:
        shlex.split("\n".join(lines[:count]), comments=True)
    except ValueError:  # within quotes
        return False
    return True


COMMANDS = {
    page: found
    for page in PAGES
    if (found := [command for block in blocks(page) for command in block.commands])
}
