"""BM25 over the words of names and descriptions.

Documents are listed by word, so a query costs what its words are found in, not every document.
Source: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from math import log
from typing import Final

from .work import Work

_K1: Final = 1.2
_B: Final = 0.75
_WORD: Final = re.compile(r"[^\W_]+")
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
# In steps of `Work`.
_READING_COSTS: Final = 3  # for each character
_SCORING_COSTS: Final = 8  # for each document that a word of the query is in, sorting included


def words_of(text: str) -> list[str]:
    """Splits a text into words in lower case; names are taken apart at `_`, `-` and camelCase."""
    return _WORD.findall(_HUMP.sub(" ", text).lower())


class Ranking:
    """Documents by how well they answer a query. What it does it spends of `work`."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._lengths: list[int] = []
        self._found: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)

    async def add(self, texts: Sequence[str]) -> None:
        """Adds one more document. Raises `WorkError`."""
        if self._work.spend(_READING_COSTS * sum(map(len, texts))):
            await self._work.pause()
        place = len(self._lengths)
        counts = Counter(words_of(" ".join(texts)))
        self._lengths.append(counts.total())
        for word, count in counts.items():
            self._found[word].append((place, count))

    async def best(self, query: str) -> list[int]:
        """Places of the documents that share a word with `query`, the best first.

        Equals keep their order. Raises `WorkError`.
        """
        scores = await self.scores(query)
        return sorted(scores, key=lambda place: (-scores[place], place))

    async def scores(self, query: str) -> dict[int, float]:
        """Scores the documents that share a word with `query`. Raises `WorkError`."""
        scores: defaultdict[int, float] = defaultdict(float)
        mean = sum(self._lengths) / max(1, len(self._lengths))
        for word in dict.fromkeys(words_of(query)):
            found = self._found.get(word, ())
            if self._work.spend(_SCORING_COSTS * (1 + len(found))):
                await self._work.pause()
            weight = self._weight(len(found))
            for place, count in found:
                damping = _K1 * (1 - _B + _B * self._lengths[place] / mean)
                scores[place] += weight * (count * (_K1 + 1)) / (count + damping)
        return scores

    def _weight(self, holding: int) -> float:
        """Returns the weight of a word that so many documents hold: rare ones weigh more."""
        return log(1 + (len(self._lengths) - holding + 0.5) / (holding + 0.5))
