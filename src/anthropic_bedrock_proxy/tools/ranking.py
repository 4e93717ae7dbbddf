"""BM25 over the words of names and descriptions.

Source: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from math import log
from typing import Final

_K1: Final = 1.2
_B: Final = 0.75
_WORD: Final = re.compile(r"[^\W_]+")
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def words_of(text: str) -> list[str]:
    """The words of a text in lower case; names are taken apart at `_`, `-` and camelCase."""
    return _WORD.findall(_HUMP.sub(" ", text).lower())


class Ranking:
    """Documents by how well they answer a query."""

    def __init__(self, documents: Iterable[Sequence[str]]) -> None:
        """Each document is the list of its words."""
        self._counts = [Counter(words) for words in documents]
        self._lengths = [counts.total() for counts in self._counts]
        self._mean = sum(self._lengths) / max(1, len(self._lengths))
        self._holding = Counter(word for counts in self._counts for word in counts)

    def best(self, query: str, limit: int) -> list[int]:
        """Places of up to `limit` documents that share a word with `query`, the best first.

        Equals keep their order.
        """
        words = [word for word in dict.fromkeys(words_of(query)) if word in self._holding]
        weights = {word: self._weight(word) for word in words}
        scores = [self._score(place, weights) for place in range(len(self._counts))]
        found = [place for place, score in enumerate(scores) if score > 0]
        return sorted(found, key=lambda place: -scores[place])[:limit]

    def _weight(self, word: str) -> float:
        """How much a word says: rare ones more."""
        holding = self._holding[word]
        return log(1 + (len(self._counts) - holding + 0.5) / (holding + 0.5))

    def _score(self, place: int, weights: dict[str, float]) -> float:
        counts = self._counts[place]
        damping = _K1 * (1 - _B + _B * self._lengths[place] / (self._mean or 1))
        return sum(
            weight * (counts[word] * (_K1 + 1)) / (counts[word] + damping)
            for word, weight in weights.items()
        )
