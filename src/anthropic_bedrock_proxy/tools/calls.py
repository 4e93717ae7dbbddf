"""Calls of server-side tools: what a tool is told of a request, what it is asked, what it answers.

Data alone. What a tool has to be able to do with it is said in tools/base.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from ..protocol.raw import Json
from ..protocol.request.views import ToolView
from .passages import Passages


class GivenBlock(msgspec.Struct, frozen=True):
    """A block of a user message that is for a tool; `path` is its place in the client's request.

    `shown` is what the model sees in its place, which the tool's `check` may complete.
    """

    block: Json
    path: str
    shown: Json


class CodeFunction(msgspec.Struct, frozen=True):
    """A server-side tool as code may call it: `definition` is that of a custom tool.

    `direct`: the model may call it as well.
    """

    definition: Json
    direct: bool


class RequestTools(msgspec.Struct, frozen=True):
    """The tool definitions of a request, as they came; `views` are what has been read of them.

    `functions` are the server-side tools among them that code may call, by their indexes. With
    `provides_code` the last definition is not the client's: code execution was put there for them.
    """

    views: Sequence[ToolView]
    raws: Sequence[Raw]
    functions: Mapping[int, CodeFunction] = {}
    provides_code: bool = False


class NestedCall(msgspec.Struct, frozen=True):
    """A call of a server-side tool by code; `caller` is the client's word for that code."""

    id: str
    name: str
    input: Json
    caller: Json


class NestedResult(msgspec.Struct, frozen=True):
    """The end of a nested call: what the code gets, and the blocks that the client gets.

    With `excluded` it gets them only if the code waits for it: what code that has ended made of a
    result is all that is needed later, but code that goes on may come back to it.
    """

    text: str
    blocks: list[Json]
    excluded: bool = False


# Runs calls of one cell side by side; returns their results in the same order.
RunNested = Callable[[Sequence[NestedCall]], Awaitable[list[NestedResult]]]


async def _no_nested(_: Sequence[NestedCall]) -> list[NestedResult]:
    """Stands where no code runs."""
    raise LookupError


class RequestContext(msgspec.Struct, frozen=True):
    """The client's request, as far as the calls in it may know it; `fields` are as they came.

    `blocks` are those that clients gave to the tool itself, in their order. `passages` are what the
    model may cite: tools note there what they show it. `results` are those of this turn's calls,
    each the name of the call and the content, in the order in which they ended. `document_bytes`
    bounds a document in a tool's result: the model takes none that is larger, and with 0 none.
    """

    key_id: str
    fields: Mapping[str, Raw]
    blocks: Sequence[GivenBlock] = ()
    tools: RequestTools = RequestTools((), ())
    passages: Passages = msgspec.field(default_factory=Passages)
    run_nested: RunNested = _no_nested
    results: list[tuple[str, Any]] = msgspec.field(default_factory=list)
    document_bytes: int = 0


class ToolCall(msgspec.Struct, frozen=True):
    """A call to be run; `input` is None if the model wrote no JSON.

    `results` are `tool_result` blocks for the calls that it was suspended with: it goes on then.
    """

    id: str
    name: str
    input: Any
    results: list[Json] = []


class Container(msgspec.Struct, frozen=True):
    """A place where code waits, as the client is told it; `expires_at` is RFC 3339."""

    id: str
    expires_at: str


class Finished(msgspec.Struct, frozen=True):
    """The end of a call: `content` of its result block, be it an error.

    `container` is where it ran, if that can be used again. `nested` are the client's blocks of the
    calls that its code made. A call that did nothing that counts is not counted. `reason` tells the
    operator why the content is an error, without anything of what was asked.
    """

    content: Any
    container: Container | None = None
    nested: Sequence[Json] = ()
    counts: bool = True
    reason: str = ""


class ClientCall(msgspec.Struct, frozen=True):
    """A call of one of the client's tools, made by code that a server-side tool runs."""

    id: str
    name: str
    input: Json


class Suspended(msgspec.Struct, frozen=True):
    """A call that waits in `container` for the client's answers to `calls`.

    `caller` is the type of the one who calls, e.g. `code_execution_20260120`. A call without
    `calls` waits for another one of the same answer, which has some. `nested` as in `Finished`.
    """

    container: Container
    caller: str
    calls: tuple[ClientCall, ...]
    nested: Sequence[Json] = ()


Outcome = Finished | Suspended
