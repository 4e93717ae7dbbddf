"""Server-sent event bytes -> events. Source: WHATWG HTML, "Server-sent events"."""

from __future__ import annotations

from ..answer.events import Event


class SSEDecoder:
    """Decoder of events: takes chunks cut anywhere, returns the events that are complete.

    Accepts LF, CR LF and CR line ends, several `data:` lines and comments, as the standard says.
    """

    def __init__(self) -> None:
        self._buffer = b""
        self._name = b"message"
        self._data: list[bytes] = []

    def receive(self, chunk: bytes) -> list[Event]:
        """Events completed by `chunk`."""
        buffer = self._buffer + chunk
        # A CR at the very end may be half of a CR LF: wait for what follows.
        held = b"\r" if buffer.endswith(b"\r") else b""
        *lines, rest = (
            buffer[: len(buffer) - len(held)]
            .replace(b"\r\n", b"\n")
            .replace(b"\r", b"\n")
            .split(b"\n")
        )
        self._buffer = rest + held
        events: list[Event] = []
        for line in lines:
            if not line:
                if self._data:
                    events.append((self._name, b"\n".join(self._data)))
                self._name, self._data = b"message", []
                continue
            field, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if field == b"data":
                self._data.append(value)
            elif field == b"event":
                self._name = value
        return events
