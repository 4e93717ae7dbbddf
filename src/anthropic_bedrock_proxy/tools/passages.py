"""The passages that the model may cite in one turn: what tools have retrieved, in numbered pieces.

A tool shows the model its texts in pieces, each with an index (`w3k9x-2`), and notes here what a
citation of each would be. The model wraps what it takes from one, and the turn makes a citation out
of the marker (turn/cited_text.py):

    <cited index="w3k9-2">Python 3.14 came out in October.</cited>

An index is made of what it names, not counted: the same passage has the same index in every turn,
and nothing has to be kept for that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from hashlib import sha256
from typing import Final

from ..protocol.raw import Json

MAX_CITED: Final = 150  # characters of `cited_text`, as Anthropic has it
_ALPHABET: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_SOURCE_DIGITS: Final = 5
# Where a sentence ends: behind its mark (those of Chinese and Japanese need no space), or a line.
_ENDS: Final = re.compile("[.!?][\"'\u201d\u2019)\\]]*\\s+|[\u3002\uff01\uff1f]\\s*|\\n+")


def source_index(*parts: str) -> str:
    """Returns the index of a source, e.g. of its URL and its text: five letters and digits."""
    number = int.from_bytes(sha256("\0".join(parts).encode("utf-8", "replace")).digest()[:8])
    digits = ""
    for _ in range(_SOURCE_DIGITS):
        number, digit = divmod(number, len(_ALPHABET))
        digits += _ALPHABET[digit]
    return digits


def split_passages(text: str, most: int = MAX_CITED) -> list[tuple[int, int]]:
    """Returns (start, end) of the passages of a text: sentences, together up to `most` characters.

    A longer sentence is a passage of its own. White space around passages is in none.
    """
    passages: list[tuple[int, int]] = []
    begin = 0
    for end in (*(found.end() for found in _ENDS.finditer(text)), len(text)):
        piece = text[begin:end]
        start, stop = begin + len(piece) - len(piece.lstrip()), begin + len(piece.rstrip())
        begin = end
        if start >= stop:
            continue
        if passages and stop - passages[-1][0] <= most:
            passages[-1] = (passages[-1][0], stop)
        else:
            passages.append((start, stop))
    return passages


class Passages:
    """The passages of one turn, by their index.

    `pages` keeps what a tool has made of a page for the model, under a name that the tool gives it:
    a page that is looked at again, or stands in a history many times, is made once.
    """

    def __init__(self) -> None:
        self.pages: dict[Hashable, str] = {}
        self._citations: dict[str, Callable[[], Json]] = {}
        self._numbers: dict[str, int] = {}  # of sources
        self._sources: list[str] = []  # by their numbers

    def add(self, index: str, cite: Callable[[], Json]) -> None:
        """Notes a passage; `cite` makes the citation of it, as clients know it."""
        self._citations.setdefault(index, cite)

    def number(self, source: str) -> int:
        """Returns the number of a source, counted from 0 in the order in which they are named."""
        number = self._numbers.setdefault(source, len(self._sources))
        if number == len(self._sources):
            self._sources.append(source)
        return number

    def source(self, number: object) -> str | None:
        """Returns the source of a number, which a client wrote; None if there is none."""
        # Looked up, not searched for: a history may have as many citations as sources.
        if not isinstance(number, int) or not 0 <= number < len(self._sources):
            return None
        return self._sources[number]

    def cite(self, index: str) -> Json | None:
        """Returns the citation of a passage; None if there is none of this index."""
        cite = self._citations.get(index)
        return None if cite is None else cite()
