"""One runner in its container."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from ..base import IsolationError

if TYPE_CHECKING:
    from aiodocker.containers import DockerContainer
    from aiodocker.stream import Stream

_WRITE_BYTES: Final = (
    65_536  # at once, so that little lies in our memory for one that does not read
)
_END_SECONDS: Final = 5.0  # for the daemon to notice an end
_STDOUT: Final = 1
_KILLED: Final = 128 + 9


class DockerRunner:
    """The `RunnerProcess` of a container."""

    def __init__(
        self,
        container: DockerContainer,
        stream: Stream,
        workspace: str,
        remove: Callable[[str], Awaitable[None]],
    ) -> None:
        """`remove` ends and removes the container with this id, sooner or later."""
        self.workspace = workspace
        self.id = container.id
        self._container = container
        self._stream = stream
        self._remove = remove
        self._ended = False
        self._killed: asyncio.Task[None] | None = None

    async def read(self) -> bytes:
        """Returns what it has written, as it came; b"" once it has ended."""
        from aiohttp import ClientError  # noqa: PLC0415  # only who has Docker needs it

        while not self._ended:
            try:
                message = await self._stream.read_out()
            except (ClientError, OSError):  # the daemon has gone
                message = None
            if message is None:
                self._ended = True
            elif message.stream == _STDOUT and message.data:
                return message.data
        return b""

    async def write(self, data: bytes) -> None:
        """Writes to it, waiting while it does not read. Raises `IsolationError` if it has ended."""
        from aiohttp import ClientError  # noqa: PLC0415  # as above

        view = memoryview(data)
        for start in range(0, len(view), _WRITE_BYTES):
            if self._ended or self._killed is not None:
                raise IsolationError("the sandbox has ended")
            try:
                await self._stream.write_in(bytes(view[start : start + _WRITE_BYTES]))
            except (ClientError, OSError, RuntimeError, AssertionError) as error:
                # A stream whose connection has been lost has none: the library asserts it.
                self._ended = True
                raise IsolationError("the sandbox has ended") from error

    async def kill(self) -> None:
        """Ends it at once with all that it has started, and removes its container. Idempotent."""
        if self._killed is None:
            self._killed = asyncio.ensure_future(self._kill())
        # Whoever called may be cancelled: the container goes all the same.
        await asyncio.shield(self._killed)

    async def _kill(self) -> None:
        self._ended = True
        # First of all: the daemon waits for whoever is attached to take all that was written.
        with suppress(Exception):  # whatever is wrong with it, it is of no use any more
            abort(self._stream)
            await self._stream.close()
        await self._remove(self.id)

    async def why_ended(self) -> str:
        """Returns in a few words why it has ended; "" if nobody knows."""
        from aiodocker import DockerError  # noqa: PLC0415  # as above

        try:
            async with asyncio.timeout(_END_SECONDS):
                await self._container.wait()
                state = (await self._container.show())["State"]
        except (DockerError, OSError, TimeoutError):
            return ""
        code = state.get("ExitCode")
        if code != _KILLED:
            return f"exit code {code}"
        # A process inside may have been, long before: then this is true too, but not why.
        return "out of memory" if state.get("OOMKilled") else "killed"


def abort(stream: Stream) -> None:
    """Drops the connection of a stream with all that waits to be sent, as its `close` does not."""
    response = stream._resp  # noqa: SLF001  # the library has no other way
    connection = response.connection if response is not None else None
    if connection is not None and connection.transport is not None:
        connection.transport.abort()
