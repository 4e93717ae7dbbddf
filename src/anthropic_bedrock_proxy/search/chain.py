"""The `Searcher` of a worker: back ends in their order, behind a cache, limits and fair slots.

A search goes to the first back end. What it cannot do now (`unavailable`, `too_many_requests`) the
next one is asked; what is wrong with the query itself is told at once. A back end that has failed a
moment ago is asked after the others. Results of the cache cost nothing, so they draw on no limit.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Final

import msgspec

from ..fetch.base import BusyError
from ..fetch.fair_slots import FairSlots
from .base import SearchBackend, SearchError, SearchHit, SearchQuery, too_slow
from .cache import ResultCache
from .rate import SearchRate
from .state import BackendRecord, BackendState

_SLOTS: Final = 32
_WAITING: Final = 32  # of one key
_REST_SECONDS: Final = 30.0
_ELSEWHERE: Final = ("unavailable", "too_many_requests")
_log = logging.getLogger("anthropic_bedrock_proxy.search")


class ChainOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of searches.

    `timeout_seconds` is that of one back end; `cache_seconds` 0: no cache; `per_minute` searches
    of each key, 0: no limit; `slots` searches at once, shared by keys; `waiting` of one key.
    """

    timeout_seconds: float = 10.0
    cache_seconds: float = 300.0
    per_minute: int = 60
    slots: int = _SLOTS
    waiting: int = _WAITING


class SearchChain:
    """A `Searcher` of several back ends. Belongs to one event loop."""

    def __init__(
        self,
        backends: Sequence[SearchBackend],
        options: ChainOptions | None = None,
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """`backends` in the order in which they are asked."""
        self._options = options or ChainOptions()
        self._backends = [(one, BackendRecord(one.name)) for one in backends]
        self._clock = clock
        self._cache = ResultCache(self._options.cache_seconds)
        self._rate = SearchRate(self._options.per_minute)
        self._slots = FairSlots(self._options.slots, max_waiting=self._options.waiting)

    async def search(self, query: SearchQuery, *, key: str) -> list[SearchHit]:
        """See `Searcher`."""
        kept = self._cache.get(key, query, self._clock())
        if kept is not None:
            return kept
        if seconds := self._rate.take(key, self._clock()):
            raise SearchError(
                "too_many_requests",
                f"the key has used up WEB_SEARCH_RATE_LIMIT; the next search is in {seconds:.0f} s",
            )
        await self._take_slot(key)
        try:
            hits = await self._first_answer(query)
        finally:
            self._slots.give_back(key)
        self._cache.put(key, query, hits, self._clock())
        return hits

    def states(self) -> list[BackendState]:
        """Returns at once what is known of each back end, in their order."""
        now = self._clock()
        return [record.state(now) for _, record in self._backends]

    async def close(self) -> None:
        """Lets go of the connections of all back ends."""
        for backend, _ in self._backends:
            await backend.close()

    async def _take_slot(self, key: str) -> None:
        try:
            async with asyncio.timeout(self._options.timeout_seconds):
                await self._slots.take(key)
        except (BusyError, TimeoutError) as error:
            raise SearchError("too_many_requests", "too many searches of the key wait") from error

    async def _first_answer(self, query: SearchQuery) -> list[SearchHit]:
        now = self._clock()
        order = sorted(self._backends, key=lambda one: one[1].failed_within(_REST_SECONDS, now))
        errors: list[SearchError] = []
        for backend, record in order:
            try:
                hits = await self._ask(backend, query)
            except SearchError as error:
                if error.code not in _ELSEWHERE:
                    raise
                if record.failed(self._clock(), error.reason):
                    _log.warning("web search by %s failed: %s", backend.name, error.reason)
                errors.append(error)
            else:
                if record.succeeded(self._clock()):
                    _log.info("web search by %s works again", backend.name)
                return hits
        raise _all_failed(errors, [backend.name for backend, _ in order])

    async def _ask(self, backend: SearchBackend, query: SearchQuery) -> list[SearchHit]:
        seconds = self._options.timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                return await backend.search(query)
        except TimeoutError as error:
            raise SearchError("unavailable", too_slow(seconds)) from error
        except SearchError:
            raise
        except Exception as error:
            # A client's request must not fail by a bug in what reads foreign answers.
            # Not its message, nor that of its cause: they may quote what was asked, or found.
            where = "".join(traceback.format_tb(error.__traceback__))
            _log.error("a search failed in an unexpected way: %s\n%s", type(error).__name__, where)
            reason = f"the search itself failed ({type(error).__name__}): report this"
            raise SearchError("unavailable", reason) from error


def _all_failed(errors: Sequence[SearchError], names: Sequence[str]) -> SearchError:
    busy = bool(errors) and all(error.code == "too_many_requests" for error in errors)
    pairs = zip(names, errors, strict=True)
    reason = "; ".join(f"{name}: {error.reason}" for name, error in pairs)
    return SearchError("too_many_requests" if busy else "unavailable", reason)
