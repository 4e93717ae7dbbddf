"""The client's one message out of the answers to several model calls.

Blocks are numbered anew, and each server-side call is followed by its outcome: what the model says
behind a call is held back until the call has one. That is never more than the rest of one model
answer, for the next call is made only with all outcomes.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec
from msgspec import Raw

from ..protocol.answer.events import Event, explode_block
from ..protocol.raw import encode
from .server_call import ServerCall


class _StartIndex(msgspec.Struct, gc=False):
    index: int


_decode_index = msgspec.json.Decoder(_StartIndex).decode
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode


class ClientAnswer:
    """The events for the client, in their order; `release` those that may go."""

    def __init__(self) -> None:
        self.blocks = 0  # that were added; the outcome of a call counts as one
        self._ready: list[Event] = []
        self._held: deque[Event | ServerCall] = deque()  # from a call without an outcome on
        self._index = 0  # of the client's next block
        self._shifted = False  # the model counts the open block differently

    def add(self, event: Event) -> None:
        """Adds an event with the number that the model gave its block."""
        if self._held:
            self._held.append(event)
        else:
            self._number(event)

    def add_stop(self, event: Event) -> None:
        """Adds the end of a block."""
        self.blocks += 1
        self.add(event)

    def add_outcome(self, call: ServerCall) -> None:
        """Adds what will be told of this call: what follows waits for it."""
        self.blocks += 1
        self._held.append(call)

    def release(self) -> list[Event]:
        """Returns the events before the first call without an outcome."""
        held = self._held
        while held:
            first = held[0]
            if not isinstance(first, ServerCall):
                self._number(first)
            elif first.told is None:
                break
            else:
                for block in first.told:
                    self._ready += explode_block(self._index, block)
                    self._index += 1
            held.popleft()
        ready, self._ready = self._ready, []
        return ready

    def _number(self, event: Event) -> None:
        name, data = event
        if name == b"content_block_start":
            self._shifted = _decode_index(data).index != self._index
        if self._shifted and name.startswith(b"content_block"):
            fields: dict[str, Any] = _decode_fields(data)
            fields["index"] = self._index
            event = name, encode(fields)
        self._ready.append(event)
        if name == b"content_block_stop":
            self._index += 1
