"""The end of a listening socket, without a connection that is lost with it."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
from array import array
from typing import Final

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
