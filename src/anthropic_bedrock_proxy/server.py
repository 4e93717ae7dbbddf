"""The processes of `serve`: bind first, import, fork workers, drain on SIGTERM.

- `bind` runs before anything heavy is imported: clients that come early wait, none is refused.
- One worker serves in this process. Several are forked after the imports (their memory is shared)
  and each owns a listening socket of the same port (SO_REUSEPORT), so the kernel spreads the
  connections; a Unix socket they share. A worker that dies is replaced on the same socket.
- The first SIGTERM or SIGINT begins the drain: /ready answers 503; after SHUTDOWN_DELAY new
  requests are turned away; when the last answer has ended, or SHUTDOWN_TIMEOUT has passed, the
  process exits with 0. A second signal ends it at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import signal
import socket
import stat
import sys
import time
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ssl import SSLContext

    from .app import App
    from .config import Settings
    from .config.sections.server import Server as ServerSettings

BACKLOG: Final = 2048
UNIX: Final = "unix://"
_STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_QUICK_DEATH_SECONDS: Final = 2.0
_MAX_QUICK_DEATHS: Final = 5


def hold_signals() -> None:
    """Keeps SIGTERM and SIGINT waiting until somebody can act on them.

    A worker that is being built, or forked, would else miss the signal or die in the middle of it;
    raising from a handler there is no way out, because callbacks swallow exceptions.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)


def release_signals() -> None:
    """Lets them come."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)


class BindError(Exception):
    """The address cannot be listened on."""


def bind(host: str, port: int, workers: int) -> list[socket.socket]:
    """Binds one listening socket per worker; `host` may be unix:///PATH. Raises `BindError`."""
    if host.startswith(UNIX):
        return [_bound_to_path(host.removeprefix(UNIX))] * workers
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        if workers == 1:
            return [_listen(_bound(family, host, port, shared=False))]
        # An exclusive bind proves that nobody else has the port; then it is shared.
        with _bound(family, host, port, shared=False) as probe:
            port = probe.getsockname()[1]
        bound = [_bound(family, host, port, shared=True) for _ in range(workers)]
        return [_listen(each) for each in bound]
    except OSError as error:
        reason = error.strerror or str(error)
        raise BindError(f"cannot listen on {host}:{port}: {reason}") from error


