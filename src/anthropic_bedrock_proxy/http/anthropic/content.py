"""The contents of requests and answers, shown to whoever logs them: for keys that are named."""

from __future__ import annotations

from typing import Protocol

from ...gateway.answer.stream import EventSource
from ...gateway.exchange import Exchange
from ...protocol.answer.events import Event

_MOST_BYTES = 65_536  # kept of one stream


class ContentObserver(Protocol):
    """Takes the contents of requests and answers, of the keys that it wants."""

    def wants(self, key_id: str) -> bool:
        """Tells whether the contents of a key are to be shown."""
        ...

    def request(self, exchange: Exchange, body: bytes | bytearray) -> None:
        """Takes the body of a request."""
        ...

    def answer(self, exchange: Exchange, body: bytes) -> None:
        """Takes an answer: a message, or the events of a stream, one a line."""
        ...


class ShownEvents:
    """The events of an answer (an `EventSource`), shown when they have ended."""

    def __init__(self, source: EventSource, exchange: Exchange, observer: ContentObserver) -> None:
        self._source = source
        self._exchange = exchange
        self._observer = observer
        self._kept: list[bytes] | None = []
        self._size = 0

    @property
    def done(self) -> bool:
        """Tells whether nothing follows."""
        return self._source.done

    async def read(self) -> list[Event] | None:
        """Reads the next events. Raises `ProxyError`."""
        events = await self._source.read()
        if events and self._kept is not None and self._size < _MOST_BYTES:
            self._kept += [data for _, data in events]
            self._size += sum(len(data) for _, data in events)
        return events

    def close(self) -> None:
        """Lets go, and shows what was read. Idempotent."""
        self._source.close()
        kept, self._kept = self._kept, None
        if kept is not None:
            self._observer.answer(self._exchange, b"\n".join(kept)[:_MOST_BYTES])
