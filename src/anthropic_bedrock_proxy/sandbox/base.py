r"""The seam of sandboxes: what the code execution tool asks for, and what it gets. Pure.

A *container* is where code waits and files lie, under an id that clients know. It belongs to one
owner, the API key that made it, and lives until it has been idle for a while. What runs in it are
*cells*: Python code, a bash command, a command of the text editor. Each has an id of the caller's
choice, and is run once: who runs a cell that is there already gets its outcome, so a request can be
repeated by whoever did not hear the answer.

Python code may call functions, which are tools of the client's. When all of it waits for some, its
outcome is `Waiting` with their calls; `resume` brings results and waits for the next outcome.

    container = sandbox.new_container()
    at = CellAddress(container, owner, "srvtoolu_1")
    await sandbox.run(at, PythonCell("print(await weather({}))", {"weather": "weather"}))
    -> CellReply(expires_at, Waiting([FunctionCall("toolu_1", "weather", {})]))
    await sandbox.resume(at, [FunctionResult("toolu_1", "sunny")])
    -> CellReply(expires_at, Ran("sunny\n", "", 0))
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

import msgspec

_NOBODY: Final = "-"  # to executors everything has an owner


class PythonCell(msgspec.Struct, frozen=True, tag="python"):
    """Python code for the container's interpreter, whose names outlive the cell.

    `functions` are the names under which code may call tools, each with the name of its tool.
    """

    code: str
    functions: dict[str, str] = {}


class BashCell(msgspec.Struct, frozen=True, tag="bash"):
    """A bash command; `restart` ends what earlier ones have left running, before it."""

    command: str
    restart: bool = False


class EditCell(msgspec.Struct, frozen=True, tag="edit"):
    """A command of the text editor, as the model gave it: `command`, `path` and so on."""

    input: dict[str, Any]


Cell = PythonCell | BashCell | EditCell


class OutputFile(msgspec.Struct, frozen=True):
    """A file that a cell left in `$OUTPUT_DIR`, under the id by which it can be fetched."""

    id: str
    name: str
    size: int


class Ran(msgspec.Struct, frozen=True, tag="ran"):
    """The end of Python or bash; 124 is the return code of what took too long."""

    stdout: str
    stderr: str
    return_code: int
    files: list[OutputFile] = []
    timed_out: bool = False


class Edited(msgspec.Struct, frozen=True, tag="edited"):
    """The end of a command of the text editor: `result` without its type, which `kind` tells.

    `kind` is `view`, `create` or `str_replace`.
    """

    kind: str
    result: dict[str, Any]


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """A cell that came to nothing, with one of Anthropic's error codes.

    `unavailable`, `execution_time_exceeded`, `invalid_tool_input`, `too_many_requests`,
    `output_file_too_large`, `file_not_found`. `message` is for the model and the client.
    """

    error_code: str
    message: str = ""


class FunctionCall(msgspec.Struct, frozen=True):
    """A call of a tool by Python code; `id` is the executor's own (`toolu_…`)."""

    id: str
    name: str
    input: dict[str, Any]


class Waiting(msgspec.Struct, frozen=True, tag="waiting"):
    """A cell all of whose code waits for `calls`; none: it waits for a cell before it."""

    calls: list[FunctionCall]


CellOutcome = Ran | Edited | Failed | Waiting


class FunctionResult(msgspec.Struct, frozen=True):
    """The result of a function call; to the code an error is a string too."""

    id: str
    text: str


class CellReply(msgspec.Struct, frozen=True):
    """The outcome of a cell, and until when its container lives: epoch seconds."""

    expires_at: float
    outcome: CellOutcome


class CellAddress(msgspec.Struct, frozen=True):
    """A cell of a container; `owner` is the id of the API key that the container belongs to."""

    container: str
    owner: str
    cell: str


class ContainerState(msgspec.Struct, frozen=True):
    """A container that is there; `cells` are the ids of those that it still knows."""

    expires_at: float
    cells: list[str] = []


class FileRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A file that an executor keeps; `downloadable`: a cell made it. Times are epoch seconds."""

    id: str
    filename: str
    mime_type: str
    size_bytes: int
    created_at: float
    downloadable: bool
    expires_at: float | None = None


class SandboxError(Exception):
    """Something that is wrong with a container, with a file, or with all of them."""


class ContainerGoneError(SandboxError):
    """The container has expired, never was, or belongs to another owner: nobody is told which."""


class SandboxUnavailableError(SandboxError):
    """No sandbox can be had now; the message says why, and how to mend it.

    `soon` tells that it takes nothing but time, e.g. until an image has been pulled.
    """

    def __init__(self, message: str, *, soon: bool = False) -> None:
        super().__init__(message)
        self.soon = soon


class UnknownFileError(SandboxError):
    """There is no such file, or it belongs to another owner: nobody is told which."""


class RefusedFileError(SandboxError):
    """The executor does not take a file; the message says why."""


class NoRoomError(RefusedFileError):
    """There is no room for a file; the message says whose."""


def owner_of(key_id: str) -> str:
    """Returns the owner of what is made for an API key; empty: for whoever needs no key."""
    return key_id or _NOBODY


class Sandbox(Protocol):
    """A place for cells to run in. Belongs to one event loop."""

    def new_container(self, file: str | None = None) -> str:
        """Returns the id of a container that does not exist yet; its first cell makes it.

        `file` is one that will be brought into it: it is best made where that lies.
        """
        ...

    async def look(self, container: str, owner: str) -> ContainerState:
        """Returns the state of a container, which stays alive a while longer for it.

        Raises `ContainerGoneError`, `SandboxUnavailableError`.
        """
        ...

    async def check(self) -> None:
        """Raises `SandboxUnavailableError` if a new container could not be had now."""
        ...

    async def run(
        self,
        at: CellAddress,
        cell: Cell,
        *,
        create: bool,
        uploads: Sequence[str] = (),
        beside: Sequence[str] = (),
    ) -> CellReply:
        """Runs a cell, or joins it if it was begun before; returns its next outcome.

        `create` makes the container if it is not there. `uploads` are ids of files that have to lie
        in it before. `beside` are the other cells that the same client still cares for: one that
        waits and is none of them was abandoned, and its calls fail.

        Raises `ContainerGoneError`, `SandboxUnavailableError`.
        """
        ...

    async def resume(self, at: CellAddress, results: Sequence[FunctionResult]) -> CellReply:
        """Brings results to a waiting cell; returns its next outcome. Results it has are ignored.

        Raises `ContainerGoneError`, for a cell that is not known too, `SandboxUnavailableError`.
        """
        ...

    async def file(self, owner: str, name: str) -> FileRecord:
        """Returns the record of a file, by its id.

        Raises `UnknownFileError`, `SandboxUnavailableError`.
        """
        ...

    async def close(self) -> None:
        """Lets go of connections; containers live on."""
        ...
