"""`metadata.user_id` as Bedrock's request metadata, by which an operator filters invocation logs.

Source: Amazon Bedrock, Converse `requestMetadata`: 256 characters of a small set.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec
from msgspec import Raw

_MAX_CHARACTERS: Final = 256
_REFUSED: Final = re.compile(r"[^a-zA-Z0-9\s:_@$#=/+,.-]+")


class _Metadata(msgspec.Struct):
    user_id: str | None = None


_decode = msgspec.json.Decoder(_Metadata | None).decode


def request_metadata(raw: Raw) -> dict[str, str]:
    """Converts `metadata`; empty if the client named no user.

    Raises msgspec.MsgspecError for another form.
    """
    metadata = _decode(raw)
    if metadata is None or not metadata.user_id:
        return {}
    # A header cannot hold line ends, and Claude Code's user id is JSON.
    plain = " ".join(_REFUSED.sub("_", metadata.user_id).split())[:_MAX_CHARACTERS]
    return {"user_id": plain} if plain.strip("_ ") else {}
