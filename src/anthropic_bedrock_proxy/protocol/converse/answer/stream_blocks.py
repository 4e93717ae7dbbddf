"""The content blocks of a Converse stream, put into the order that Anthropic's clients rely on.

Anthropic: indexes contiguous from 0, one block at a time, each with a start, deltas and a stop.
Converse: indexes may be skipped, used again or interleaved, and only tool calls have a start.
So blocks queue in the order in which they began. The first in the queue goes out as it grows; what
the others grow by waits until it is their turn. A block starts when there is something to show:
one that stays empty takes no index.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections import deque
from typing import Any, Final

import msgspec

from ...answer.events import Event

TEXT: Final = "text"
THINKING: Final = "thinking"
REDACTED: Final = "redacted_thinking"
TOOL: Final = "tool_use"
# Shown as texts, because Anthropic has no block for them:
IMAGE: Final = "image"
SERVER_TOOL: Final = "server_tool_use"  # Bedrock itself runs it
RESULT: Final = "tool_result"  # of such a tool

_encode = msgspec.json.Encoder().encode
_AS_TEXT: Final = b'{"type":"text","text":""}'
_OPENINGS: Final = {
    TEXT: _AS_TEXT,
    IMAGE: _AS_TEXT,
    SERVER_TOOL: _AS_TEXT,
    RESULT: _AS_TEXT,
    THINKING: b'{"type":"thinking","thinking":"","signature":""}',
    REDACTED: b"",  # made when all of its data is here
}


class _Block:
    """A block on its way to the client."""

    __slots__ = ("citations", "closed", "data", "head", "kind", "opening", "signature", "waiting")

    def __init__(self, kind: str, opening: bytes) -> None:
        self.kind = kind
        self.opening = opening
        self.head = b""  # how its delta events begin; empty until it has started
        self.waiting: list[bytes] = []  # deltas, while another block has its turn
        self.citations: list[bytes] = []  # citation deltas, while there is no text
        self.signature = ""
        self.data = b""  # of redacted thinking
        self.closed = False


class BlockSequence:
    """Blocks grow here by Converse's indexes; Anthropic's events come out of `events`."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.count = 0  # blocks started so far
        self.calls_tool = False
        self.delta_events = 0
        self.delta_bytes = 0
        self._turns: deque[_Block] = deque()
        self._open: dict[int, _Block] = {}

    def take(self) -> list[Event]:
        """The events made since the last time."""
        events, self.events = self.events, []
        return events

    def add_text(self, index: int, text: str, kind: str = TEXT) -> None:
        """Appends to a text, if it is not empty. `kind`: TEXT or RESULT."""
        if not text:
            return
        block = self._open.get(index)
        if block is None or block.kind != kind:
            block = self._begin(index, kind)
        self._add(block, b'{"type":"text_delta","text":' + _encode(text) + b"}")
        while block.citations:
            self._add(block, block.citations.pop(0))

    def add_citation(self, index: int, citation: dict[str, Any]) -> None:
        """Cites something for a text, which may yet have to come."""
        block = self._growing(index, TEXT)
        delta = b'{"type":"citations_delta","citation":' + _encode(citation) + b"}"
        if block.head or block.waiting:
            self._add(block, delta)
        else:
            block.citations.append(delta)

    def add_thinking(self, index: int, text: str) -> None:
        """Appends to a thought. Nothing may follow a signature, so then it is the next thought."""
        block = self._growing(index, THINKING)
        if block.signature:
            block = self._begin(index, THINKING)
        self._add(block, b'{"type":"thinking_delta","thinking":' + _encode(text) + b"}")

    def add_signature(self, index: int, signature: str) -> None:
        """Appends to the signature, which goes out whole: clients keep only the last delta."""
        self._growing(index, THINKING).signature += signature

    def add_redacted(self, index: int, data: bytes) -> None:
        """Appends to the data of a thought that nobody may read."""
        self._growing(index, REDACTED).data += data

    def add_note(self, index: int, kind: str, text: str) -> None:
        """A text in place of a block, once. `kind`: IMAGE or SERVER_TOOL."""
        block = self._open.get(index)
        if block is None or block.kind != kind:
            block = self._begin(index, kind)
            self._add(block, b'{"type":"text_delta","text":' + _encode(text) + b"}")

    def call_tool(self, index: int, opening: dict[str, Any]) -> None:
        """Begins a tool call; `opening` is its block as it starts."""
        self._begin(index, TOOL, _encode(opening))
        self.calls_tool = True

    def add_input(self, index: int, partial_json: str) -> None:
        """Appends to a tool call's input; without a call it belongs to nobody and is left out."""
        block = self._open.get(index)
        if partial_json and block is not None and block.kind == TOOL:
            piece = _encode(partial_json)
            self._add(block, b'{"type":"input_json_delta","partial_json":' + piece + b"}")

    def close(self, index: int) -> None:
        """The block of this index is complete; the next ones may have their turn."""
        block = self._open.pop(index, None)
        if block is None:
            return
        block.closed = True
        turns = self._turns
        while turns and turns[0].closed:
            self._finish(turns[0])
            turns.popleft()
            if turns:
                self._enter(turns[0])

    def close_all(self) -> None:
        """The message is complete."""
        for index in list(self._open):
            self.close(index)

    def _growing(self, index: int, kind: str) -> _Block:
        """The open block of this index; a new one if it is of another kind."""
        block = self._open.get(index)
        return block if block is not None and block.kind == kind else self._begin(index, kind)

    def _begin(self, index: int, kind: str, opening: bytes = b"") -> _Block:
        self.close(index)
        block = self._open[index] = _Block(kind, opening or _OPENINGS[kind])
        self._turns.append(block)
        if len(self._turns) == 1:
            self._enter(block)
        return block

    def _enter(self, block: _Block) -> None:
        """It is this block's turn."""
        if block.kind == TOOL:
            self._start(block)
        waiting, block.waiting = block.waiting, []
        for delta in waiting:
            self._add(block, delta)

    def _add(self, block: _Block, delta: bytes) -> None:
        if block is not self._turns[0]:
            block.waiting.append(delta)
            return
        if not block.head:
            self._start(block)
        data = block.head + delta + b"}"
        self.delta_events += 1
        self.delta_bytes += len(data)
        self.events.append((b"content_block_delta", data))

    def _start(self, block: _Block) -> None:
        start = b'{"type":"content_block_start","index":%d,"content_block":%b}'
        self.events.append((b"content_block_start", start % (self.count, block.opening)))
        block.head = b'{"type":"content_block_delta","index":%d,"delta":' % self.count
        self.count += 1

    def _finish(self, block: _Block) -> None:
        """Ends the block whose turn it is, if it ever started."""
        if block.kind == THINKING and (block.head or block.signature):
            signature = _encode(block.signature)
            self._add(block, b'{"type":"signature_delta","signature":' + signature + b"}")
        elif block.data:
            data = b2a_base64(block.data, newline=False).decode()
            block.opening = _encode({"type": REDACTED, "data": data})
            self._start(block)
        if block.head:
            stop = b'{"type":"content_block_stop","index":%d}' % (self.count - 1)
            self.events.append((b"content_block_stop", stop))
