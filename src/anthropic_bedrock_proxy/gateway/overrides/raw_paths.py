"""Paths into a request body that is ready for the wire: found, or left out, without building it.

Only what a path leads through is taken apart, level by level; everything else stays the bytes that
it was, numbers of any length included. A path is a list of keys, with `*` or a number for the
places in a list. Bedrock's paths also name the kind of a block or tool between its place and the
field (`tools.0.custom.strict`), which is no key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Raw

from ...protocol.raw import decode_raws, encode

EXTRA: Final = "additionalModelRequestFields"  # of Converse: Claude's own fields are in it
ANY: Final = "*"
_LIST: Final = ord("[")
_CUSTOM: Final = "custom"  # the kind of a tool that names none
_MAX_DEPTH: Final = 16
_MAX_DIGITS: Final = 6
_UNREADABLE: Final = (msgspec.MsgspecError, RecursionError)
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode

Fields = dict[str, Raw]


class Found(msgspec.Struct, frozen=True):
    """The place that a path leads to."""

    keys: tuple[str, ...]  # without kinds, and `*` for every place in a list
    kind: str  # of what holds the field: its `type`


def fields_of(body: bytes | Raw) -> Fields:
    """Returns the fields of an object; none if it is something else."""
    try:
        return _decode_object(body)
    except _UNREADABLE:
        return {}


def locate(body: bytes, path: Sequence[str]) -> Found | None:
    """Finds the place of `path` in `body`, or among Claude's own fields on Converse.

    None if it leads nowhere, or could be read in several ways: a key may have dots in it.
    """
    if len(path) > _MAX_DEPTH:
        return None
    fields = fields_of(body)
    found = [_locate(fields, path)]
    if EXTRA in fields:
        found.append(_locate(fields_of(fields[EXTRA]), path))
    known = [one for one in found if one is not None]
    return known[0] if len(known) == 1 else None


def _locate(node: Fields | list[Raw], path: Sequence[str]) -> Found | None:
    head, rest = path[0], path[1:]
    if isinstance(node, list):
        if not rest or not head.isdecimal() or len(head) > _MAX_DIGITS or int(head) >= len(node):
            return None
        return _prefixed(ANY, _locate(_open(node[int(head)]), rest))
    if any(".".join(path[: index + 1]) in node for index in range(1, len(path))):
        return None
    kind = _kind(node)
    if not rest:
        return Found((head,), kind) if head in node else None
    within = _prefixed(head, _locate(_open(node[head]), rest)) if head in node else None
    if head in (kind, _CUSTOM):
        of_kind = _locate(node, rest)
        if of_kind is not None:
            return of_kind if within is None else None
    return within


def strip(body: bytes, paths: Iterable[str]) -> tuple[bytes, list[str]]:
    """Returns `body` without what the dotted `paths` lead to, and which of them led anywhere."""
    escaped = _is_escaped(body)
    wanted = [path for path in paths if escaped or _quoted(path.rpartition(".")[2]) in body]
    removed: list[str] = []
    if not wanted:
        return body, removed
    fields = fields_of(body)
    for path in wanted:
        keys = path.split(".")
        roots = [keys, [EXTRA, *keys]] if EXTRA in fields else [keys]
        if True in [_strip(fields, root) for root in roots]:
            removed.append(path)
    return (encode(fields) if removed else body), removed


def _strip(node: Fields | list[Raw], path: Sequence[str]) -> bool:
    """Removes in place what `path` leads to, wherever its `*` matches."""
    head, rest = path[0], path[1:]
    if isinstance(node, list):
        changed = False
        if head == ANY and rest:
            for index, raw in enumerate(node):
                if (stripped := _stripped(raw, rest)) is not None:
                    node[index] = stripped
                    changed = True
        return changed
    if not rest:
        return node.pop(head, None) is not None
    if head in (_kind(node), _CUSTOM) and _strip(node, rest):
        return True
    inner = _stripped(node[head], rest) if head in node else None
    if inner is not None:
        node[head] = inner
    return inner is not None


def _stripped(raw: Raw, path: Sequence[str]) -> Raw | None:
    """Returns the value without what `path` leads to; None if it leads nowhere."""
    data = bytes(raw)
    if _quoted(path[-1]) not in data and not _is_escaped(data):
        return None
    inner = _open(raw)
    return Raw(encode(inner)) if _strip(inner, path) else None


def _open(raw: Raw) -> Fields | list[Raw]:
    """Opens the value one level deep; nothing for what has no levels."""
    if memoryview(raw)[0] == _LIST:
        try:
            return decode_raws(raw)
        except _UNREADABLE:
            return []
    return fields_of(raw)


def _kind(fields: Mapping[str, Raw]) -> str:
    raw = fields.get("type")
    if raw is None:
        return ""
    try:
        return _decode_text(raw)
    except msgspec.MsgspecError:
        return ""


def _prefixed(key: str, found: Found | None) -> Found | None:
    return None if found is None else Found((key, *found.keys), found.kind)


def _is_escaped(data: bytes) -> bool:
    """Tells whether a key may be written with escapes; one byte is found faster than two."""
    return b"\\" in data and b"\\u" in data


def _quoted(key: str) -> bytes:
    return b'"%b"' % key.encode()
