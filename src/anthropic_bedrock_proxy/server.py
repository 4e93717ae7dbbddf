"""uvicorn as a library: bind first, import, fork workers, drain on SIGTERM.

- `bind` runs before anything heavy is imported: clients that come early wait, none is refused.
- One worker serves in this process. Several are forked after the imports (their memory is shared)
  and each owns a listening socket of the same port (SO_REUSEPORT), so the kernel spreads the
  connections. A worker that dies is replaced on the same socket.
- The first SIGTERM or SIGINT begins the drain: /ready answers 503; after SHUTDOWN_DELAY new
  requests are turned away; when the last answer has ended, or SHUTDOWN_TIMEOUT has passed, the
  process exits with 0. A second signal ends it at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .app import App
    from .config import Settings

BACKLOG: Final = 2048
_STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_POLL_SECONDS: Final = 0.02
_QUICK_DEATH_SECONDS: Final = 2.0
_MAX_QUICK_DEATHS: Final = 5


def hold_signals() -> None:
    """Keeps SIGTERM and SIGINT waiting until somebody can act on them.

    A worker that is being built, or forked, would else miss the signal or die in the middle of it;
    raising from a handler there is no way out, because callbacks swallow exceptions.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)


def _release_signals() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)


class BindError(Exception):
    """The address cannot be listened on."""


def bind(host: str, port: int, workers: int) -> list[socket.socket]:
    """One listening socket per worker. Raises `BindError`."""
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
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise BindError(f"cannot listen on {host}:{port}: {reason}") from error


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
    import uvicorn.protocols.http.httptools_impl  # noqa: F401, PLC0415  # import, then fork

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
    """One worker's life. `parent` is the read end of a pipe that closes when the parent dies."""
    import uvloop  # noqa: PLC0415  # after the bind

    async def main() -> None:
        app = await build()
        _settle_memory()
        try:
            await _make_server(settings, app, parent).serve(sockets=[listener])
        finally:
            await app.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
    return 0


def _settle_memory() -> None:
    """What exists now lives as long as the process: the collector need never look at it again.

    Full collections of the rest are rarer than by default, because each stops a worker for up to
    25 ms; young ones are not, because cycles may hold whole request bodies.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 100)


def _make_server(settings: Settings, app: App, parent: int | None) -> Any:
    import uvicorn  # noqa: PLC0415  # after the bind
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol  # noqa: PLC0415

    from .http.corked import ADD_TO_HEAD, CorkedTransport  # noqa: PLC0415
    from .http.head import HeadBounds  # noqa: PLC0415

    application, options = app.application, settings.server

    class Protocol(HeadBounds, HttpToolsProtocol):
        """uvicorn's protocol, writing once per turn, its heads bounded."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
            corked = CorkedTransport(transport, self.loop)
            super().connection_made(corked)
            self.app_state = {**self.app_state, ADD_TO_HEAD: corked.add_to_head}

    class Server(uvicorn.Server):
        """uvicorn's server with our way to stop."""

        _drain: asyncio.Task[None] | None = None
        _loop = asyncio.get_running_loop()

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if parent is not None:
                self._loop.add_reader(parent, self._begin)

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            # Unlike uvicorn's, it neither raises the signal again (the exit code is ours) nor
            # restores the default handlers: a late signal must not kill the final drain.
            for sig in _STOP_SIGNALS:
                signal.signal(sig, self.handle_exit)
            _release_signals()
            yield

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  # the handler's signature
            if parent is not None and sig == signal.SIGINT:
                return  # Ctrl-C reaches the whole group; the parent passes on what it means
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._begin)

        def _begin(self) -> None:
            if parent is not None:
                self._loop.remove_reader(parent)
            if self._drain is None:
                self._drain = self._loop.create_task(self._stop())
            else:
                self.should_exit = self.force_exit = True

        async def _stop(self) -> None:
            application.draining = True
            await asyncio.sleep(options.shutdown_delay_seconds)
            application.refusing = True
            deadline = self._loop.time() + options.shutdown_timeout_seconds
            # Polled: an Event would cost every request.
            while application.active and self._loop.time() < deadline:  # noqa: ASYNC110
                await asyncio.sleep(_POLL_SECONDS)
            self.should_exit = True

    return Server(
        uvicorn.Config(
            application,
            http=Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=round(options.keep_alive_seconds),
            timeout_graceful_shutdown=1,
        )
    )


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
        """Until every worker has gone."""
        for sig in _STOP_SIGNALS:
            signal.signal(sig, self._pass_on)
        _release_signals()
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
            _release_signals()

    def _fork_worker(self, index: int) -> int:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.close(self._alive_write)
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
        for pid in list(self._workers):
            with contextlib.suppress(ProcessLookupError):  # it has just gone by itself
                os.kill(pid, signal.SIGTERM)
