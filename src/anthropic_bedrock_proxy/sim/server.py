"""Runs the simulator: in the foreground, or in a child process for `serve --demo`.

The listening socket is bound first, so that the caller knows the port and early connections
wait in the backlog. The child dies with its parent, ignores Ctrl-C (the parent decides) and ends
on SIGTERM.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterable
from ipaddress import ip_address

import msgspec

from .options import MAX_BODY_BYTES, SimulatorOptions

_BACKLOG = 2048
_PR_SET_PDEATHSIG = 1
_GRACE_SECONDS = 1


def is_loopback(host: str) -> bool:
    """Tells whether only this machine can reach `host`."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def bind(host: str, port: int) -> socket.socket:
    """Binds a listening socket; port 0 takes a free one. Raises `OSError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def run(
    host: str,
    port: int,
    options: SimulatorOptions,
    *,
    announce: Callable[[str], None] | None = None,
) -> None:
    """Serves until SIGINT or SIGTERM. `announce` gets the address once the port is bound.

    Raises `OSError` when the address cannot be bound.
    """
    from ..http.server.descriptors import raise_limit  # noqa: PLC0415  # as below

    raise_limit()
    with bind(host, port) as listener:
        if announce is not None:
            shown = f"[{host}]" if ":" in host else host
            announce(f"http://{shown}:{listener.getsockname()[1]}")
        _serve(listener, options, ignore_interrupt=False)


def serve_in_child(
    options: SimulatorOptions, not_its: Iterable[socket.socket] = ()
) -> tuple[int, int]:
    """Forks a simulator on a free loopback port; returns its process id and port.

    It closes `not_its`, sockets of the parent: else their ports would stay open with the child.

    Call it before threads or an event loop run in this process. The caller reaps the child.
    """
    listener = bind("127.0.0.1", 0)
    port: int = listener.getsockname()[1]
    alive, held = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid:
        listener.close()
        os.close(alive)  # the write end stays open as long as this process lives
        return pid, port
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        gc.enable()  # the start of `serve`, in whose middle this is, does without
        os.close(held)
        for each in not_its:
            each.close()
        _die_with(parent, alive)
        _serve(listener, options, ignore_interrupt=True)
        status = 0
    finally:
        os._exit(status)


def _die_with(parent: int, alive: int) -> None:
    """Ends with the parent: by the kernel's signal on Linux, by the end of a pipe elsewhere."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
        return
    threading.Thread(target=_watch, args=(alive,), daemon=True).start()


def _watch(alive: int) -> None:
    os.read(alive, 1)
    os._exit(0)


def _serve(listener: socket.socket, options: SimulatorOptions, *, ignore_interrupt: bool) -> None:
    import uvloop  # noqa: PLC0415  # the command line's other commands do without it

    from ..http.server.bounds import ConnectionBounds  # noqa: PLC0415
    from ..http.server.server import Server  # noqa: PLC0415
    from .app import Simulator  # noqa: PLC0415

    simulator = Simulator(options)
    # Clients never half-close here, so an end of file is one that left: the log shows it soon.
    bounds = ConnectionBounds(skipped_body_bytes=MAX_BODY_BYTES, half_closed=False, quiet_seconds=0)

    async def main() -> None:
        server = Server(simulator, bounds)
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, stopped.set)
        if not ignore_interrupt:
            loop.add_signal_handler(signal.SIGINT, stopped.set)
        listener.setblocking(False)
        await server.start([listener])
        await stopped.wait()
        await server.stop(timeout_seconds=_GRACE_SECONDS)

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
    finally:
        simulator.log.close()


def options_for(host: str, options: SimulatorOptions, *, control: bool) -> SimulatorOptions:
    """Returns `options` with the control API on loopback addresses, elsewhere only when asked."""
    return msgspec.structs.replace(options, control=control or is_loopback(host))
