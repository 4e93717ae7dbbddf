"""Looking at a server from outside while others load it: memory, descriptors, /health, the log."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from .processes import tree

_SAMPLE_SECONDS: Final = 0.2
_PROBE_SECONDS: Final = 0.05
_PATIENCE_SECONDS: Final = 10.0
_HEALTH: Final = b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
_PAGE: Final = resource.getpagesize()
_TROUBLE: Final = (b"Traceback", b'"level":"error"', b'"level":"critical"')


def rss_mib(root: int) -> float:
    """Resident memory of all processes under `root`, what they share counted for each."""
    pages = 0
    for pid in tree(root):
        with contextlib.suppress(OSError):
            pages += int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    return pages * _PAGE / (1 << 20)


def memory_mib(pid: int) -> tuple[float, float]:
    """RSS and PSS of one process."""
    kib = {"Rss:": 0, "Pss:": 0}
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines():
            name, _, rest = line.partition(" ")
            if name in kib:
                kib[name] = int(rest.split()[0])
    return kib["Rss:"] / 1024, kib["Pss:"] / 1024


def descriptors(root: int) -> int:
    """Open descriptors of all processes under `root`."""
    count = 0
    for pid in tree(root):
        with contextlib.suppress(OSError):
            count += len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208  # names alone
    return count


class Peak:
    """The most of a process tree's memory and descriptors, looked at five times a second."""

    def __init__(self, root: int) -> None:
        self._root = root
        self.rss_mib = rss_mib(root)
        self.descriptors = descriptors(root)
        self._done = threading.Event()

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Looks on until the block ends."""
        thread = threading.Thread(target=self._watch)
        thread.start()
        try:
            yield
        finally:
            self._done.set()
            thread.join()

    def _watch(self) -> None:
        while not self._done.wait(_SAMPLE_SECONDS):
            self.rss_mib = max(self.rss_mib, rss_mib(self._root))
            self.descriptors = max(self.descriptors, descriptors(self._root))


def probe(port: int, seconds: float) -> list[float]:
    """Asks /health 20 times a second, over a connection each; milliseconds from due to answered.

    One that falls due while another is waited for is answered by the same, and has waited less; a
    probe that fails took `inf`.
    """
    taken: list[float] = []
    began = monotonic()
    due = began
    while due < began + seconds:
        sleep(max(0.0, due - monotonic()))
        ok = _healthy(port)
        now = monotonic()
        while due <= now:
            taken.append((now - due) * 1000 if ok else float("inf"))
            due += _PROBE_SECONDS
    return taken


def _healthy(port: int) -> bool:
    answer = b""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_SECONDS) as client:
            client.sendall(_HEALTH)
            while data := client.recv(4096):
                answer += data
    except OSError:
        return False
    return answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"}")


def percentile(values: list[float], share: float) -> float:
    """The value below which a share of them lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def troubles(log: Path) -> list[str]:
    """Lines of the log that a server has no reason to write, whatever its clients do."""
    with log.open("rb") as lines:
        return [
            line.decode(errors="replace").rstrip()
            for line in lines
            if any(mark in line for mark in _TROUBLE)
        ]
