"""The credentials of a worker, which the child process sends without being asked.

    worker 1 ---.
    worker 2 ---+--- child (botocore): one look-up for all, ahead of time
    worker 3 ---'

The child is started by the first worker that needs it, and by another one when that one dies; not
at all where keys are static or there is a bearer token. A worker keeps the keys it was given until
they expire, whatever becomes of the child. Nothing here waits on the event loop, but for requests
that come before the first keys have.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Mapping
from itertools import count
from typing import Final
from weakref import WeakValueDictionary, finalize

import msgspec

from ..credentials import CredentialsError
from ..sigv4 import Credentials
from .host import Host
from .meeting import Meeting
from .pace import Pace

_TOO_OLD_SECONDS: Final = 10.0  # never sign with keys that are about to expire in flight
_WAIT_SECONDS: Final = 15.0  # that a request waits for the first keys
_CANDIDACY_SECONDS: Final = 2.0  # between looks whether a child has to be started
_RECONNECT_SECONDS: Final = 0.25


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """The proxy's identity at AWS: a profile, the default chain or given keys, maybe in a role."""

    name: str  # for the log
    region: str  # of AWS STS
    profile: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None
    session_token: str | None = None
    role_arn: str | None = None
    external_id: str | None = None

    def __repr__(self) -> str:
        return f"Identity({self.name!r})"


class _Subscription(msgspec.Struct):
    id: int
    identity: Identity


class _RefusedKeys(msgspec.Struct):
    id: int
    refused: str


class _Leave(msgspec.Struct):
    id: int
    leave: bool = True


class _Told(msgspec.Struct):
    id: int
    keys: Credentials | None
    failure: str | None


_decode = msgspec.json.Decoder(_Told).decode


class ResolvedSource:
    """The `CredentialsSource` of one identity."""

    def __init__(
        self,
        identity: Identity,
        refuse: Callable[[str], None],
        *,
        wait_seconds: float,
        now: Callable[[], float],
    ) -> None:
        """`refuse` tells the child that AWS refused the keys with this id."""
        self.identity = identity
        self._refuse = refuse
        self._now = now
        self._wait_seconds = wait_seconds
        self._keys: Credentials | None = None
        self._refused: Credentials | None = None
        self._failure: str | None = None
        self._told = asyncio.Event()

    @property
    def current(self) -> Credentials | None:
        """Returns the keys while they are fresh, else None."""
        keys = self._keys
        if keys is None or keys.expires_at is None:
            return keys
        return keys if keys.expires_at - self._now() > _TOO_OLD_SECONDS else None

    async def get(self) -> Credentials:
        """Returns fresh keys, waiting for the first ones. Raises `CredentialsError`."""
        deadline = asyncio.get_running_loop().time() + self._wait_seconds
        while (keys := self.current) is None:
            if self._failure is not None:
                raise CredentialsError(f"{self.identity.name}: {self._failure}")
            self._told.clear()  # waiters of the last wait have their wake-up already
            try:
                async with asyncio.timeout_at(deadline):
                    await self._told.wait()
            except TimeoutError:
                raise CredentialsError(f"{self.identity.name}: no answer yet") from None
        return keys

    def invalidate(self, refused: Credentials | None = None) -> None:
        """Forgets keys that AWS refused, and has them looked up anew."""
        # Many requests may be refused for the same old keys: the first of them counts.
        keys = self._keys
        if keys is None or (refused is not None and not _same(keys, refused)):
            return
        self._keys, self._refused = None, keys
        self._refuse(keys.access_key_id)

    def tell(self, keys: Credentials | None, failure: str | None) -> None:
        """Takes over keys or a failure from the child."""
        if failure is not None and _same(keys, self._refused):
            keys = None  # the child has nothing better yet
        if keys is not None:
            self._keys, self._refused = keys, None
        self._failure = failure
        self._told.set()


def _same(one: Credentials | None, other: Credentials | None) -> bool:
    if one is None or other is None:
        return False
    return (one.access_key_id, one.session_token) == (other.access_key_id, other.session_token)


class Resolver:
    """The sources of a process. Made before a fork; belongs to one event loop until it is closed.

    Nothing is started until a source is asked for.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        pace: Pace = Pace(),  # noqa: B008  # immutable
        wait_seconds: float = _WAIT_SECONDS,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`environ` is the environment in which the child looks for credentials."""
        self._meeting = Meeting()
        self._host = Host(self._meeting, environ, pace)
        self._wait_seconds = wait_seconds
        self._now = now
        # Who uses a source holds it: one of a provider that has gone is not kept fresh any longer.
        self._sources: WeakValueDictionary[Identity, ResolvedSource] = WeakValueDictionary()
        self._by_id: WeakValueDictionary[int, ResolvedSource] = WeakValueDictionary()
        self._ids = count()
        self._writer: asyncio.StreamWriter | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def source(self, identity: Identity) -> ResolvedSource:
        """Returns the source of an identity; the same one for the same identity."""
        source = self._sources.get(identity)
        if source is None:
            number = next(self._ids)
            source = ResolvedSource(
                identity,
                lambda key: self._send(_RefusedKeys(number, key)),
                wait_seconds=self._wait_seconds,
                now=self._now,
            )
            self._sources[identity] = source
            self._by_id[number] = source
            finalize(source, self._leave, asyncio.get_running_loop(), number).atexit = False
            self._send(_Subscription(number, identity))
            if not self._tasks:
                create = asyncio.get_running_loop().create_task
                self._tasks = [create(self._stand_for_host()), create(self._stay_connected())]
        return source

    async def close(self) -> None:
        """Ends the child if it is this process's; sources may be asked for again afterwards."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._sources.clear()
        self._by_id.clear()

    def _leave(self, loop: asyncio.AbstractEventLoop, number: int) -> None:
        # Cycles are collected on whatever thread it comes to.
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(self._send, _Leave(number))

    def _send(self, message: msgspec.Struct) -> None:
        # Without a connection nothing is lost: a new one begins by saying everything.
        if self._writer is not None:
            self._writer.write(msgspec.json.encode(message) + b"\n")

    async def _stand_for_host(self) -> None:
        """Starts the child as soon as no other process does."""
        while not self._meeting.try_lock():  # noqa: ASYNC110  # of another process
            await asyncio.sleep(_CANDIDACY_SECONDS)
        try:
            await self._host.run()
        finally:
            self._meeting.unlock()

    async def _stay_connected(self) -> None:
        while True:
            # ValueError: a line that is too long. Whatever came, the next connection may do better.
            with contextlib.suppress(OSError, ValueError, msgspec.MsgspecError):
                await self._talk(self._meeting.introduce())
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _talk(self, connection: socket.socket) -> None:
        """Listens to the child until it ends. Raises `OSError`."""
        reader, self._writer = await asyncio.open_unix_connection(sock=connection)
        writer = self._writer
        try:
            self._subscribe()
            async for line in reader:
                self._hear(line)
        finally:
            self._writer = None
            writer.close()

    # Both apart from `_talk`, whose frame lives on and would hold the last source.

    def _subscribe(self) -> None:
        for number, source in self._by_id.items():
            self._send(_Subscription(number, source.identity))

    def _hear(self, line: bytes) -> None:
        told = _decode(line)
        if (source := self._by_id.get(told.id)) is not None:
            source.tell(told.keys, told.failure)
