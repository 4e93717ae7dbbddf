"""A thin HTTP/1.1 client for AWS: a pool of kept-alive connections to one endpoint.

Why our own: 21 us per request against 60-1400 of the libraries (docs/decisions/0002). What that
makes ours to guarantee, each with a test in tests/aws/test_http.py:
- last in, first out; idle connections are dropped before AWS would drop them;
- a connection that died while idle is noticed and the request sent again, once and on another that
  was not idle, only if not a single byte of an answer had arrived and the cut came at once: AWS may
  have run, and billed, what was cut later;
- at most `max_connecting` handshakes at a time; whoever waits takes the first connection that
  becomes free, new or used;
- a cancelled or half-read exchange never returns its connection to the pool.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final

import msgspec

from .connection import (
    AWSConnection,
    ConnectError,
    ConnectionCutError,
    TransportError,
    TransportTimeoutError,
)

__all__ = [
    "AWSConnection",
    "ConnectError",
    "ConnectionCutError",
    "Pool",
    "PoolOptions",
    "Response",
    "TransportError",
    "TransportTimeoutError",
]

_log = logging.getLogger("anthropic_bedrock_proxy.aws")

# AWS load balancers drop idle connections after 60 s; leaving first avoids the race.
IDLE_SECONDS: Final = 50.0
MAX_BODY_BYTES: Final = 64 * 1024 * 1024


class PoolOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of a pool."""

    max_connections: int = 1000
    max_connecting: int = 32
    connect_timeout_seconds: float = 10.0
    idle_seconds: float = IDLE_SECONDS
    resend_seconds: float = 1.0  # a cut within this time means that the connection was dead before


Connector = Callable[[Callable[[], AWSConnection]], Awaitable[AWSConnection]]


