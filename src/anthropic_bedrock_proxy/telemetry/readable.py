"""Makes what was asked and answered readable, for logs and traces that an operator wants it in.

Files are left out: base64 in either alphabet, in data URLs, in lines, with escaped slashes. The
events of a stream become their message, in which a key stands in one piece again: only then can it
be hidden.

    {"type":"text_delta","text":"Use sk-Ab1"}   {"type":"text_delta","text":"cD2eF3…"}
    {"content":[{"type":"text","text":"Use sk-Ab1cD2eF3…"}]}
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

_SHORTEST: Final = 256  # characters of base64 that are a file; in a data URL any are
_DATA_URL: Final = ";base64,"
_DATA: Final = r"[A-Za-z0-9+/_-]"
_BREAK: Final = r"(?:\\+[nrt]|\s){1,40}+"  # of lines, escaped in JSON or not
_BASE64: Final = re.compile(
    rf"(?<={_DATA_URL}){_DATA}++={{0,2}}|(?<!{_DATA}){_DATA}{{60,}}+(?:{_BREAK}{_DATA}{{60,}}+)*+"
    rf'(?:{_BREAK}{_DATA}{{1,59}}+(?=[="\\]|$))?+={{0,2}}'
)
# What encoders escape of the alphabet, JSON in JSON more than once; .NET's `+` and `=`, too. With
# all its backslashes: half of them would be an escape that JSON does not have.
_ESCAPED: Final = re.compile(r"(?<!\\)\\++(?:/|u00(?:2[BbFf]|3[Dd]))")
_SIGNS: Final = {"/": "/", "2b": "+", "2f": "/", "3d": "="}
_decode = msgspec.json.Decoder().decode

Event = tuple[bytes, bytes]  # its name and its JSON
UNREADABLE: Final = (msgspec.MsgspecError, ValueError, TypeError, KeyError, AttributeError,
                     RecursionError)  # fmt: skip


def without_files(text: str, *, most: int) -> str:
    """Returns the first `most` characters of `text` that are no base64, which is left out.

    `text` may be JSON, and still is if nothing was cut. What is neither shown nor base64 costs
    nothing.
    """
    if "\\/" in text or "\\u00" in text:
        text = _ESCAPED.sub(_sign, text)
    pieces: list[str] = []
    at = 0
    while at < len(text) and most > 0:
        found = _BASE64.search(text, at, at + most)
        begin = found.start() if found is not None else at + most
        pieces.append(text[at:begin])
        most -= len(pieces[-1])
        at = begin
        if found is not None and (whole := _BASE64.match(text, begin)) is not None:
            at = whole.end()
            is_file = at - begin >= _SHORTEST or text.endswith(_DATA_URL, 0, begin)
            pieces.append(f"({at - begin} characters)" if is_file else whole[0][:most])
            most -= len(pieces[-1])
    return "".join(pieces)


def _sign(escaped: re.Match[str]) -> str:
    """Returns the character that an escape stands for."""
    return _SIGNS[escaped[0].lstrip("\\").removeprefix("u00").lower()]


def folded(events: Iterable[Event]) -> dict[str, Any]:
    """Returns the message of an answer's events, also if they ended too early.

    Raises one of `UNREADABLE`.
    """
    message: dict[str, Any] = {}
    blocks: dict[int, dict[str, Any]] = {}
    written: dict[int, list[str]] = {}
    for name, data in events:
        if name == b"message_start":
            message = _decode(data)["message"]
        elif name == b"content_block_start":
            event = _decode(data)
            blocks[event["index"]] = event["content_block"]
        elif name == b"content_block_delta":
            event = _decode(data)
            delta = event["delta"]
            piece = delta.get("text") or delta.get("thinking") or delta.get("partial_json") or ""
            written.setdefault(event["index"], []).append(piece)
        elif name == b"message_delta":
            event = _decode(data)
            message |= event["delta"]
            message["usage"] = {**message.get("usage", {}), **event.get("usage", {})}
    for index, pieces in written.items():
        block, text = blocks[index], "".join(pieces)
        if block["type"] in {"text", "thinking"}:
            block[block["type"]] = text
        elif text:
            block["input"] = text  # JSON as it was written, which may have been cut
    return {**message, "content": list(blocks.values())}
