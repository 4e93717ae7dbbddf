"""The contents of requests and answers, shown to those who log or trace some of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from ...gateway.answer.stream import EventSource
from ...gateway.exchange import Exchange
from ...protocol.answer.events import Event

_MOST_BYTES: Final = 256 * 1024  # of events, kept of one stream


class ContentObserver(Protocol):
    """Takes the contents of the requests that it wants, and of their answers."""

    def wants(self, exchange: Exchange) -> bool:
        """Tells whether the contents of an authenticated request are to be shown."""
        ...

    def request(self, exchange: Exchange, body: bytes | bytearray) -> None:
        """Takes the body of a request."""
        ...

    def answer(self, exchange: Exchange, answer: bytes | Sequence[Event]) -> None:
        """Takes an answer: a message, or the first events of a stream."""
        ...


class ShownEvents:
    """The events of an answer (an `EventSource`), shown when they have ended."""

    def __init__(
        self, source: EventSource, exchange: Exchange, observers: Sequence[ContentObserver]
    ) -> None:
        self._source = source
        self._exchange = exchange
        self._observers = observers
        self._kept: list[Event] = []
        self._size = 0

    @property
    def done(self) -> bool:
        """Tells whether nothing follows."""
        return self._source.done

    async def read(self) -> list[Event] | None:
        """Reads the next events. Raises `ProxyError`."""
        events = await self._source.read()
        if events and self._size < _MOST_BYTES:
            self._kept += events
            self._size += sum(len(data) for _, data in events)
        return events

    def close(self) -> None:
        """Lets go, and shows what was read. Idempotent."""
        self._source.close()
        observers, self._observers = self._observers, ()
        for observer in observers:
            observer.answer(self._exchange, self._kept)


def shown(
    answer: bytes | EventSource, exchange: Exchange, observers: Sequence[ContentObserver]
) -> bytes | EventSource:
    """Shows an answer: a message now, events once they have ended. Returns what to send."""
    if not isinstance(answer, bytes):
        return ShownEvents(answer, exchange, observers)
    for observer in observers:
        observer.answer(exchange, answer)
    return answer
