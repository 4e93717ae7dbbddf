"""The process: an isolation, warm runners, containers and the API, until it is told to end.

Its end is SIGTERM, SIGINT, or the end of a pipe whose other ends the processes of `serve` hold. All
containers are removed then. Where there is a lock, one process has it for as long as it lives; a
second one that finds it taken ends quietly, because what it was started for is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import socket
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from ..address import ExecutorAddress
from ..isolation.base import Isolation, IsolationError
from .cell_run import CellSeconds
from .container import SharedParts
from .containers import ContainerBounds, Containers
from .own_folder import OwnFolderError
from .pool import WarmRunners
from .runner_link import RunnerBounds, RunnerLink, start_runner
from .server import ExecutorParts, ExecutorServer
from .spool import Spool, SpoolBounds

SWEEP_SECONDS: Final = 5.0
CLOSE_SECONDS: Final = 20.0
_BACKLOG: Final = 256

_log = logging.getLogger("anthropic_bedrock_proxy.sandbox")


class ListenError(Exception):
    """The executor cannot listen, or keep files, where it was told to; the message says why."""


class ExecutorOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The executor's own settings; those of the walls are the isolation's."""

    listen: ExecutorAddress
    token: str | None = None
    warm: int = 2
    seconds: CellSeconds = CellSeconds()
    containers: ContainerBounds = ContainerBounds()
    runners: RunnerBounds = RunnerBounds()
    spool: SpoolBounds = SpoolBounds()
    files: Path | None = None  # the folder of those that are kept; None: of a random name
    lock: Path | None = None
    parent: int | None = None  # the descriptor of the pipe


def run(
    options: ExecutorOptions,
    make_isolation: Callable[[], Isolation],
    program: bytes,
    announce: Callable[[str], None],
) -> None:
    """Runs an executor to its end; `program` is what runners are sent. Raises `ListenError`."""
    with _locked(options.lock) as mine:
        if mine:
            listener = bind(options.listen, options.token)
            try:
                asyncio.run(_serve(options, make_isolation, program, listener, announce))
            except OwnFolderError as error:
                raise ListenError(str(error)) from error
            finally:
                if listener.fileno() >= 0:  # it never served
                    _give_up(options.listen)
                    listener.close()


def bind(address: ExecutorAddress, token: str | None) -> socket.socket:
    """Binds the socket to listen on. Raises `ListenError`."""
    if address.path is None and not token:
        raise ListenError(
            "SANDBOX_TOKEN is not set: whoever reaches a TCP address could run code. Set it here "
            "and for the proxies, or listen on unix:///PATH."
        )
    if address.tls:
        raise ListenError("the executor does not speak TLS itself: listen on http://HOST:PORT")
    try:
        if address.path is None:
            listener = socket.create_server((address.host, address.port), backlog=_BACKLOG)
        else:
            listener = _unix_listener(Path(address.path))
    except OSError as error:
        raise ListenError(f"cannot listen on {address.url}: {error.strerror or error}") from error
    listener.setblocking(False)
    return listener


def _unix_listener(path: Path) -> socket.socket:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX)
    try:
        mask = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(mask)
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _remove_stale(path: Path) -> None:
    """Removes the socket of an executor that has gone. Raises `OSError` if it has not."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError(0, "there is a file that is no socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise FileExistsError(0, "another executor listens there")


def _give_up(address: ExecutorAddress) -> None:
    """Removes the socket, while it still listens: later the path may be its successor's."""
    if address.path is not None:
        Path(address.path).unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(path: Path | None) -> Iterator[bool]:
    """Holds the lock; gives False if another process has it."""
    if path is None:
        yield True
        return
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


async def _serve(
    options: ExecutorOptions,
    make_isolation: Callable[[], Isolation],
    program: bytes,
    listener: socket.socket,
    announce: Callable[[str], None],
) -> None:
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    if options.parent is not None:
        os.set_blocking(options.parent, False)
        loop.add_reader(options.parent, told.set)  # nobody writes: it can be read at its end
    async with executing(options, make_isolation(), program) as parts:
        server = ExecutorServer(parts, options.token)
        await server.open(listener)
        announce(f"sandboxd listens on {options.listen.url}")
        sweeping = loop.create_task(_sweep(parts))
        try:
            await told.wait()
        finally:
            sweeping.cancel()
            await parts.containers.close()
            _give_up(options.listen)
            await server.close()


@contextlib.asynccontextmanager
async def executing(
    options: ExecutorOptions, isolation: Isolation, program: bytes
) -> AsyncIterator[ExecutorParts]:
    """Makes the parts of an executor, and takes them down: no container is left."""
    warned = False

    async def start() -> RunnerLink:
        nonlocal warned
        link = await start_runner(isolation, program, options.runners)
        if not link.hardened and not warned:
            warned = True
            _log.warning("runners are not hardened: code in a sandbox can read its runner's memory")
        return link

    spool = Spool(options.spool, folder=options.files)
    warm = WarmRunners(start, options.warm)
    shared = SharedParts(warm.take, warm.count_error, spool, options.seconds)
    containers = Containers(shared, options.containers)
    try:
        await isolation.open()
        warm.open()
        yield ExecutorParts(isolation, containers, warm, spool)
    finally:
        spool.close()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await containers.close()
                await warm.close()
                await isolation.close()
        except (TimeoutError, IsolationError) as error:
            _log.warning("sandboxes may be left over: %s", str(error) or "no answer in time")


async def _sweep(parts: ExecutorParts) -> None:
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        parts.containers.sweep()
        parts.spool.sweep()
