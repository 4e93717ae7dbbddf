"""The content blocks of a Converse stream, put into the order that Anthropic's clients rely on.

Anthropic: indexes contiguous from 0, one block at a time, each with a start, deltas and a stop.
Converse: indexes may be skipped, used again or interleaved, and only tool calls have a start.

Theory of operation:
- Blocks queue in the order in which they began. Deltas of the first go out at once; deltas of the
  others wait in their block until all blocks before it are closed.
- A block starts with its first delta, and only then takes an index: an empty one takes none. A tool
  call starts when it becomes the first: it may have no input, and clients need it all the same.
- A signature goes out whole, and a redacted thought as one block, when the block closes.
- A delta of another kind for an open index closes that block and begins one of the new kind.

Example: text in block 0, a tool call in block 1 before the text is complete, nothing in block 3.

    Converse                        Anthropic                             queue afterwards
    delta 0 "Let me"                start 0 text, delta 0 "Let me"        text
    start 1 tool f                                                        text, tool
    delta 1 input {"a"                                                    text, tool (1 waits)
    delta 0 " look"                 delta 0 " look"                       text, tool (1 waits)
    delta 3 ""                                                            text, tool (1 waits)
    stop 1                                                                text, tool (closed)
    stop 0                          stop 0, start 1 f, delta 1, stop 1    (empty)
    delta 4 thinking "hm"           start 2 thinking, delta 2 "hm"        thinking
    delta 4 signature S                                                   thinking (S kept)
    stop 4                          delta 2 signature S, stop 2           (empty)
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
# Kinds that become texts, because Anthropic has no block for them:
IMAGE: Final = "image"
SERVER_TOOL: Final = "server_tool_use"  # Bedrock itself runs it
RESULT: Final = "tool_result"  # the result of a tool that Bedrock runs

_encode = msgspec.json.Encoder().encode
_AS_TEXT: Final = b'{"type":"text","text":""}'
_OPENINGS: Final = {
    TEXT: _AS_TEXT,
    IMAGE: _AS_TEXT,
    SERVER_TOOL: _AS_TEXT,
    RESULT: _AS_TEXT,
    THINKING: b'{"type":"thinking","thinking":"","signature":""}',
    REDACTED: b"",  # encoded at its end, with all of its data
}


class _OpenBlock:
    """A block on its way to the client."""

    __slots__ = ("citations", "closed", "data", "head", "kind", "opening", "signature", "waiting")

    def __init__(self, kind: str, opening: bytes) -> None:
        self.kind = kind
        self.opening = opening
        self.head = b""  # the start of its delta events' JSON; empty until the block has started
        self.waiting: list[bytes] = []  # deltas, while another block has its turn
        self.citations: list[bytes] = []  # citation deltas, while there is no text
        self.signature = ""
        self.data = b""  # of redacted thinking
        self.closed = False


class BlockSequence:
    """The blocks of one answer: they grow by Converse's indexes, and `take` returns the events."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.count = 0  # blocks started so far
        self.calls_tool = False
        self.delta_events = 0
        self.delta_bytes = 0
        self._turns: deque[_OpenBlock] = deque()
        self._open: dict[int, _OpenBlock] = {}

    def take(self) -> list[Event]:
        """Returns the events made since the last call."""
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
        """Adds a citation to a text; it waits for the text's first piece, which may come later."""
        block = self._growing(index, TEXT)
        delta = b'{"type":"citations_delta","citation":' + _encode(citation) + b"}"
        if block.head or block.waiting:
            self._add(block, delta)
        else:
            block.citations.append(delta)

    def add_thinking(self, index: int, text: str) -> None:
        """Appends to a thought; after its signature, which must be last, begins the next one."""
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
        """Adds a text in place of a block, once per block. `kind`: IMAGE or SERVER_TOOL."""
        block = self._open.get(index)
        if block is None or block.kind != kind:
            block = self._begin(index, kind)
            self._add(block, b'{"type":"text_delta","text":' + _encode(text) + b"}")

    def call_tool(self, index: int, opening: dict[str, Any]) -> None:
        """Begins a tool call; `opening` is its block as it starts."""
        self._begin(index, TOOL, _encode(opening))
        self.calls_tool = True

    def add_input(self, index: int, partial_json: str) -> None:
        """Appends to a tool call's input; left out if the index has no open call."""
        block = self._open.get(index)
        if partial_json and block is not None and block.kind == TOOL:
            piece = _encode(partial_json)
            self._add(block, b'{"type":"input_json_delta","partial_json":' + piece + b"}")

    def close(self, index: int) -> None:
        """Completes the block of this index; if it was the first, emits what the next ones have."""
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
        """Completes every open block, at the end of the message."""
        for index in list(self._open):
            self.close(index)

    def _growing(self, index: int, kind: str) -> _OpenBlock:
        """Returns the open block of this index, or begins one if there is none of this kind."""
        block = self._open.get(index)
        return block if block is not None and block.kind == kind else self._begin(index, kind)

    def _begin(self, index: int, kind: str, opening: bytes = b"") -> _OpenBlock:
        self.close(index)
        block = self._open[index] = _OpenBlock(kind, opening or _OPENINGS[kind])
        self._turns.append(block)
        if len(self._turns) == 1:
            self._enter(block)
        return block

    def _enter(self, block: _OpenBlock) -> None:
        """Emits what a block has kept while it waited: it is the first in the queue now."""
        if block.kind == TOOL:
            self._start(block)
        waiting, block.waiting = block.waiting, []
        for delta in waiting:
            self._add(block, delta)

    def _add(self, block: _OpenBlock, delta: bytes) -> None:
        if block is not self._turns[0]:
            block.waiting.append(delta)
            return
        if not block.head:
            self._start(block)
        data = block.head + delta + b"}"
        self.delta_events += 1
        self.delta_bytes += len(data)
        self.events.append((b"content_block_delta", data))

    def _start(self, block: _OpenBlock) -> None:
        start = b'{"type":"content_block_start","index":%d,"content_block":%b}'
        self.events.append((b"content_block_start", start % (self.count, block.opening)))
        block.head = b'{"type":"content_block_delta","index":%d,"delta":' % self.count
        self.count += 1

    def _finish(self, block: _OpenBlock) -> None:
        """Emits the end of the first block, if it has started or has something to show."""
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