def _bound_to_path(path: str) -> socket.socket:
    """Binds a Unix socket.

    Whoever may write to it, and enter its folder, may connect. Raises `BindError`.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_left_over(path)
        listener.bind(path)
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        raise BindError(f"cannot listen on {UNIX}{path}: {reason}") from error
    return _listen(listener)


def remove_socket(host: str) -> None:
    """Removes the file of a Unix socket that nobody will listen on any more."""
    if host.startswith(UNIX):
        with contextlib.suppress(OSError):  # somebody else has removed it
            os.unlink(host.removeprefix(UNIX))  # noqa: PTH108  # as below


def _remove_left_over(path: str) -> None:
    """Removes the socket of a process that was killed. Others stand in the way, as they should."""
    with contextlib.suppress(FileNotFoundError), socket.socket(socket.AF_UNIX) as probe:
        is_socket = stat.S_ISSOCK(os.stat(path).st_mode)  # noqa: PTH116  # pathlib is not imported yet
        if is_socket and probe.connect_ex(path) == errno.ECONNREFUSED:
            os.unlink(path)  # noqa: PTH108  # pathlib is not imported yet


def _bound(family: int, host: str, port: int, *, shared: bool) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


def _listen(listener: socket.socket) -> socket.socket:
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


def run(
    settings: Settings, listeners: list[socket.socket], build: Callable[[], Awaitable[App]]
) -> int:
    """Serves until told to stop; returns the exit code. `build` is called in each worker."""
    if len(listeners) == 1:
        return _serve(settings, listeners[0], build, parent=None)
    _settle_memory()  # keeps the collector's marks off the pages that the workers share
    return _Supervisor(settings, listeners, build).run()


def _serve(
    settings: Settings,
    listener: socket.socket,
    build: Callable[[], Awaitable[App]],
    *,
    parent: int | None,
) -> int:
    """Runs one worker. `parent` is the read end of a pipe that closes when the parent dies."""
    import uvloop  # noqa: PLC0415  # after the bind

    async def main() -> None:
        app = await build()
        _settle_memory()
        try:
            await _Worker(settings, app, listener, parent).run()
        finally:
            await app.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
    return 0


def _settle_memory() -> None:
    """Lets the collector pass over what exists now: it lives as long as the process.

    Until here the collector has been off (`__main__`): the imports leave next to no cycles, and
    looking for them takes 10 ms of a start. Full collections of the rest are rarer than by default,
    because each stops a worker for up to 25 ms; young ones are not, because cycles may hold whole
    request bodies.
    """
    gc.freeze()
    gc.set_threshold(10_000, 20, 100)
    gc.enable()


class _Worker:
    """One worker from its first connection to the end of its last answer."""

    def __init__(
        self, settings: Settings, app: App, listener: socket.socket, parent: int | None
    ) -> None:
        from .http.server.server import Server  # noqa: PLC0415  # after the bind

        self._options = settings.server
        self._application = app.application
        self._listener = listener
        self._parent = parent
        self._server = Server(app.application, app.bounds, tls=tls_context(settings.server))
        self._loop = asyncio.get_running_loop()
        self._told = asyncio.Event()  # of another signal

    async def run(self) -> None:
        """Serves until the first signal, drains until the second or its end."""
        for sig in _STOP_SIGNALS:
            # Never restored: a late signal must not kill the final drain.
            signal.signal(sig, self._on_signal)
        await self._server.start([self._listener])
        if self._parent is not None:
            self._loop.add_reader(self._parent, self._on_parent)
        release_signals()
        await self._told.wait()
        self._told.clear()
        drain = asyncio.ensure_future(self._drain())
        again = asyncio.ensure_future(self._told.wait())
        await asyncio.wait((drain, again), return_when=asyncio.FIRST_COMPLETED)
        again.cancel()
        if not drain.done():
            drain.cancel()
            await self._server.stop(timeout_seconds=0, last_words_seconds=0)

    async def _drain(self) -> None:
        self._application.draining = True
        await asyncio.sleep(self._options.shutdown_delay_seconds)
        self._application.refusing = True
        await self._server.stop(timeout_seconds=self._options.shutdown_timeout_seconds)

    def _on_signal(self, sig: int, _: FrameType | None) -> None:
        if self._parent is not None and sig == signal.SIGINT:
            return  # Ctrl-C reaches the whole group; the parent passes on what it means
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._told.set)

    def _on_parent(self) -> None:
        """Stops this worker when its parent has died."""
        if self._parent is not None:
            self._loop.remove_reader(self._parent)
        self._told.set()


def tls_context(options: ServerSettings) -> SSLContext | None:
    """Makes the TLS context for clients; None unless a certificate is given. Raises `OSError`."""
    if options.tls_certificate is None:
        return None
    import ssl  # noqa: PLC0415  # costs memory, and most let a balancer end TLS

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    # Without a password OpenSSL would ask for that of an encrypted key on the terminal.
    context.load_cert_chain(options.tls_certificate, options.tls_key, password=lambda: "")
    context.set_alpn_protocols(["http/1.1"])
    return context


class _Supervisor:
    """The parent of forked workers: replaces the dead, passes signals on, serves nothing."""

    def __init__(
        self,
        settings: Settings,
        listeners: list[socket.socket],
        build: Callable[[], Awaitable[App]],
    ) -> None:
        self._settings = settings
        self._listeners = listeners
        self._build = build
        self._workers: dict[int, tuple[int, float]] = {}  # pid -> (listener, started)
        self._stopping = False
        self._quick_deaths = 0
        self._exit_code = 0
        self._alive_read, self._alive_write = os.pipe()

    def run(self) -> int:
        """Runs until every worker has gone; returns the exit code."""
        for sig in _STOP_SIGNALS:
            signal.signal(sig, self._pass_on)
        release_signals()
        for index in range(len(self._listeners)):
            self._fork(index)
        while self._workers:
            pid, status = os.wait()
            gone = self._workers.pop(pid, None)
            if gone is not None:
                self._worker_gone(*gone, os.waitstatus_to_exitcode(status))
        return self._exit_code

    def _fork(self, index: int) -> None:
        # The parent must have noted the child before it passes a signal on; the child holds its own
        # until it serves.
        hold_signals()
        try:
            if not self._stopping:
                self._workers[self._fork_worker(index)] = (index, time.monotonic())
        finally:
            release_signals()

    def _fork_worker(self, index: int) -> int:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.close(self._alive_write)
                for listener in self._listeners:  # of siblings: clients would wait in vain there
                    if listener is not self._listeners[index]:
                        listener.close()
                code = _serve(
                    self._settings, self._listeners[index], self._build, parent=self._alive_read
                )
            except BaseException as error:  # noqa: BLE001  # a forked child must never return
                print(f"worker failed: {error!r}", file=sys.stderr)  # noqa: T201  # logging may be the cause
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        return pid

    def _worker_gone(self, index: int, started: float, code: int) -> None:
        if self._stopping:
            self._exit_code = self._exit_code or abs(code)
            return
        quick = time.monotonic() - started < _QUICK_DEATH_SECONDS
        self._quick_deaths = self._quick_deaths + 1 if quick else 0
        print(f"worker exited with {code}, starting another", file=sys.stderr)  # noqa: T201  # as above
        if self._quick_deaths > _MAX_QUICK_DEATHS:
            self._exit_code = 1
            self._pass_on(signal.SIGTERM, None)
        else:
            self._fork(index)

    def _pass_on(self, _: int, __: FrameType | None) -> None:
        self._stopping = True
        for listener in self._listeners:  # theirs stay open until they have ended
            listener.close()
        for pid in list(self._workers):
            with contextlib.suppress(ProcessLookupError):  # it has just gone by itself
                os.kill(pid, signal.SIGTERM)
