"""A service manager's protocols: sd_notify(3), its watchdog, and socket activation.

Each is a datagram or an environment variable or two. No library for them is kept: `sdnotify` and
`sd-notify` have had no release since 2017 and 2019, and `systemd-python` needs a compiler and
libsystemd.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from typing import Final

_FIRST_DESCRIPTOR: Final = 3  # SD_LISTEN_FDS_START
READY: Final = "READY=1"
ALIVE: Final = "WATCHDOG=1"
_WAIT_SECONDS: Final = 0.5  # with a service manager that does not read just now
_LONGEST_SECONDS: Final = 1e9  # more means never (systemd's USEC_INFINITY), and no clock takes it


def notify(state: str) -> None:
    """Tells the service manager, if there is one that wants to know."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return
    address = f"\0{path[1:]}" if path.startswith("@") else path  # an abstract one
    # Nobody who does not listen may stop us: with a full queue `sendto` would wait for ever.
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.settimeout(0 if state == ALIVE else _WAIT_SECONDS)  # the former comes again
        sender.sendto(state.encode(), address)


def come_after(process: int) -> None:
    """Takes for this process what the service manager meant for its parent, whose id is given."""
    for name in ("LISTEN_PID", "WATCHDOG_PID"):
        if os.environ.get(name) == str(process):
            os.environ[name] = str(os.getpid())


def reloading() -> str:
    """Returns what is said before a reload; READY follows when it is done."""
    return f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}"


def stopping(seconds: float) -> str:
    """Returns what is said before the drain, with the time that it may take.

    TimeoutStopSec, 90 s by default, would else kill answers that SHUTDOWN_TIMEOUT allows.
    """
    return f"STOPPING=1\nEXTEND_TIMEOUT_USEC={int(seconds * 1e6)}"


def watchdog_seconds() -> float | None:
    """Returns how often this process has to say that it is alive, None if nobody asks."""
    pid = os.environ.get("WATCHDOG_PID", "")
    try:
        seconds = int(os.environ.get("WATCHDOG_USEC", "0")) / 1e6
        mine = not pid or int(pid) == os.getpid()
    except ValueError:
        return None
    return seconds if mine and 0 < seconds < _LONGEST_SECONDS else None


def handed_over() -> tuple[socket.socket, ...]:
    """Returns the listening sockets that this process was started with (LISTEN_FDS), once.

    Raises `OSError` for what is no socket.
    """
    given = {name: os.environ.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS")}
    os.environ.pop("LISTEN_FDNAMES", None)
    if given["LISTEN_PID"] != str(os.getpid()) or not given["LISTEN_FDS"].isdecimal():
        return ()
    count = int(given["LISTEN_FDS"])
    numbers = range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + count)
    sockets = tuple(socket.socket(fileno=number) for number in numbers)
    for each in sockets:
        each.set_inheritable(False)
        each.setblocking(False)
    return sockets
