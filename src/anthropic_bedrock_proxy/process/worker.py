"""One worker, from its first connection to the end of its last answer.

The first SIGTERM or SIGINT begins the drain. For SHUTDOWN_DELAY everything is served, but /ready
answers 503 and each answer says that its connection ends. Then the port closes, so that balancers
go elsewhere; what is on its way is still served, for SHUTDOWN_TIMEOUT at most. A second signal ends
it at once. SIGHUP renews the certificate.
A worker that is told alone drains without a delay, because another takes its place.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import TYPE_CHECKING, Final, Protocol

from . import systemd
from .listening import Bound, Listeners
from .signals import AT_ONCE, STOP, Terminal, release
from .tls import renew, tls_context_of_now

if TYPE_CHECKING:
    from ssl import SSLContext

    from ..config import Settings
    from ..http.server.bounds import ConnectionBounds
    from ..http.server.request import ServerApplication

# What a worker tells its parent.
READY: Final = b"R"  # it serves, or has done what SIGHUP asks for
ALIVE: Final = b"A"
LEAVING: Final = b"L"  # it takes no more connections
_PARENT_SECONDS: Final = 0.5  # to the parent's word, where every process was signalled
_log = logging.getLogger("anthropic_bedrock_proxy")


class Parent:
    """A forked worker's two pipes: one ends with its parent, one takes what the parent is told."""

    def __init__(self, alive: int, reports: int) -> None:
        self.alive = alive
        self._reports = reports
        self._pid = os.getppid()

    @property
    def lives(self) -> bool:
        """Tells whether this process still has its parent."""
        return os.getppid() == self._pid

    def tell(self, what: bytes) -> None:
        """Tells the parent; records are short enough to come whole, whoever else writes."""
        try:
            os.write(self._reports, what + os.getpid().to_bytes(4, "big"))
        except OSError:
            return  # it has gone, or stands still


class ServedApp(Protocol):
    """An application with everything that it needs, as the composition builds it."""

    @property
    def application(self) -> ServerApplication: ...  # noqa: D102  # see the class
    @property
    def bounds(self) -> ConnectionBounds: ...  # noqa: D102
    @property
    def in_flight(self) -> int: ...  # noqa: D102

    def drain(self) -> None:
        """Notes that no new requests are welcome, though each that comes is served."""
        ...

    async def close(self) -> None:
        """Lets go of everything."""
        ...


