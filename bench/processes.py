"""Child processes: started, measured through /proc, and always reaped.

CPU is user + system time of the whole tree under a process, including children that it has reaped
(the kernel counts in ticks of 10 ms, so loads must be long against that). Memory is PSS: pages
that forked workers share are counted once in the sum.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_STOP_SECONDS: Final = 15.0
_alive: set[subprocess.Popen[bytes]] = set()


@contextlib.contextmanager
def child(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    stdout: IO[bytes] | int,
    stderr: IO[bytes] | int,
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a group of its own; on the way out it is told to stop, then made to."""
    process = subprocess.Popen(
        command,
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )
    _alive.add(process)
    try:
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, patience, SIGKILL; then whatever the process left behind in its group."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    _alive.discard(process)


def _stop_all() -> None:
    for process in list(_alive):
        stop(process)


def stop_children_on_exit() -> None:
    """For whatever way the interpreter ends that Python can see, SIGTERM included."""
    atexit.register(_stop_all)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


def tree(root: int) -> list[int]:
    """`root` and its living descendants."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int(_stat(int(entry.name))[1])
    found = [root]
    for pid in found:
        found += [other for other, parent in parents.items() if parent == pid]
    return found


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; the name before may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def cpu_seconds(root: int) -> float:
    """User and system time of the tree so far."""
    ticks = 0
    for pid in tree(root):
        with contextlib.suppress(OSError):
            ticks += sum(map(int, _stat(pid)[11:15]))  # utime, stime, cutime, cstime
    return ticks / _TICKS


def pss_mb(root: int) -> float:
    """Proportional set size of the tree, in 10^6 bytes."""
    kib = 0
    for pid in tree(root):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    kib += int(line.split()[1])
    return kib * 1024 / 1e6


def environment(**extra: str) -> dict[str, str]:
    """A clean environment: nothing of the caller's reaches a subject but how to find the code."""
    env = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}
    if path := os.environ.get("PYTHONPATH"):
        env["PYTHONPATH"] = os.pathsep.join(str(Path(p).resolve()) for p in path.split(os.pathsep))
    return env | extra


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def load_average() -> str:
    """The first three numbers of /proc/loadavg."""
    return " ".join(Path("/proc/loadavg").read_text().split()[:3])
