"""Sockets below what `asyncio` knows of them: a port's end, a reset, the address of a client."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
from array import array
from typing import Any, Final

_LINGER_OFF: Final = struct.pack("ii", 1, 0)
_SO_ATTACH_FILTER: Final = 26  # linux/socket.h; the socket module does not name it
# A classic BPF program on the TCP header: code, two jumps and an operand each.
_LETS_NO_SYN_IN: Final = (
    (0x30, 0, 0, 13),  # load the byte of flags
    (0x54, 0, 0, 0x12),  # of which SYN and ACK count
    (0x15, 0, 1, 0x02),  # SYN alone?
    (0x06, 0, 0, 0),  # drop it
    (0x06, 0, 0, 0xFFFFFFFF),  # take all else
)


def begin_none(listener: socket.socket) -> None:
    """Lets no further handshake begin on a port; those that have begun go on.

    When a port is closed the kernel resets who is in the middle of a handshake, or waits to be
    accepted. Who is not let in knocks again after a second, and finds the port closed: that may be
    tried elsewhere, a reset behind a request may not. Only for a socket that ends with this
    process: whoever else has it would be cut off, too. Linux only; elsewhere some are reset.
    """
    if sys.platform != "linux" or listener.family not in (socket.AF_INET, socket.AF_INET6):
        return
    program = array("B", b"".join(struct.pack("HBBI", *step) for step in _LETS_NO_SYN_IN))
    described = struct.pack("HP", len(_LETS_NO_SYN_IN), program.buffer_info()[0])
    with contextlib.suppress(OSError):  # a system without filters
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, described)


def accept_all(listener: socket.socket) -> list[socket.socket]:
    """Returns the connections that wait to be accepted."""
    waiting: list[socket.socket] = []
    with contextlib.suppress(OSError):  # BlockingIOError: nobody waits any more
        while True:
            connection, _ = listener.accept()
            connection.setblocking(False)
            waiting.append(connection)
    return waiting


def reset_at_close(connection: socket.socket) -> None:
    """Makes the end of a connection a reset, which loses what the client has not read yet."""
    # SO_LINGER belongs to the connection, not to the descriptor: a copy may set it.
    with socket.socket(fileno=os.dup(connection.fileno())) as copy:
        copy.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_OFF)


def was_reset(connection: socket.socket) -> bool:
    """Tells whether a reset has come that nobody has read, because nothing is read."""
    return bool(connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))


def address_of(peer: Any) -> str:
    """Returns the address of a peer's name, empty on a Unix socket.

    A socket for both families has ::ffff:192.0.2.1 for IPv4.
    """
    if not isinstance(peer, tuple):
        return ""
    address: str = peer[0]
    mapped = address.removeprefix("::ffff:")
    return address if ":" in mapped else mapped
