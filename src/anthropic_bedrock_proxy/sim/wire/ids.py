"""Identifiers in the shapes the real service uses.

Bedrock marks message and tool-use ids of InvokeModel with `bdrk`; a request id is a UUID.
"""

from __future__ import annotations

import os
from itertools import count
from uuid import UUID

_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz123456789"
_LENGTH = 22
_next = count(int.from_bytes(os.urandom(8), "big"))


def new_id(prefix: str) -> str:
    """Makes an id: unique in this process, unlikely to meet one of another process."""
    number = next(_next) * 0x9E3779B97F4A7C15F39CC0605CEDC835 % (1 << 128)
    letters = []
    for _ in range(_LENGTH):
        number, index = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[index])
    return prefix + "01" + "".join(letters)


def new_request_id() -> str:
    """Makes a value for `x-amzn-RequestId`."""
    return str(UUID(int=next(_next) * 0x9E3779B97F4A7C15F39CC0605CEDC835 % (1 << 128)))
