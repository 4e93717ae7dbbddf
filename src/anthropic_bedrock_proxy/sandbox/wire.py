"""The bodies of the executor's HTTP API, for both of its sides. Pure.

    GET    /state                                      -> ExecutorState
    GET    /containers/{id}                            -> ContainerState
    POST   /containers/{id}/cells/{cell}               RunBody -> CellReply
    POST   /containers/{id}/cells/{cell}/results       ResumeBody -> CellReply
    DELETE /containers/{id}
    POST   /files?name=…&seconds=…&copy=…                     bytes -> FileRecord
    GET    /files                                      -> FileList
    GET    /files/{id}                                 -> FileRecord
    GET    /files/{id}/content                         -> bytes
    DELETE /files/{id}

The owner stands in the body, or in the header `x-owner` where there is none. Whatever fails is an
`ErrorBody`: `gone` (404), `unavailable` (503), `unauthorized` (401), `too_large` (413), `full`
(507), `invalid` (400).
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from .base import Cell, FileRecord, FunctionResult

MAX_BODY_BYTES: Final = 16 * 1024 * 1024
LONGEST_CELL_SECONDS: Final = 600.0  # the most that the settings allow for one
LONGEST_OWNER: Final = 128
LONGEST_FILENAME: Final = 255
OWNER_HEADER: Final = "x-owner"
COPY_PREFIX: Final = "copy_"  # of the ids of copies: the rest is that of the file, with its mark
_COPY: Final = re.compile(r"copy_[0-9a-f]{28}")
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")


class RunBody(msgspec.Struct, frozen=True):
    """A cell to run, and for whom."""

    owner: str
    cell: Cell
    create: bool = False
    uploads: list[str] = []
    beside: list[str] = []


class ResumeBody(msgspec.Struct, frozen=True):
    """Results of function calls that a cell waits for."""

    owner: str
    results: list[FunctionResult]


class ErrorBody(msgspec.Struct, frozen=True):
    """A failure: its kind, and a message for the operator."""

    error: str
    message: str = ""


class ExecutorState(msgspec.Struct, frozen=True, kw_only=True):
    """An executor as it stands: `status` is `ready`, `preparing` or `unavailable`.

    `running` and `waiting` count cells, `warm` the runners that wait for a container, `errors` the
    sandboxes that could not be started or ended by themselves since the executor began.
    """

    status: str
    isolation: str = ""
    reason: str = ""
    details: dict[str, str] = {}
    containers: int = 0
    running: int = 0
    waiting: int = 0
    warm: int = 0
    errors: int = 0
    version: str = ""


class FileList(msgspec.Struct, frozen=True):
    """The files of an owner, newest first."""

    files: list[FileRecord]


def is_id(text: str) -> bool:
    """Tells whether a text may be the id of a container, a cell or a file."""
    return _ID.fullmatch(text) is not None


def is_copy_id(text: str) -> bool:
    """Tells whether a text may be the id of a copy of another executor's file."""
    return _COPY.fullmatch(text) is not None


def is_owner(text: str) -> bool:
    """Tells whether a text may be the id of an owner, which has to fit into a header."""
    return 0 < len(text) <= LONGEST_OWNER and text.isascii() and text.isprintable()


def is_filename(text: str) -> bool:
    """Tells whether a text may name a file in a folder."""
    return (
        text not in {"", ".", ".."}
        and "/" not in text
        and text.isprintable()
        and len(text.encode("utf-8", "replace")) <= LONGEST_FILENAME
    )
