"""The container of one request, and what the model does in it.

Which container that is, is settled when the request is read: the one that it names; else the one in
which a call of its history waits, whose id is in the id of that call, for clients that do not send
`container` back (the tool runner of the official SDKs is one); else a new one, which the first cell
makes. So the ids of the calls can begin with it before anything has run:

    container_0a1b…(24)   srvtoolu_0a1b…(24)(8 of this request)(12 of this call)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from ...errors import InvalidRequestError, UnavailableError
from ...protocol.raw import decode
from ...sandbox.base import (
    BashCell,
    Cell,
    CellAddress,
    CellReply,
    ContainerGoneError,
    EditCell,
    FunctionResult,
    PythonCell,
    Sandbox,
    SandboxUnavailableError,
    Waiting,
    owner_of,
)
from ..base import (
    ClientCall,
    Container,
    Finished,
    Json,
    Outcome,
    RequestContext,
    Suspended,
    ToolCall,
)
from .results import TOO_MANY, UNAVAILABLE, content_of, error
from .uploads import Uploads
from .versions import BASH, PYTHON, Version

_PREFIX: Final = "container_"
_ID: Final = re.compile(r"container_[0-9a-f]{24}")
_CALL_ID: Final = re.compile(r"srvtoolu_([0-9a-f]{24})[0-9a-f]{20}")
_NONCE_DIGITS: Final = 8
_MAX_SHOWN: Final = 60
# Cells of a request that have not ended; an executor lets fewer of them wait in one container. Each
# is told of all others, and a history may bring thousands.
_MAX_CELLS: Final = 64


class RequestContainer:
    """The container of one request of one key."""

    def __init__(
        self,
        sandbox: Sandbox,
        context: RequestContext,
        pending: Sequence[ToolCall],
        *,
        version: Version,
        functions: Mapping[str, str],
    ) -> None:
        """`functions` are those that code may call, by name in Python.

        Raises `InvalidRequestError` with the path.
        """
        self._sandbox = sandbox
        self._owner = owner_of(context.key_id)
        self._version = version
        self._functions = dict(functions)
        self._resumed = [call for call in pending if call.results]
        asked = [*self._resumed, *(call for call in pending if not call.results)][:_MAX_CELLS]
        self._cells = {call.id for call in asked}  # of this request, that have not ended
        self._named = _named(context.fields.get("container"))
        inferred = None if self._named else _inferred(pending)
        self._known = self._named or inferred  # it has to be there
        self._uploads = Uploads(context.blocks)
        self._id = self._known or self._new()
        self._nonce = sandbox.new_container()[-_NONCE_DIGITS:]

    @property
    def call_prefix(self) -> str:
        """The beginning of the ids of this request's calls."""
        return self._id.removeprefix(_PREFIX) + self._nonce

    async def check(self) -> None:
        """Raises `InvalidRequestError` if container or a file is gone, `UnavailableError`."""
        await self._check_container()
        try:
            await self._uploads.check(self._sandbox, self._owner)
        except SandboxUnavailableError as unavailable:
            raise _unavailable(unavailable) from None

    async def _check_container(self) -> None:
        try:
            if self._known is None:
                await self._sandbox.check()
                return
            state = await self._sandbox.look(self._known, self._owner)
        except ContainerGoneError:
            if self._named is None and not self._resumed:
                self._known, self._id = None, self._new()
                return
            raise _gone(self._id, waits=bool(self._resumed)) from None
        except SandboxUnavailableError as unavailable:
            raise _unavailable(unavailable) from None
        for call in self._resumed:
            if call.id not in state.cells:
                raise _gone(self._id, waits=True)

    async def run(self, call: ToolCall) -> Outcome:
        """Runs a call, or resumes it with results. Raises `SandboxError`."""
        at = CellAddress(self._id, self._owner, call.id)
        try:
            if call.results:
                reply = await self._sandbox.resume(at, [*map(_result, call.results)])
            else:
                cell = self._cell(call)
                if call.id not in self._cells and len(self._cells) >= _MAX_CELLS:
                    return Finished(error(call.name, TOO_MANY))
                beside = [other for other in self._cells if other != call.id]
                self._cells.add(call.id)
                reply = await self._sandbox.run(
                    at,
                    cell,
                    create=self._known is None,
                    uploads=self._uploads.files,
                    beside=beside,
                )
        except _MisusedToolError as wrong:
            return Finished(error(call.name, "invalid_tool_input", str(wrong)))
        except ContainerGoneError:
            return Finished(error(call.name, UNAVAILABLE))
        outcome = self._outcome(call.name, reply)
        if isinstance(outcome, Finished):
            self._cells.discard(call.id)
        return outcome

    def _new(self) -> str:
        """Returns the id of a new container, where the files of the request lie already."""
        return self._sandbox.new_container(next(iter(self._uploads.files), None))

    def _cell(self, call: ToolCall) -> Cell:
        """Reads what the model wrote. Raises `_MisusedToolError`."""
        if not isinstance(call.input, dict):
            raise _MisusedToolError("the input must be a JSON object")
        if call.name == PYTHON:
            return PythonCell(_text(call.input, "code"), self._functions)
        if call.name == BASH:
            restart = call.input.get("restart") is True
            command = (
                "" if restart and "command" not in call.input else _text(call.input, "command")
            )
            return BashCell(command, restart)
        return EditCell(call.input)

    def _outcome(self, name: str, reply: CellReply) -> Outcome:
        expires = datetime.fromtimestamp(reply.expires_at, UTC)
        container = Container(self._id, expires.strftime("%Y-%m-%dT%H:%M:%SZ"))
        outcome = reply.outcome
        if isinstance(outcome, Waiting):
            calls = tuple(ClientCall(call.id, call.name, call.input) for call in outcome.calls)
            return Suspended(container, self._version.caller or "", calls)
        content = content_of(name, outcome, tells_time_outs=self._version.tells_time_outs)
        return Finished(content, container)


