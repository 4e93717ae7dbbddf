"""The model's text on its way to the client: markers become citations. Sans-IO.

The model wraps what it takes from a passage (tools/passages.py), or puts a void marker behind it:

    It came out <cited index="w3k9x-2,w3k9x-3">in October</cited>.
    It came out in October.<cited index="w3k9x-2"/>

`CitedAnswer` takes the events of one answer and makes several text blocks out of one, each with the
citations that belong to all of its text. The rules:
- A marker without a known passage disappears, and so does its end; its text stays where it was.
- A marker inside another adds its passages to the other's text, which is not split again.
- A marker around no text is a void one. A void one without text before it in its block disappears.
- A marker that is not closed ends with its block. An end without a marker disappears, and so does a
  marker without an index: HTML has no such element. Over `LONGEST_MARKER` characters are text.
- JSON of a schema stays one text: nothing in it can be cited, so its markers disappear.
- A marker may be cut anywhere: what may still become one is held back, and nothing else.

Blocks keep the index that the model gave the whole: turn/client_answer.py numbers them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final

import msgspec
from msgspec import Raw

from ..protocol.answer.events import Event
from ..protocol.raw import Json, decode, encode
from ..tools.passages import Passages

LONGEST_MARKER: Final = 400  # characters, from its < to its >
_START: Final = b"content_block_start"
_DELTA: Final = b"content_block_delta"
_STOP: Final = b"content_block_stop"
# No two parts of a marker can take the same characters: hostile text costs no more than other.
_ATTRIBUTES: Final = r"(?:[\s/][^<>]*)?"
_MARKER: Final = re.compile(rf"<(?:cited(?P<attributes>{_ATTRIBUTES})|/cited *)>")


def _begun(word: str, rest: str) -> str:
    """Makes the pattern of all beginnings of a word, and of the word with `rest` behind it."""
    for letter in reversed(word):
        rest = f"(?:{letter}{rest})?"
    return rest


_BEGUN: Final = re.compile(f"<(?:{_begun('/cited', ' *')}|{_begun('cited', _ATTRIBUTES)})")
_INDEX: Final = re.compile(r"""\bindex\s*=\s*(?:"([^"]*)"|'([^']*)'|([^"']*))""")
_BETWEEN: Final = re.compile(r"[\s,/]+")  # indexes


class _TextDelta(msgspec.Struct, gc=False):
    type: str = ""
    text: str = ""


class _TextBlockDelta(msgspec.Struct, gc=False):
    delta: _TextDelta


_decode_delta = msgspec.json.Decoder(_TextBlockDelta).decode


class _Shown(Enum):
    """The block that is open at the client, of the model's open text block."""

    NONE = "none"
    PLAIN = "plain"
    CITED = "cited"  # its text stands in a marker
    COMPLETE = "complete"  # with its citations: further text begins another