class Response(msgspec.Struct, eq=False):
    """An answer whose headers have arrived. Always `close()` it."""

    status: int
    headers: dict[bytes, bytes]
    _pool: Pool
    _connection: AWSConnection | None

    async def read(self, timeout: float) -> bytes | None:  # noqa: ASYNC109  # a deadline of the wire, not of the task
        """Reads bytes; b"" after `timeout` seconds of silence, None at the end."""
        if self._connection is None:
            return None
        return await self._connection.read(timeout)

    async def read_all(
        self,
        timeout: float,  # noqa: ASYNC109  # see read
        *,
        deadline: float = float("inf"),
        limit: int = MAX_BODY_BYTES,
    ) -> bytes:
        """Reads the whole body.

        Raises `TransportTimeoutError` after `timeout` seconds of silence or past `deadline`, a
        moment of the monotonic clock.
        """
        connection = self._connection
        if connection is not None and connection.complete:  # it came with its head, as most do
            body = connection.taken()
            _check_size(len(body), limit)
            self.close()
            return body
        parts: list[bytes] = []
        size = 0
        while (chunk := await self.read(min(timeout, deadline - monotonic()))) is not None:
            if not chunk:
                raise TransportTimeoutError("the answer did not arrive in time")
            size += len(chunk)
            _check_size(size, limit)
            parts.append(chunk)
        self.close()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def finish(self, timeout: float) -> None:
        """Closes the answer; one that is almost finished is read to its end in the background."""
        if self._connection is None or self._connection.drained:
            self.close()
        else:
            self._pool.linger(self, timeout)

    def close(self) -> None:
        """Returns the connection if the answer was read to its end, else drops it. Idempotent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.release(connection)


class Pool:
    """Connections to one endpoint. Belongs to one event loop."""

    def __init__(self, connector: Connector, options: PoolOptions | None = None) -> None:
        """`connector` makes one connection (see aws/connect.py); it raises `ConnectError`."""
        self._connector = connector
        self._options = options or PoolOptions()
        self._loop = asyncio.get_running_loop()
        self._free: list[AWSConnection] = []
        self._waiters: deque[asyncio.Future[AWSConnection]] = deque()
        self._open: set[AWSConnection] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self._lingering: set[asyncio.Task[None]] = set()
        self._closed = False
        self._retired = False

    async def request(self, head: bytes, body: bytes, timeout: float) -> Response:  # noqa: ASYNC109  # a deadline of the wire, not of the task
        """Sends one request; `head` is the request line and headers with the blank line.

        `timeout` bounds the wait for the answer's headers, in seconds. Raises `TransportError`.
        """
        started = self._loop.time()
        deadline = started + timeout
        connection = self._take_free(started)
        may_resend = connection is not None
        sent = False
        try:
            while True:
                if connection is None:
                    connection = await self._connect(deadline)
                try:
                    await connection.exchange(head, body, deadline)
                except ConnectionCutError as error:
                    stale = (
                        may_resend
                        and not connection.received_any
                        and self._loop.time() - started < self._options.resend_seconds
                    )
                    connection.abort()
                    if not stale:
                        raise
                    sent = error.sent
                    connection, may_resend = None, False
                except BaseException:
                    connection.abort()
                    raise
                else:
                    return Response(connection.status, connection.headers, self, connection)
        except TransportError as error:
            error.sent = error.sent or sent
            raise

    def release(self, connection: AWSConnection) -> None:
        """Takes a connection back after an exchange."""
        if not connection.reusable or self._closed or self._retired:
            connection.abort()
            return
        self._offer(connection)

    def linger(self, response: Response, timeout: float) -> None:
        """Reads what is left of an answer nobody waits for, at most `timeout` seconds."""
        task = self._loop.create_task(_drain(response, timeout))
        self._lingering.add(task)
        task.add_done_callback(self._lingering.discard)

    def apart(self, options: PoolOptions) -> Pool:
        """Makes another pool to the same endpoint, with the same roots of TLS."""
        return Pool(self._connector, options)

    def retire(self) -> None:
        """Drops idle connections now, and each other one when its answer has ended."""
        self._retired = True
        while self._free:
            self._free.pop().abort()

    async def close(self) -> None:
        """Drops every connection."""
        self._closed = True
        for task in [*self._connecting, *self._lingering]:
            task.cancel()
        for connection in list(self._open):
            connection.abort()
        self._free.clear()
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(ConnectError("the client is closed"))
        await asyncio.sleep(0)

    def _take_free(self, now: float) -> AWSConnection | None:
        oldest = now - self._options.idle_seconds
        while self._free:
            connection = self._free.pop()
            if connection.closed:
                continue
            if connection.idle_since >= oldest:
                return connection
            connection.abort()
        return None

    def _offer(self, connection: AWSConnection) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        now = connection.idle_since = self._loop.time()
        self._free.append(connection)
        if now - self._free[0].idle_since > self._options.idle_seconds:
            self._free.pop(0).abort()

    async def _connect(self, deadline: float) -> AWSConnection:
        """Returns a new connection, or one that another exchange has just given back."""
        waiter: asyncio.Future[AWSConnection] = self._loop.create_future()
        self._waiters.append(waiter)
        self._start_connecting()
        try:
            async with asyncio.timeout_at(deadline):
                try:
                    return await waiter
                except asyncio.CancelledError:
                    if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                        self._offer(waiter.result())
                    raise
        except TimeoutError:
            raise TransportTimeoutError("no connection was free in time") from None
        finally:
            del waiter  # it holds an exception: docs/decisions/0020

    def _start_connecting(self) -> None:
        waiting = sum(not waiter.done() for waiter in self._waiters)
        while (
            waiting > len(self._connecting)
            and len(self._connecting) < self._options.max_connecting
            and len(self._open) + len(self._connecting) < self._options.max_connections
            and not self._closed
        ):
            task = self._loop.create_task(self._open_one())
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    async def _open_one(self) -> None:
        try:
            async with asyncio.timeout(self._options.connect_timeout_seconds):
                connection = await self._connector(lambda: AWSConnection(self._loop))
        except TimeoutError:
            seconds = self._options.connect_timeout_seconds
            self._fail_one(ConnectError(f"no connection within {seconds:g} s"))
        except ConnectError as error:
            self._fail_one(error)
        except Exception as error:  # noqa: BLE001  # any failure goes to the exchange that waits for it
            _log.exception("connecting failed in an unexpected way")
            self._fail_one(ConnectError(f"cannot connect: {error!r}"))
        else:
            self._open.add(connection)
            connection.on_closed = self._forget
            if connection.closed:
                self._forget(connection)
            self._offer(connection)
        self._connecting.discard(asyncio.current_task())
        self._start_connecting()

    def _fail_one(self, error: ConnectError) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(error)
                return

    def _forget(self, connection: AWSConnection) -> None:
        self._open.discard(connection)
        self._start_connecting()


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise ConnectionCutError(f"the answer is over {limit} bytes")


async def _drain(response: Response, timeout: float) -> None:  # noqa: ASYNC109  # a deadline of the wire
    try:
        async with asyncio.timeout(timeout):
            while await response.read(timeout):
                pass
    except (TransportError, TimeoutError):
        pass
    finally:
        response.close()
