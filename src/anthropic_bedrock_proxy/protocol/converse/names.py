"""Names and ids in Bedrock's alphabets. A name always becomes the same Bedrock name.

That keeps history and tools in step, and the prompt cache warm from turn to turn.
Source: bedrock-runtime service model (ToolSpecification, ToolUseBlock, DocumentBlock).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

_TOOL_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_NOT_IN_TOOL_NAME: Final = re.compile(r"[^a-zA-Z0-9_-]")
_ID: Final = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_NOT_IN_ID: Final = re.compile(r"[^a-zA-Z0-9_.:-]")
_NOT_IN_DOCUMENT_NAME: Final = re.compile(r"[^a-zA-Z0-9()\[\]-]+")
_HASH: Final = 16
_KEPT: Final = 64 - 1 - _HASH
_DOCUMENT: Final = "document"
_MAX_TITLE: Final = 180  # of 200: the rest is for the number that makes it unique


class ToolNames:
    """Table of tool names: the client's -> Bedrock's."""

    __slots__ = ("_sent", "_taken")

    def __init__(self, names: Iterable[str]) -> None:
        """`names` are those of the tools in the request."""
        self._sent: dict[str, str] = {}
        self._taken = {name for name in names if _TOOL_NAME.fullmatch(name)}

    def sent(self, name: str) -> str:
        """Returns the name on Bedrock: up to 64 letters, digits, `_` and `-`."""
        known = self._sent.get(name)
        if known is None:
            known = self._sent[name] = self._choose(name)
        return known

    def _choose(self, name: str) -> str:
        if _TOOL_NAME.fullmatch(name):
            return name
        salt = 0
        while (choice := _shorten(name, _NOT_IN_TOOL_NAME, "_", salt)) in self._taken:
            salt += 1
        self._taken.add(choice)
        return choice

    def renamed(self) -> dict[str, str]:
        """Returns the way back, Bedrock's name -> the client's, where they differ."""
        return {sent: name for name, sent in self._sent.items() if sent != name}


def block_id(given: str) -> str:
    """Returns a tool_use id in Bedrock's alphabet, up to 64 characters."""
    return given if _ID.fullmatch(given) else _shorten(given, _NOT_IN_ID, "-", 0)


def _shorten(name: str, odd: re.Pattern[str], joint: str, salt: int) -> str:
    digest = sha256(f"{name}{salt or ''}".encode()).hexdigest()[:_HASH]
    return f"{odd.sub(joint, name[:_KEPT])}{joint}{digest}"


class DocumentNames:
    """Names of documents: unique in a request, of letters, digits, single spaces and - ( ) [ ]."""

    __slots__ = ("_numbers", "_taken")

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._numbers: dict[str, int] = {}  # name -> the last number that was tried

    def choose(self, title: str) -> str:
        """Returns a free name that resembles the title."""
        name = _NOT_IN_DOCUMENT_NAME.sub(" ", title[:_MAX_TITLE]).strip() or _DOCUMENT
        choice, number = name, self._numbers.get(name, 1)
        while choice in self._taken:
            number += 1
            choice = f"{name} {number}"
        self._taken.add(choice)
        self._numbers[name] = number  # the lower ones are taken for good
        return choice
