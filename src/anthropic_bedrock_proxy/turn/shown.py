"""Messages for the model while they are put together out of the client's.

Each of their blocks has a path to where the client has it, so that errors can say so.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Raw

from ..errors import InvalidRequestError
from ..protocol.raw import Json
from ..protocol.request.views import MessageView
from ..tools.base import ServerTool

_MAX_SHOWN: Final = 128
BlockPath = tuple[int, int]  # message and block of the client's


class Shown(msgspec.Struct):
    """A message for the model: a tree whose blocks come from `paths`, or the client's own.

    Of the client's own, `view` is what has been read of it and `paths` holds its index alone.
    """

    message: Json | Raw
    view: MessageView | None
    paths: list[BlockPath]


class UnansweredCall(msgspec.Struct):
    """A server-side call without a result, and the index of its message."""

    tool: ServerTool
    id: str
    name: str
    input: Any
    index: int

    @property
    def words(self) -> str:
        """Returns the beginning of a sentence about the call, with its place."""
        return f"messages.{self.index}: `{self.name}` tool use with id `{self.id[:_MAX_SHOWN]}`"

    def without_result(self) -> InvalidRequestError:
        """Makes the error for a history that goes on without its result."""
        kind = self.tool.result_type(self.name)
        return InvalidRequestError(f"{self.words} was found without a corresponding `{kind}` block")


class OpenMessage(msgspec.Struct):
    """An assistant message for the model, until it is known what follows it."""

    message: Json
    paths: list[BlockPath] = []
    calls: dict[str, UnansweredCall] = {}
    calls_client: bool = False
    results: list[Json] = []
    result_paths: list[BlockPath] = []


class OpenAnswers(msgspec.Struct):
    """The user message in which the results of `calls` are missing, and those that have come."""

    calls: dict[str, UnansweredCall]
    content: list[Json]
    paths: list[BlockPath]
    results: list[Json] = []
    result_paths: list[BlockPath] = []

    def complete(self) -> None:
        """Puts the results that have come first in the message, the latest before the others."""
        self.content[:0] = reversed(self.results)
        self.paths[:0] = reversed(self.result_paths)
