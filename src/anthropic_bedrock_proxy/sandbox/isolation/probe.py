"""A sandbox that tries what must not work, to find out what its walls really hold."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Iterator
from typing import Final

import msgspec

from .base import RunnerProcess

DONE: Final = "done"
_SECONDS: Final = 5.0
_BYTES: Final = 65_536
# Runs inside, in any Python from 3.9 on, with a path of the host as its argument; prints what came
# of each attempt.
_PROGRAM: Final = """
import ctypes, json, os, socket, sys

def call(name, *arguments):
    machine = {"x86_64": 0, "aarch64": 1}[os.uname().machine]
    number = {"unshare": (272, 97), "ptrace": (101, 117), "mount": (165, 40), "bpf": (321, 280),
              "io_uring_setup": (425, 425), "keyctl": (250, 219)}[name][machine]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, *arguments) == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

def connect():
    socket.create_connection(("127.0.0.1", 9), timeout=0.5)

def send():
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"", ("127.0.0.1", 9))

def processes():
    seen = [name for name in os.listdir("/proc") if name.isdigit()]
    if len(seen) <= 2:  # this one, and perhaps what holds the walls
        open("/proc/%d/environ" % (os.getppid() or -1)).read()

def signal():
    os.kill(os.getppid() or 1 << 22, 0)  # none of ours has this number, if pid 1 is this one

attempts = {
    "connect to a server of the host": connect,
    "send a datagram to the host": send,
    "read a secret file of the host": lambda: open("/etc/shadow").read(),
    "list a folder of the host": lambda: os.listdir("/root"),
    "learn names of the host's files": lambda: os.stat(sys.argv[1]),
    "write outside of the workspace": lambda: open("/usr/probe", "w"),
    "see other processes": processes,
    "signal other processes": signal,
    "become root": lambda: os.setuid(0),
    "make a user namespace": lambda: call("unshare", 0x10000000),
    "trace a process": lambda: call("ptrace", 0, 0, 0, 0),
    "mount": lambda: call("mount", 0, 0, 0, 0, 0),
    "load a program into the kernel": lambda: call("bpf", 0, 0, 0),
    "use the kernel's keys": lambda: call("keyctl", 0, -3, 1),
    "use io_uring": lambda: call("io_uring_setup", 1, ctypes.create_string_buffer(256)),
}
told = {}
for name, attempt in attempts.items():
    try:
        attempt()
        told[name] = "done"
    except ConnectionRefusedError:
        told[name] = "done"
    except (OSError, KeyError) as error:
        told[name] = type(error).__name__
with open("probe", "w") as file:
    file.write("x")
print(json.dumps(told))
"""
# What only namespaces keep from a sandbox.
_NOT_BARE: Final = {"learn names of the host's files"}


class ProbeError(Exception):
    """The probe told nothing; the message says why, if it is known."""


@contextlib.contextmanager
def probing() -> Iterator[list[str]]:
    """Yields the command of the probe, while there is a file for it not to find."""
    with tempfile.NamedTemporaryFile(prefix="sandbox-probe-") as file:
        yield ["python3", "-I", "-c", _PROGRAM, file.name]


async def outcomes(runner: RunnerProcess) -> dict[str, str]:
    """Returns what came of each attempt: `DONE`, or the name of the refusal. Raises `ProbeError`.

    The runner is one that runs the probe.
    """
    told = b""
    try:
        async with asyncio.timeout(_SECONDS):
            while (data := await runner.read()) and len(told) < _BYTES:
                told += data
    except TimeoutError:
        raise ProbeError("the sandbox does not answer") from None
    try:
        return msgspec.json.decode(told, type=dict[str, str])
    except msgspec.MsgspecError:
        raise ProbeError(await runner.why_ended() or "the sandbox told nothing") from None


def holes(told: dict[str, str], *, bare: bool = False) -> list[str]:
    """Returns what the probe could do and must not; `bare`: without namespaces."""
    done = [name for name, outcome in told.items() if outcome == DONE]
    return [name for name in done if not (bare and name in _NOT_BARE)]