class _MisusedToolError(Exception):
    """The model's input is not what the tool asks for."""


def _text(given: Json, argument: str) -> str:
    value = given.get(argument)
    if not isinstance(value, str):
        raise _MisusedToolError(f"{argument}: a string is required")
    return value


def _named(raw: msgspec.Raw | None) -> str | None:
    """Reads the `container` of a request. Raises `InvalidRequestError`."""
    given: Any = None if raw is None else decode(raw)
    if isinstance(given, dict):
        if given.get("skills"):
            raise InvalidRequestError(
                "container.skills: skills are not available on Amazon Bedrock; remove them"
            )
        given = given.get("id")
    if given is None:
        return None
    if not isinstance(given, str):
        raise InvalidRequestError("container: Expected the id of a container")
    if _ID.fullmatch(given) is None:
        raise _gone(given, waits=False)
    return given


def _inferred(pending: Sequence[ToolCall]) -> str | None:
    """Returns the container in which calls of the history were made."""
    for call in sorted(pending, key=lambda call: not call.results):
        found = _CALL_ID.fullmatch(call.id)
        if found is not None:
            return _PREFIX + found[1]
    return None


def _unavailable(why: SandboxUnavailableError) -> UnavailableError:
    return UnavailableError(f"Code cannot be run at the moment: {why}", should_retry=why.soon)


def _gone(container: str, *, waits: bool) -> InvalidRequestError:
    name = container[:_MAX_SHOWN]
    if waits:
        return InvalidRequestError(
            f"container: the code that waits for these results is gone: container {name} was not "
            "found or has expired; repeat the request without this answer of the assistant"
        )
    return InvalidRequestError(
        f"container: {name} was not found or has expired; send the request without it to get a "
        "new one"
    )


def _result(block: Json) -> FunctionResult:
    """Returns a `tool_result` as code gets it; its content is text, as has been seen before."""
    content = block.get("content") or ""
    if not isinstance(content, str):
        content = "\n".join(part["text"] for part in content)
    return FunctionResult(block["tool_use_id"], content)
