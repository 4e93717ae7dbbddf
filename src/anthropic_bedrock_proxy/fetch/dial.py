"""Resolves names and connects to addresses for the fetcher. The impure edge of the folder.

An address is connected to, never a name: between the check and the connection nothing is resolved
again. TLS still verifies the name of the URL.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Final, Protocol, cast

import msgspec

from ..aws.connect import Endpoint, through_proxy, tls_context
from ..aws.connection import ConnectError
from .base import NotAccessibleError
from .fair_slots import FairSlots

_READ_AHEAD: Final = 64 * 1024
_LOOKUPS: Final = 8  # threads
Find = Callable[[str, int], list[str]]


class Stream(msgspec.Struct, frozen=True):
    """An open connection. Always `transport.abort()` it."""

    reader: asyncio.StreamReader
    transport: asyncio.Transport


class Dialer(Protocol):
    """Opens connections."""

    async def connect(self, endpoint: Endpoint, address: str) -> Stream:
        """Connects to `address`, verifying `endpoint.host` by TLS. Raises `FetchError`."""
        ...

    async def tunnel(self, endpoint: Endpoint, proxy: str) -> Stream:
        """Connects through an egress proxy, which resolves the name. Raises `FetchError`."""
        ...


def _find(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class Lookup:
    """Resolves names in threads of its own.

    A client can name hosts whose name servers never answer. In the loop's threads they would hold
    up the names of AWS; and a thread is held until its lookup ends, however long ago the fetch was
    given up, so that threads are shared by keys like fetches.
    """

    def __init__(self, find: Find = _find, *, threads: int = _LOOKUPS) -> None:
        """`find` blocks, and raises as `__call__` does."""
        self._find = find
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="fetch-lookup")
        self._turns = FairSlots(threads)

    async def __call__(self, host: str, port: int, *, key: str) -> list[str]:
        """Returns the addresses of `host`.

        Raises OSError, or UnicodeError for what cannot be a name.
        """
        await self._turns.take(key)
        loop = asyncio.get_running_loop()

        def ended(_: Future[list[str]]) -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._turns.give_back, key)

        work = self._threads.submit(self._find, host, port)
        work.add_done_callback(ended)
        return await asyncio.wrap_future(work)

    def close(self) -> None:
        """Ends the threads; running lookups are left to themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def literal_address(host: str) -> str | None:
    """Returns the address that `host` spells in any form that a resolver takes; None for a name."""
    try:
        found = socket.getaddrinfo(host, None, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return None
    return str(found[0][4][0])


class NetworkDialer:
    """The `Dialer` of real connections."""

    def __init__(self, ca_bundle: str | None = None) -> None:
        """`ca_bundle` is a PEM file, None for the system's roots."""
        self._ca_bundle = ca_bundle
        self._context: ssl.SSLContext | None = None
        self._loading = asyncio.Lock()

    async def connect(self, endpoint: Endpoint, address: str) -> Stream:
        """See `Dialer`."""
        context = await self._tls() if endpoint.tls else None
        loop = asyncio.get_running_loop()
        protocol, reader = _reading(loop)
        try:
            transport, _ = await loop.create_connection(
                lambda: protocol,
                address,
                endpoint.port,
                ssl=context,
                server_hostname=endpoint.host if endpoint.tls else None,
            )
        except (OSError, ValueError) as error:
            raise _unconnected(error) from None
        return Stream(reader, transport)

    async def tunnel(self, endpoint: Endpoint, proxy: str) -> Stream:
        """See `Dialer`."""
        context = await self._tls()
        loop = asyncio.get_running_loop()
        protocol, reader = _reading(loop)
        try:
            await through_proxy(loop, protocol, endpoint, context, proxy)
        except (ConnectError, OSError, ValueError) as error:
            raise _unconnected(error) from None
        return Stream(reader, protocol.transport)

    async def _tls(self) -> ssl.SSLContext:
        async with self._loading:
            if self._context is None:
                loop = asyncio.get_running_loop()
                try:
                    self._context = await loop.run_in_executor(None, tls_context, self._ca_bundle)
                except OSError:
                    raise NotAccessibleError(
                        "this server cannot load its root certificates"
                    ) from None
            return self._context


class _Reading(asyncio.StreamReaderProtocol):
    """A reader's protocol that remembers its transport, which `through_proxy` does not return."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        super().connection_made(transport)


def _reading(loop: asyncio.AbstractEventLoop) -> tuple[_Reading, asyncio.StreamReader]:
    reader = asyncio.StreamReader(limit=_READ_AHEAD, loop=loop)
    return _Reading(reader, loop=loop), reader


def _unconnected(error: Exception) -> NotAccessibleError:
    """Words a failed connection for the client: the system's own text would tell the address."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return NotAccessibleError(f"its certificate is not accepted: {error.verify_message}")
    if isinstance(error, ssl.SSLError):
        return NotAccessibleError("no TLS connection to its host could be made")
    return NotAccessibleError("its host cannot be connected to")