class Worker:
    """Serves an application until it is told to end."""

    def __init__(
        self,
        settings: Settings,
        app: ServedApp,
        listeners: Listeners,
        *,
        parent: Parent | None,
        watchdog_seconds: float | None,
        bound: Bound,
        tls: SSLContext | None,
    ) -> None:
        from ..http.server.server import Server  # noqa: PLC0415  # after the bind

        self._options = settings.server
        self._app = app
        self._listeners = listeners
        self._bound = bound
        self._parent = parent
        self._watchdog_seconds = watchdog_seconds
        self._tls = tls_context_of_now(settings.server, tls)
        self._server = Server(app.application, app.bounds, tls=self._tls)
        self._loop = asyncio.get_running_loop()
        self._told = asyncio.Event()  # of another signal
        self._draining = False
        self._terminal = Terminal()
        self._alone = False  # its parent goes on, and with it the socket

    async def run(self) -> None:
        """Serves until the first signal, drains until the second or its end."""
        for sig in STOP:
            # Never restored: a late signal must not kill the final drain.
            signal.signal(sig, self._on_signal)
        signal.signal(AT_ONCE, self._on_signal)
        signal.signal(signal.SIGHUP, self._on_hangup)
        await self._server.start(self._listeners)
        if self._parent is not None:
            self._loop.add_reader(self._parent.alive, self._on_parent)
        release()
        self._report(READY, systemd.READY)
        if self._watchdog_seconds is not None:
            self._say_alive(self._watchdog_seconds / 2)
        await self._told.wait()
        self._draining = True
        self._told.clear()
        drain = asyncio.ensure_future(self._drain())
        again = asyncio.ensure_future(self._told.wait())
        await asyncio.wait((drain, again), return_when=asyncio.FIRST_COMPLETED)
        again.cancel()
        if not drain.done():
            drain.cancel()
            await self._server.stop(timeout_seconds=0, last_words_seconds=0)

    async def _drain(self) -> None:
        delay, timeout = (
            self._options.shutdown_delay_seconds,
            self._options.shutdown_timeout_seconds,
        )
        if running := self._app.in_flight:
            _log.info(
                "stopping: waiting up to %g s for what is in progress (%s); a second signal "
                "(Ctrl-C) ends it at once",
                timeout,
                "1 answer" if running == 1 else f"{running} answers",
            )
        if self._parent is None:
            systemd.notify(systemd.stopping(delay + timeout))
        if self._alone:
            await asyncio.sleep(_PARENT_SECONDS)
        self._server.announce_end()
        if self._alone:  # others go on, and one more on this very socket: the proxy is ready
            self._report(LEAVING, None)
        else:
            self._app.drain()
            await asyncio.sleep(delay)
            self._bound.file.remove()
        await self._server.stop(
            timeout_seconds=timeout, for_good=not (self._alone or self._bound.inherited)
        )

    def _report(self, to_parent: bytes, to_systemd: str | None) -> None:
        if self._parent is not None:
            self._parent.tell(to_parent)
        elif to_systemd is not None:
            systemd.notify(to_systemd)

    def _say_alive(self, seconds: float) -> None:
        self._report(ALIVE, systemd.ALIVE)
        self._loop.call_later(seconds, self._say_alive, seconds)

    def _on_signal(self, sig: int, _: FrameType | None) -> None:
        if self._parent is not None and self._parent.lives:
            # Ctrl-C reaches the whole group, and systemd signals every process: the parent says
            # what it means, and what a second one does.
            if sig == signal.SIGINT or (sig == signal.SIGTERM and self._draining):
                return
            self._alone = sig == signal.SIGTERM
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._told.set)

    def _on_parent(self) -> None:
        """Drains: the parent stops, or has died."""
        self._alone = False
        if self._parent is not None:
            self._loop.remove_reader(self._parent.alive)
        if not self._draining:
            self._told.set()

    def _on_hangup(self, _: int, __: FrameType | None) -> None:
        if self._loop.is_closed():
            return
        if self._parent is None and self._terminal.gone:
            if not self._draining:
                self._loop.call_soon_threadsafe(self._told.set)
        else:
            self._loop.call_soon_threadsafe(self._reload)

    def _reload(self) -> None:
        """Reads the certificate once more; one that cannot be used changes nothing."""
        if self._parent is None:
            systemd.notify(systemd.reloading())
        if self._tls is None:
            _log.info("SIGHUP: there is no certificate to read again; settings need a restart")
        else:
            try:
                renew(self._tls, self._options)
                _log.info("SIGHUP: new connections get the certificate as it is now")
            except (OSError, ValueError) as error:
                _log.error("SIGHUP: the certificate stays as it was: %s", error)
        self._report(READY, systemd.READY)


def serve(
    settings: Settings,
    listeners: Listeners,
    build: Callable[[], Awaitable[ServedApp]],
    *,
    parent: Parent | None,
    watchdog_seconds: float | None,
    bound: Bound,
    tls: SSLContext | None,
) -> int:
    """Runs one worker; returns the exit code. `tls` is the context of when the server started."""
    import uvloop  # noqa: PLC0415  # after the bind

    async def main() -> None:
        app = await build()
        settle_memory()
        try:
            worker = Worker(
                settings,
                app,
                listeners,
                parent=parent,
                watchdog_seconds=watchdog_seconds,
                bound=bound,
                tls=tls,
            )
            await worker.run()
        finally:
            await app.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
    return 0


def settle_memory() -> None:
    """Lets the collector pass over what exists now: it lives as long as the process.

    Until here the collector has been off (`__main__`): the imports leave next to no cycles, and
    looking for them takes 10 ms of a start. Full collections of the rest are rarer than by default,
    because each stops a worker for up to 25 ms; young ones are not, because cycles may hold whole
    request bodies.
    """
    gc.freeze()
    gc.set_threshold(10_000, 20, 100)
    gc.enable()
