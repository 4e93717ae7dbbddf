"""The connection to one executor, over HTTP, and its state as it was last known."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final, TypeVar
from urllib.parse import urlsplit

import msgspec

from .. import __version__
from ..aws.connect import Endpoint, connector, unix_connector
from ..aws.http import (
    MAX_BODY_BYTES,
    ConnectionCutError,
    Connector,
    Pool,
    PoolOptions,
    TransportError,
    TransportTimeoutError,
)
from ..timeline import current_run
from .address import ExecutorAddress
from .base import (
    ContainerGoneError,
    NoRoomError,
    RefusedFileError,
    SandboxError,
    SandboxUnavailableError,
    owner_of,
)
from .wire import OWNER_HEADER, ErrorBody, ExecutorState, is_owner

SHORT_SECONDS: Final = 15.0  # for what is answered at once
STATE_SECONDS: Final = 3.0
CONFIRM_SECONDS: Final = 3.0
FRESH_SECONDS: Final = 2.0  # a state is believed for so long
_PAUSES: Final = (0.05, 0.5)  # before a cut call is repeated
_CONNECT_SECONDS: Final = 15.0  # an executor of the proxy's own may have to be started first
_NO_CONTAINER: Final = f"/containers/container_{24 * '0'}"  # no executor has it
_OK: Final = 300
_MISSING: Final = 404
_log = logging.getLogger("anthropic_bedrock_proxy.sandbox")
_Body = TypeVar("_Body")


class ExecutorConnection:
    """One executor, as the proxy reaches it. Belongs to one event loop."""

    def __init__(
        self,
        address: ExecutorAddress,
        token: str | None,
        *,
        connect: Connector | None = None,
        state_seconds: float = STATE_SECONDS,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], float] = monotonic,
    ) -> None:
        """`connect` opens connections in another way than the address says.

        Its state is waited for `state_seconds`; if it may have to be started first, for longer.
        """
        self.address = address
        self.known: ExecutorState | None = None  # None: nobody has asked yet
        self._own = connect is not None
        self._state_seconds = state_seconds
        self._connect = connect or _connector(address)
        self._sleep = sleep
        self._now = now
        self._asked_at = float("-inf")
        self._asking: asyncio.Task[ExecutorState] | None = None
        self._pool: Pool | None = None
        host = "localhost" if address.path is not None else urlsplit(address.url).netloc
        authorization = f"authorization: Bearer {token}\r\n" if token else ""
        self._fields = (
            f"host: {host}\r\n{authorization}user-agent: anthropic-bedrock-proxy/{__version__}\r\n"
        )

    async def call(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        owner: str | None = None,
        content_type: str = "application/json",
        seconds: float = SHORT_SECONDS,
        repeat: bool = True,
        limit: int = MAX_BODY_BYTES,
    ) -> bytes:
        """Calls the executor; returns the body of its answer, of at most `limit` bytes.

        A call that was cut is repeated twice, unless `repeat` says that it must not be.
        Raises `ContainerGoneError`, `SandboxUnavailableError`; for files `RefusedFileError`.
        """
        if owner is not None and not is_owner(owner):
            raise SandboxUnavailableError("The owner of a container has no id that can be sent.")
        if not (content_type.isascii() and content_type.isprintable()):
            content_type = "application/octet-stream"  # a client named it
        owner_field = "" if owner is None else f"{OWNER_HEADER}: {owner}\r\n"
        head = (
            f"{method} {path} HTTP/1.1\r\n{self._fields}{owner_field}{_trace_field()}"
            f"content-type: {content_type}\r\ncontent-length: {len(body)}\r\n\r\n"
        ).encode()
        cut = False
        for pause in (*(_PAUSES if repeat else ()), None):
            try:
                status, answer = await self._exchange(head, body, seconds, limit)
            except ConnectionCutError as error:
                if pause is None:
                    raise self._away(error) from error
                cut = True
                await self._sleep(pause)
            except TransportTimeoutError as error:
                raise self._slow(error, seconds) from error
            except TransportError as error:
                raise self._away(error) from error
            else:
                if status < _OK or (status == _MISSING and method == "DELETE" and cut):
                    return answer  # the call that was cut has removed it
                raise _error(status, answer)
        raise AssertionError  # the last pause is None

    async def read(
        self, kind: type[_Body], method: str, path: str, body: bytes = b"", **options: object
    ) -> _Body:
        """Calls the executor; returns the body of its answer as a `kind`. Raises as `call`."""
        answer = await self.call(method, path, body, **options)  # type: ignore[arg-type]
        try:
            return msgspec.json.decode(answer, type=kind)
        except msgspec.MsgspecError as error:
            raise SandboxUnavailableError(
                f"The sandbox executor does not speak as this proxy does: "
                f"is it of another version? ({error})"
            ) from error

    async def state(self) -> ExecutorState:
        """Returns its state, at most `FRESH_SECONDS` old. Raises nothing."""
        if self.known is not None and self._now() - self._asked_at < FRESH_SECONDS:
            return self.known
        return await asyncio.shield(self.refresh())

    async def confirm(self) -> None:
        """Asks one that was ready whether it is still there, which is cheap. Raises nothing.

        Its state may be believed for a while: a new container would be lost in one that has gone.
        """
        if self.known is None or self.known.status != "ready":
            return
        try:
            await self.call("GET", _NO_CONTAINER, owner=owner_of(""), seconds=CONFIRM_SECONDS)
        except ContainerGoneError:
            pass
        except SandboxError as error:
            self.known = msgspec.structs.replace(
                self.known, status="unavailable", reason=str(error)
            )
            self._asked_at = self._now()

    def refresh(self) -> asyncio.Task[ExecutorState]:
        """Asks for its state in the background, unless that is under way."""
        if self._asking is None:
            self._asking = asyncio.get_running_loop().create_task(self._ask())
        return self._asking

    def is_stale(self) -> bool:
        """Tells whether its state may have changed since."""
        return self._now() - self._asked_at >= FRESH_SECONDS

    async def close(self) -> None:
        """Lets go of connections."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
        if self._pool is not None:
            await self._pool.close()

    async def _ask(self) -> ExecutorState:
        # One of our own that nobody has reached yet is only started by this, which takes a while.
        starts = self._own and (self.known is None or not self.known.isolation)
        seconds = _CONNECT_SECONDS if starts else self._state_seconds
        try:
            state = await self.read(ExecutorState, "GET", "/state", seconds=seconds)
        except SandboxError as error:
            state = ExecutorState(status="unavailable", reason=str(error))
        finally:
            self._asking = None
        self.known, self._asked_at = state, self._now()
        return state

    async def _exchange(
        self, head: bytes, body: bytes, seconds: float, limit: int
    ) -> tuple[int, bytes]:
        if self._pool is None:
            options = PoolOptions(connect_timeout_seconds=_CONNECT_SECONDS)
            self._pool = Pool(self._connect, options)
        response = await self._pool.request(head, body, seconds)
        try:
            return response.status, await response.read_all(SHORT_SECONDS, limit=limit)
        finally:
            response.close()

    def _slow(self, error: TransportTimeoutError, seconds: float) -> SandboxUnavailableError:
        """Returns the error for an executor that is there, but has no answer yet."""
        _log.warning("the executor at %s has not answered: %s", self.address.url, error)
        return SandboxUnavailableError(
            f"The sandbox executor has not answered within {seconds:g} s."
        )

    def _away(self, error: TransportError) -> SandboxUnavailableError:
        """Returns the error for an executor that cannot be reached; its address is for the log."""
        _log.warning("the executor at %s cannot be reached: %s", self.address.url, error)
        if self._own:  # its errors name no address, and say what is missing
            return SandboxUnavailableError(f"The sandbox executor does not run: {error}.")
        return SandboxUnavailableError(
            "The sandbox executor cannot be reached. Does `anthropic-bedrock-proxy sandboxd` run, "
            "where SANDBOX_URL says?"
        )


def _connector(address: ExecutorAddress) -> Connector:
    if address.path is not None:
        return unix_connector(address.path)
    return connector(Endpoint(address.host, address.port, address.tls))


def _error(status: int, answer: bytes) -> SandboxError:
    try:
        body = msgspec.json.decode(answer, type=ErrorBody)
    except msgspec.MsgspecError:
        body = ErrorBody("", f"status {status}")
    match body.error:
        case "gone":
            return ContainerGoneError()
        case "unavailable":
            return SandboxUnavailableError(body.message)
        case "too_large":
            return RefusedFileError(body.message)
        case "full":
            return NoRoomError(body.message)
        case "unauthorized":
            return SandboxUnavailableError("The sandbox executor does not know this SANDBOX_TOKEN.")
        case _:
            return SandboxUnavailableError(
                f"The sandbox executor refused a request: {body.message}"
            )


def _trace_field() -> str:
    """Returns the header that names the span which a call is of, if it is traced."""
    run = current_run.get()
    if run is None or not run.span_id:
        return ""
    span_id = (run.cells[-1].span_id if run.cells else "") or run.span_id
    return f"traceparent: 00-{run.trace_id}-{span_id}-01\r\n"
