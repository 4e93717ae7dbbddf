"""The seam to families of clients: values of the gateway in, bytes of one API's shape out.

The gateway speaks of events, messages, errors and limits (Anthropic's terms, as values). An
`Encoder` renders them for clients of one API; `anthropic/encoder.py` is the first. Another family
of clients is another encoder and its handlers: nothing below `http/` changes.
"""

from __future__ import annotations

from typing import Protocol

from ..errors import ProxyError
from ..gateway.exchange import Exchange
from ..protocol.answer.events import Event


class StreamEncoder(Protocol):
    """Encodes one streamed answer, from its first event to its end."""

    @property
    def content_type(self) -> bytes:
        """The type of the stream, e.g. `text/event-stream`."""
        ...

    @property
    def filler(self) -> bytes:
        """A part that means nothing to a client: it is sent to find out whether one still reads."""
        ...

    def events(self, events: list[Event]) -> bytes:
        """Encodes the next events, ready for one write."""
        ...

    def error(self, error: ProxyError, request_id: str) -> bytes:
        """Encodes an error that comes after the HTTP status is gone; nothing follows it."""
        ...


class Encoder(Protocol):
    """Encodes whole answers and errors, and says how a stream is encoded."""

    def stream(self, exchange: Exchange) -> StreamEncoder:
        """Returns the encoder of one streamed answer."""
        ...

    def message(self, message: bytes, exchange: Exchange) -> bytes:
        """Encodes a whole answer: `message` is Anthropic's message document."""
        ...

    def lines(self, exchange: Exchange) -> bytes:
        """Encodes what is told of an answer in header lines, each with its CRLF."""
        ...

    def error(self, error: ProxyError, request_id: str) -> bytes:
        """Encodes an error as the body of an answer."""
        ...

    def error_lines(self, error: ProxyError) -> bytes:
        """Encodes what is told of an error in header lines: limits, and whether to try again."""
        ...
