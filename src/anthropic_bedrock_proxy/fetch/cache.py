"""A short memory of fetches, by key: a conversation names its URLs with each turn.

Contents are kept for a minute, or as long as is said, and reasons of failures for ten seconds. A
key never gets a content that was fetched for another one. Nothing is evicted early: what finds no
room is not kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Final, Protocol

import msgspec

from .base import (
    BusyError,
    Fetched,
    Fetcher,
    FetchError,
    NotAccessibleError,
    StatusError,
    TooLargeError,
)
from .fair_room import FairRoom
from .guard import MAX_URL

CONTENT_SECONDS: Final = 60.0
REFUSAL_SECONDS: Final = 10.0
MAX_BYTES: Final = 16 * 1024 * 1024
_OVERHEAD: Final = 1024  # bytes of an entry without content, about


class _ClosableFetcher(Fetcher, Protocol):
    def close(self) -> None: ...


class _Timer(Protocol):
    def cancel(self) -> None: ...


class _Name(msgspec.Struct, frozen=True, gc=False):
    """The name that an outcome is kept under."""

    key: str
    url: str
    accept: frozenset[str]


class _Refusal(msgspec.Struct, frozen=True, gc=False):
    """A failure, without the traceback that an exception would keep alive."""

    kind: type[FetchError]
    reason: str


class _Kept(msgspec.Struct, frozen=True, gc=False):
    until: float
    outcome: Fetched | _Refusal

    @property
    def size(self) -> int:
        return _OVERHEAD + (len(self.outcome.body) if isinstance(self.outcome, Fetched) else 0)


class CachedFetcher:
    """A `Fetcher` that remembers. Belongs to one event loop."""

    def __init__(
        self,
        fetcher: _ClosableFetcher,
        *,
        max_bytes: int = MAX_BYTES,
        content_seconds: float = CONTENT_SECONDS,
        now: Callable[[], float] = monotonic,
        later: Callable[[float, Callable[[], None]], _Timer] | None = None,
    ) -> None:
        """`max_bytes` bounds the memory, a quarter of it that of one key.

        `content_seconds` is how long a content is kept. `later` calls a function after so many
        seconds; None: the running loop does.
        """
        self._fetcher = fetcher
        self._content_seconds = content_seconds
        self._now = now
        # Each in the order of time: entries that lapse stand at the beginning.
        self._contents: dict[_Name, _Kept] = {}
        self._refusals: dict[_Name, _Kept] = {}
        self._room = FairRoom(max_bytes)
        self._later = later
        self._sweep: _Timer | None = None

    @property
    def size(self) -> int:
        """Returns about how many bytes are taken."""
        return self._room.used

    async def fetch(
        self, url: str, *, accept: frozenset[str], max_bytes: int, key: str, fresh: bool = False
    ) -> Fetched:
        """Fetches as `Fetcher` says; with `fresh` anew, whatever is remembered."""
        name = _Name(key, url, accept)
        self.forget_lapsed()
        if not fresh and (content := self._recall(name, max_bytes)) is not None:
            return content
        try:
            fetched = await self._fetcher.fetch(url, accept=accept, max_bytes=max_bytes, key=key)
        except (TooLargeError, BusyError):
            raise  # another request may fare better
        except StatusError as error:
            self._refuse(name, _Refusal(NotAccessibleError, error.reason))
            raise
        except FetchError as error:
            self._refuse(name, _Refusal(type(error), error.reason))
            raise
        self._drop(self._refusals, name)  # that another fetch has left meanwhile, or before
        self._keep(self._contents, name, fetched, self._content_seconds)
        return fetched

    def _recall(self, name: _Name, max_bytes: int) -> Fetched | None:
        """Returns what is remembered, unless it is larger. Raises the `FetchError` that is."""
        refused = self._refusals.get(name)
        if refused is not None and isinstance(refused.outcome, _Refusal):
            raise refused.outcome.kind(refused.outcome.reason)
        kept = self._contents.get(name)
        content = kept.outcome if kept is not None else None
        if isinstance(content, Fetched) and len(content.body) <= max_bytes:
            return content
        return None

    def forget_lapsed(self) -> None:
        """Drops entries that have lapsed."""
        now = self._now()
        for kept in (self._contents, self._refusals):
            while kept and kept[name := next(iter(kept))].until <= now:
                self._drop(kept, name)

    def close(self) -> None:
        """Forgets everything, and closes the fetcher."""
        for kept in (self._contents, self._refusals):
            for name in list(kept):
                self._drop(kept, name)
        if self._sweep is not None:
            self._sweep.cancel()
        self._fetcher.close()

    def _refuse(self, name: _Name, refusal: _Refusal) -> None:
        if len(name.url) <= MAX_URL:  # longer ones are refused at once
            self._keep(self._refusals, name, refusal, REFUSAL_SECONDS)

    def _keep(
        self, where: dict[_Name, _Kept], name: _Name, outcome: Fetched | _Refusal, seconds: float
    ) -> None:
        self._drop(where, name)
        kept = _Kept(self._now() + seconds, outcome)
        if self._room.take(name.key, kept.size):
            where[name] = kept
            self._plan_sweep()

    def _drop(self, where: dict[_Name, _Kept], name: _Name) -> None:
        kept = where.pop(name, None)
        if kept is not None:
            self._room.give_back(name.key, kept.size)

    def _sweep_up(self) -> None:
        """Drops lapsed entries by timer, also when nobody fetches any more."""
        self._sweep = None
        self.forget_lapsed()
        self._plan_sweep()

    def _plan_sweep(self) -> None:
        if self._room.used and self._sweep is None:
            later = self._later or asyncio.get_running_loop().call_later
            seconds = max(self._content_seconds, REFUSAL_SECONDS)
            self._sweep = later(seconds, self._sweep_up)
