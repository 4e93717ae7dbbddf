"""Paths as clients write them who join a base URL and a path in their own way.

A base URL is given with `/v1` or without, with a slash at its end, or with the `/anthropic` of
other gateways. Only a path that no route has is looked at here, and only paths of clients' APIs
come out.

    /messages  //v1/messages/  /v1/v1/messages  /anthropic/v1/messages    ->  /v1/messages
"""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote

_PREFIXES: Final = ("", "anthropic", "v1")
_SERVED: Final = ("files", "messages", "models")


def meant_path(raw_path: bytes) -> tuple[str, bytes] | None:
    """Returns the path that was meant, without percent-encoding and with it; None: another one."""
    segments = raw_path.decode("latin-1").split("/")
    first = 0
    while first < len(segments) and segments[first] in _PREFIXES:
        first += 1
    rest = [segment for segment in segments[first:] if segment]
    if not rest or rest[0] not in _SERVED:
        return None
    meant = "/".join(("/v1", *rest))
    return unquote(meant), meant.encode("latin-1")
