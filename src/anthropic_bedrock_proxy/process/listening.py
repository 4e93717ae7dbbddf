"""The sockets that workers listen on: bound here, or handed over by systemd.

This runs before anything heavy is imported: clients that come early wait, none is refused.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from typing import Any, Final

from . import systemd

BACKLOG: Final = 2048
UNIX: Final = "unix://"
Listeners = tuple[socket.socket, ...]  # of one worker


class BindError(Exception):
    """The address cannot be listened on."""


class SocketFile:
    """The file of a Unix socket, which is removed before its last listener ends.

    Not afterwards: another process may listen on a file of the same name by then.
    """

    def __init__(self, host: str) -> None:
        """Notes the file that `host` names; for what is no Unix socket there is none."""
        self._path = host.removeprefix(UNIX) if host.startswith(UNIX) else None
        self._identity = self._look()

    def remove(self) -> None:
        """Removes the file, if it is still the one that was noted."""
        if self._path is not None and self._identity and self._look() == self._identity:
            with contextlib.suppress(OSError):  # somebody else has removed it
                os.unlink(self._path)  # noqa: PTH108  # as above

    def _look(self) -> tuple[int, int] | None:
        if self._path is None:
            return None
        try:
            found = os.stat(self._path)  # noqa: PTH116  # as above
        except OSError:
            return None
        return found.st_dev, found.st_ino


class Bound:
    """Holds what this process listens on: the listeners of each worker, and their address."""

    def __init__(
        self, places: list[Listeners], host: str, port: int, *, inherited: bool = False
    ) -> None:
        """`inherited` ones stay open when this process has ended, and keep their file."""
        self.places = places
        self.host = host
        self.port = port
        self.inherited = inherited
        self.file = SocketFile("" if inherited else host)

    @property
    def listeners(self) -> set[socket.socket]:
        """Returns those of all workers, which may share them."""
        return {listener for place in self.places for listener in place}


def address(host: str, port: int) -> str:
    """Returns host and port as people and URLs write them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def listen(host: str, port: int, workers: int, *, unix_mode: int | None = None) -> Bound:
    """Takes the sockets that systemd has bound, or binds those that are asked for.

    Raises `BindError`.
    """
    if given := _inherited():
        name = given[0].getsockname()
        host, port = (name[0], name[1]) if isinstance(name, tuple) else (f"{UNIX}{name}", 0)
        return Bound([given] * workers, host, port, inherited=True)
    places = _bind(host, port, workers, unix_mode)
    name = places[0][0].getsockname()
    port = name[1] if isinstance(name, tuple) else 0  # a Unix socket has none
    return Bound(places, host, port)


def _inherited() -> Listeners:
    try:
        given = systemd.handed_over()
        listen = all(each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) for each in given)
    except OSError as error:
        raise BindError(f"systemd handed over what is no socket: {error.strerror}") from error
    if not listen:
        raise BindError("systemd handed over a socket that does not listen: Accept=no is needed")
    return given


_HINTS: Final = {
    errno.EADDRINUSE: ". Is a proxy running there already? Stop what listens there, or take "
    "another port: --port, or PORT",
    errno.EACCES: ". Ports below 1024 are for root: take another, --port or PORT",
    errno.EADDRNOTAVAIL: ". This machine has no such address: --host, or HOST",
}


def _bind(host: str, port: int, workers: int, unix_mode: int | None) -> list[Listeners]:
    """Binds one listening socket per worker; `host` may be unix:///PATH. Raises `BindError`.

    Workers share a Unix socket, whose file gets `unix_mode`. Of a port each has a socket of its own
    (SO_REUSEPORT), so the kernel spreads the connections.
    """
    if host.startswith(UNIX):
        return [(_bound_to_path(host.removeprefix(UNIX), unix_mode),)] * workers
    try:
        family, name = _resolve(host, port)
        if workers == 1:
            return [(_listen(_bound(family, name, shared=False)),)]
        # An exclusive bind proves that nobody else has the port; then it is shared.
        with _bound(family, name, shared=False) as probe:
            name = (name[0], probe.getsockname()[1], *name[2:])
        bound = [_bound(family, name, shared=True) for _ in range(workers)]
        return [(_listen(each),) for each in bound]
    except (OSError, UnicodeError) as error:  # UnicodeError: a label that no name can have
        reason = getattr(error, "strerror", None) or str(error)
        hint = _HINTS.get(getattr(error, "errno", None) or 0, "")
        raise BindError(f"cannot listen on {address(host, port)}: {reason}{hint}") from error


def _resolve(host: str, port: int) -> tuple[int, Any]:
    """Returns the family and the address, which for IPv6 may have a zone (fe80::1%eth0).

    Of a name's addresses the first of IPv4 counts, if there is one. Raises `OSError`.
    """
    if host.replace(".", "").isdecimal():
        return socket.AF_INET, (host, port)
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    found.sort(key=lambda each: each[0] != socket.AF_INET)
    return found[0][0], found[0][4]


def _bound(family: int, name: Any, *, shared: bool) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # `::` is for IPv4 too, whatever the system's default
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(name)
    except OSError:
        listener.close()
        raise
    return listener


def _bound_to_path(path: str, mode: int | None) -> socket.socket:
    """Binds a Unix socket. Raises `BindError`."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_left_over(path)
        listener.bind(path)
        if mode is not None:
            os.chmod(path, mode)  # noqa: PTH101  # as below
        # Nobody can connect before this.
        return _listen(listener)
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        raise BindError(f"cannot listen on {UNIX}{path}: {reason}") from error


def _listen(listener: socket.socket) -> socket.socket:
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


def _remove_left_over(path: str) -> None:
    """Removes the socket of a process that was killed. Others stand in the way, as they should."""
    with contextlib.suppress(FileNotFoundError), socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)  # who listens and accepts nobody would let it wait for ever
        is_socket = stat.S_ISSOCK(os.stat(path).st_mode)  # noqa: PTH116  # pathlib is not imported yet
        if is_socket and probe.connect_ex(path) == errno.ECONNREFUSED:
            os.unlink(path)  # noqa: PTH108  # as above