class CitedAnswer:
    """The events of one answer, with citations in the place of markers."""

    def __init__(self, passages: Passages) -> None:
        """`passages` are looked up when a marker comes: they may become more until then."""
        self._passages = passages
        self._block: Json | None = None  # the model's open text block, as it began
        self._start: Event | None = None  # its beginning, until it is told or replaced
        self._index = 0
        self._is_empty = True  # nothing has come of it
        self._held = ""  # what may become a marker
        self._open: list[bool] = []  # the open markers, outermost first: has it a passage?
        self._cited: dict[str, Json] = {}  # the passages of the open markers, by index
        self._told: set[str] = set()  # those that the client's open block has
        self._shown = _Shown.NONE

    def feed(self, event: Event) -> list[Event]:
        """Takes the next event of the answer; returns what the client is told now."""
        name, data = event
        if name == _START:
            return self._begin(event)
        if self._block is None:
            return [event]
        if name == _DELTA:
            flows = not self._held and self._shown is self._wanted
            # Some writers of JSON escape the <.
            if flows and b"<" not in data and b"\\u003" not in data:
                return [event]
            return self._add(event)
        return self._end(event) if name == _STOP else [event]

    @property
    def _wanted(self) -> _Shown:
        """Returns the kind of block that text belongs to which comes now."""
        return _Shown.CITED if self._cited else _Shown.PLAIN

    def _begin(self, event: Event) -> list[Event]:
        fields = decode(event[1])
        block = fields["content_block"]
        if block["type"] != "text":
            return [event]
        text = block.get("text", "")
        self._block, self._index = {**block, "text": ""}, fields["index"]
        # It waits for text: the first may stand in a marker.
        self._start = None if text else event
        self._is_empty, self._shown = True, _Shown.NONE
        return self._read(text)

    def _add(self, event: Event) -> list[Event]:
        delta = _decode_delta(event[1]).delta
        if delta.type != "text_delta":
            # A citation of the model's own: it belongs to what has been told of the block.
            begun = self._show(_Shown.PLAIN) if self._shown is _Shown.NONE else []
        elif self._held or not delta.text or "<" in delta.text:
            return self._read(delta.text)
        else:
            begun = self._begin_text()
        return [*begun, event]

    def _end(self, event: Event) -> list[Event]:
        held, self._held = self._held, ""
        # Of a marker that the model did not finish, nothing is left.
        told = self._tell("" if held.startswith(("<cited", "</cited")) else held)
        if self._cited:
            told += self._cite()
        if self._is_empty and self._shown is _Shown.NONE:
            told += self._show(_Shown.PLAIN)
        if self._shown is not _Shown.NONE:
            told.append(event)
        self._block = self._start = None
        self._open.clear()
        return told

    def _read(self, text: str) -> list[Event]:
        """Takes text of the model's; returns the events of all that is decided by it."""
        self._is_empty &= not text
        text = self._held + text
        self._held = ""
        told: list[Event] = []
        begin, at = 0, text.find("<")
        while at >= 0:
            if (found := _MARKER.match(text, at, at + LONGEST_MARKER)) is not None:
                told += self._tell(text[begin:at])
                told += self._mark(found)
                begin = found.end()
                at = text.find("<", begin)
            elif len(text) - at < LONGEST_MARKER and _BEGUN.fullmatch(text, at) is not None:
                self._held, text = text[at:], text[:at]
                break
            else:
                at = text.find("<", at + 1)
        return told + self._tell(text[begin:])

    def _mark(self, found: re.Match[str]) -> list[Event]:
        """Takes a whole marker, or its end."""
        attributes = found["attributes"]
        if attributes is not None:
            known = self._look_up(attributes)
            self._cited |= known
            if not attributes.endswith("/"):
                self._open.append(bool(known))
        elif self._open:
            self._open.pop()
        return [] if any(self._open) or not self._cited else self._cite()

    def _look_up(self, attributes: str) -> dict[str, Json]:
        value = _INDEX.search(attributes)
        names = _BETWEEN.split(value[value.lastindex or 0]) if value is not None else ()
        found = {name: self._passages.cite(name) for name in names if name}
        return {index: citation for index, citation in found.items() if citation is not None}

    def _tell(self, text: str) -> list[Event]:
        if not text:
            return []
        return [*self._begin_text(), self._delta({"type": "text_delta", "text": text})]

    def _begin_text(self) -> list[Event]:
        return [] if self._shown is self._wanted else self._show(self._wanted)

    def _show(self, shown: _Shown) -> list[Event]:
        """Begins a block at the client, and ends the one before."""
        told: list[Event] = []
        if self._shown is not _Shown.NONE:
            told.append((_STOP, encode({"type": "content_block_stop", "index": self._index})))
        start, self._start = self._start, None
        if start is None or shown is _Shown.CITED:
            cited: Json = {"citations": []} if shown is _Shown.CITED else {}
            block = {**(self._block or {}), **cited}
            fields = {"type": "content_block_start", "index": self._index, "content_block": block}
            start = _START, encode(fields)
        self._shown = shown
        self._told.clear()
        return [*told, start]

    def _cite(self) -> list[Event]:
        """Ends the client's open block with the passages of the markers, which have ended."""
        cited, self._cited = self._cited, {}
        if self._shown is _Shown.NONE:
            return []
        self._shown = _Shown.COMPLETE
        fresh = [citation for index, citation in cited.items() if index not in self._told]
        self._told |= cited.keys()
        return [self._delta({"type": "citations_delta", "citation": one}) for one in fresh]

    def _delta(self, delta: Json) -> Event:
        fields: dict[str, Any] = {"type": "content_block_delta", "index": self._index}
        return _DELTA, encode({**fields, "delta": delta})


def wants_json(fields: Mapping[str, Raw]) -> bool:
    """Tells whether a request wants JSON of a schema, by either of the fields for it."""
    old, config = (
        decode(fields[name]) if name in fields else None
        for name in ("output_format", "output_config")
    )
    return old is not None or (isinstance(config, dict) and config.get("format") is not None)


def with_markers(block: Json, index_of: Callable[[Json], str | None]) -> Json:
    """Returns a client's text block as the model wrote it: its citations as a marker around it.

    `index_of` tells the index of a citation's passage; citations without one are another's, and
    stay. Raises one of protocol/raw.py:MISSHAPEN if the block has another form.
    """
    found: dict[str, None] = {}
    others = []
    for one in block.get("citations") or ():
        index = index_of(one)
        if index is None:
            others.append(one)
        else:
            found[index] = None
    if not found:
        return block
    fields = {name: value for name, value in block.items() if name != "citations"}
    if others:
        fields["citations"] = others
    if block["text"]:
        fields["text"] = f'<cited index="{",".join(found)}">{block["text"]}</cited>'
    return fields
