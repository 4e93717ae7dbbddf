"""A short memory of results, by key: a model asks the same again, and clients repeat requests.

A key never gets results that were found for another one. What finds no room is not kept; what has
lapsed goes with the next look.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from ..fetch.fair_room import FairRoom
from .base import SearchHit, SearchQuery

MAX_BYTES: Final = 8 * 1024 * 1024
_OVERHEAD: Final = 512  # bytes of an entry without texts, about


class _Results(msgspec.Struct, frozen=True, gc=False):
    until: float
    hits: tuple[SearchHit, ...]
    size: int


class ResultCache:
    """Results by key and query, for so many seconds."""

    def __init__(self, seconds: float, *, max_bytes: int = MAX_BYTES) -> None:
        """`seconds` 0: nothing is kept. `max_bytes` bounds all, a quarter of it one key."""
        self._seconds = seconds
        self._room = FairRoom(max_bytes)
        self._kept: dict[tuple[str, SearchQuery], _Results] = {}  # in the order of time

    @property
    def size(self) -> int:
        """Returns about how many bytes are taken."""
        return self._room.used

    def get(self, key: str, query: SearchQuery, now: float) -> list[SearchHit] | None:
        """Returns the results of a key's query; None if they are not known."""
        self._forget_lapsed(now)
        found = self._kept.get((key, query))
        return None if found is None else list(found.hits)

    def put(self, key: str, query: SearchQuery, hits: Sequence[SearchHit], now: float) -> None:
        """Keeps results, if there is room."""
        if not self._seconds:
            return
        self._forget_lapsed(now)
        self._drop((key, query))
        size = _size(query, hits)
        if self._room.take(key, size):
            self._kept[key, query] = _Results(now + self._seconds, tuple(hits), size)

    def _forget_lapsed(self, now: float) -> None:
        while self._kept and self._kept[name := next(iter(self._kept))].until <= now:
            self._drop(name)

    def _drop(self, name: tuple[str, SearchQuery]) -> None:
        found = self._kept.pop(name, None)
        if found is not None:
            self._room.give_back(name[0], found.size)


def _size(query: SearchQuery, hits: Sequence[SearchHit]) -> int:
    # Python keeps a character in up to four bytes.
    domains = sum(map(len, (*query.allowed_domains, *query.blocked_domains)))
    place = query.location
    parts = (place.city, place.region, place.country, place.timezone) if place is not None else ()
    told = sum(len(part) for part in parts if part is not None)
    texts = sum(len(hit.url) + len(hit.title) + len(hit.text) for hit in hits)
    return _OVERHEAD * (1 + len(hits)) + 4 * (len(query.text) + domains + told + texts)
