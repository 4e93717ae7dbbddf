"""The executor's HTTP API, on aiohttp; sandbox/wire.py tells its bodies.

A caller that goes away ends nothing: cells run in tasks of their containers, and their outcomes are
there for whoever asks again. Callers are proxies that know the token, or may open the socket
(guard.py).
"""

from __future__ import annotations

import asyncio
import socket
from math import inf
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import web

from ... import __version__
from ..base import CellAddress
from ..isolation.base import Isolation
from ..wire import (
    MAX_BODY_BYTES,
    OWNER_HEADER,
    ExecutorState,
    FileList,
    ResumeBody,
    RunBody,
    is_copy_id,
    is_filename,
    is_id,
    is_owner,
)
from .containers import Containers
from .guard import (
    FIRST_REQUEST_SECONDS,
    MAX_CONNECTIONS,
    ForeignRequestError,
    Guard,
    silent_log,
)
from .pool import WarmRunners
from .spool import Spool

STATE_SECONDS: Final = 2.0
CLOSE_SECONDS: Final = 5.0
_PIECE_BYTES: Final = 256 * 1024
_LONGEST_TYPE: Final = 128
_LONGEST_SECONDS: Final = 9  # digits

_Body = TypeVar("_Body")


class ExecutorParts(msgspec.Struct, frozen=True):
    """The parts of an executor that its API is about."""

    isolation: Isolation
    containers: Containers
    warm: WarmRunners
    spool: Spool


class ExecutorServer:
    """The HTTP API. Belongs to one event loop."""

    def __init__(
        self,
        parts: ExecutorParts,
        token: str | None,
        *,
        first_request_seconds: float = FIRST_REQUEST_SECONDS,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        self._parts = parts
        self._guard = Guard(
            token, first_request_seconds=first_request_seconds, max_connections=max_connections
        )
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[self._guard.admit])
        app.add_routes(
            [
                web.get("/state", self._state),
                web.get("/containers/{id}", self._look),
                web.delete("/containers/{id}", self._remove),
                web.post("/containers/{id}/cells/{cell}", self._run),
                web.post("/containers/{id}/cells/{cell}/results", self._resume),
                web.post("/files", self._upload),
                web.get("/files", self._list),
                web.get("/files/{id}", self._file),
                web.get("/files/{id}/content", self._content),
                web.delete("/files/{id}", self._delete),
            ]
        )
        self._runner = web.AppRunner(
            app, access_log=None, logger=silent_log(), shutdown_timeout=CLOSE_SECONDS
        )
        self._listening: asyncio.Server | None = None

    async def open(self, listener: socket.socket) -> None:
        """Serves on a bound socket."""
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        server = self._runner.server
        assert server is not None  # noqa: S101  # set up before
        self._listening = await loop.create_server(
            lambda: self._guard.connect(server), sock=listener
        )

    async def close(self) -> None:
        """Stops serving. Containers have to be closed before, so that nobody waits for a cell."""
        if self._listening is not None:
            self._listening.close()
        await self._runner.cleanup()
        self._guard.close()

    async def _state(self, _: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(STATE_SECONDS):
                state = await self._parts.isolation.state()
        except TimeoutError:
            status, reason, details = "unavailable", "It does not answer.", dict[str, str]()
        else:
            status, reason, details = state.status, state.reason, state.details
        counts = self._parts.containers.counts()
        return _json(
            ExecutorState(
                status=status,
                isolation=self._parts.isolation.name,
                reason=reason,
                details=details,
                containers=counts.containers,
                running=counts.running,
                waiting=counts.waiting,
                warm=self._parts.warm.warm,
                errors=self._parts.warm.errors,
                version=__version__,
            )
        )

    async def _look(self, request: web.Request) -> web.Response:
        return _json(self._parts.containers.look(_id(request), _owner(request)))

    async def _remove(self, request: web.Request) -> web.Response:
        await self._parts.containers.remove(_id(request), _owner(request))
        return web.Response(status=204)

    async def _run(self, request: web.Request) -> web.Response:
        body = await _read(request, RunBody)
        at = CellAddress(_id(request), _checked_owner(body.owner), _id(request, "cell"))
        containers = self._parts.containers
        return _json(
            await containers.run(
                at, body.cell, create=body.create, uploads=body.uploads, beside=body.beside
            )
        )

    async def _resume(self, request: web.Request) -> web.Response:
        body = await _read(request, ResumeBody)
        at = CellAddress(_id(request), _checked_owner(body.owner), _id(request, "cell"))
        return _json(await self._parts.containers.resume(at, body.results))

    async def _upload(self, request: web.Request) -> web.Response:
        name = request.query.get("name", "")
        if not is_filename(name):
            raise ForeignRequestError("name has to be the name of a file")
        seconds, copy_id = _seconds(request), request.query.get("copy", "")
        if copy_id and not is_copy_id(copy_id):
            raise ForeignRequestError("copy has to be the id of a copy")
        file = self._parts.spool.begin(_owner(request))
        kept = False
        try:
            async for piece in request.content.iter_chunked(_PIECE_BYTES):
                file.write(piece)
            kind = request.content_type[:_LONGEST_TYPE]
            record = file.finish(name, kind, downloadable=False, seconds=seconds, copy_id=copy_id)
            kept = True
        finally:
            if not kept:
                file.drop()
        return _json(record)

    async def _list(self, request: web.Request) -> web.Response:
        return _json(FileList(self._parts.spool.list(_owner(request))))

    async def _file(self, request: web.Request) -> web.Response:
        return _json(self._parts.spool.find(_owner(request), _id(request)))

    async def _content(self, request: web.Request) -> web.StreamResponse:
        owner, name = _owner(request), _id(request)
        record = self._parts.spool.find(owner, name)
        response = web.StreamResponse(headers={"content-type": record.mime_type})
        response.content_length = record.size_bytes
        with self._parts.spool.open(owner, name) as file:
            await response.prepare(request)
            while piece := file.read(_PIECE_BYTES):
                await response.write(piece)
        await response.write_eof()
        return response

    async def _delete(self, request: web.Request) -> web.Response:
        self._parts.spool.remove(_owner(request), _id(request))
        return web.Response(status=204)


async def _read(request: web.Request, body: type[_Body]) -> _Body:
    try:
        return msgspec.json.decode(await request.read(), type=body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, msgspec.ValidationError) else "it is no JSON"
        raise ForeignRequestError(f"the body cannot be used: {reason}") from None


def _id(request: web.Request, part: str = "id") -> str:
    text = request.match_info[part]
    if not is_id(text):
        raise ForeignRequestError("an id in the path is none")
    return text


def _seconds(request: web.Request) -> float:
    text = request.query.get("seconds")
    if text is None:
        return inf
    if not (text.isascii() and text.isdecimal() and len(text) <= _LONGEST_SECONDS):
        raise ForeignRequestError("seconds has to be a number")
    return float(text)


def _owner(request: web.Request) -> str:
    return _checked_owner(request.headers.get(OWNER_HEADER, ""))


def _checked_owner(text: str) -> str:
    if not is_owner(text):
        raise ForeignRequestError("the owner is missing or too long")
    return text


def _json(body: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")
