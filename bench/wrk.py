"""Closed loops by wrk: as many requests as the subject takes, from a fixed number of connections.

wrk measures each latency from when it sent the request, so a stalled subject delays the next
request too and hides its own worst: for latencies at a given rate see `open_loop`.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

_HOW_TO_INSTALL: Final = "wrk is needed and was not found: apt-get install wrk"
_GRACE_SECONDS: Final = 30.0
# wrk counts an answer as an error of status from 400 on.
_DONE: Final = """
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '{"requests":%d,"micros":%d,"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d,' ..
    '"p50":%d,"p99":%d}\\n',
    summary.requests, summary.duration, e.connect, e.read, e.write, e.status, e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""


class _Summary(msgspec.Struct):
    requests: int
    micros: int
    connect: int
    read: int
    write: int
    status: int
    timeout: int
    p50: int
    p99: int


class ClosedLoop(msgspec.Struct, frozen=True):
    """What wrk saw. Latencies in milliseconds."""

    requests: int
    rps: float
    p50_ms: float
    p99_ms: float
    errors: int  # answers that were not a success, and connections that failed


class MissingWrkError(Exception):
    """There is no wrk on this machine; the message says how to get it."""


class Target(msgspec.Struct, frozen=True):
    """One request to be sent again and again."""

    port: int
    path: str
    headers: Mapping[str, str]
    body: bytes

    def wire(self) -> bytes:
        """The request as bytes, for the generators that write to sockets themselves."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        head = (
            f"POST {self.path} HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\n{lines}"
            f"content-length: {len(self.body)}\r\n\r\n"
        )
        return head.encode() + self.body


def check_installed() -> None:
    """Raises `MissingWrkError`."""
    if shutil.which("wrk") is None:
        raise MissingWrkError(_HOW_TO_INSTALL)


def closed_loop(target: Target, *, connections: int, seconds: int) -> ClosedLoop:
    """Runs wrk with one thread. Raises `subprocess.SubprocessError`."""
    with tempfile.TemporaryDirectory(prefix="bench-wrk-") as directory:
        body, script = Path(directory, "body"), Path(directory, "post.lua")
        body.write_bytes(target.body)
        headers = "".join(
            f'wrk.headers["{name}"] = "{value}"\n' for name, value in target.headers.items()
        )
        script.write_text(
            f'wrk.method = "POST"\nwrk.body = io.open("{body}", "rb"):read("*a")\n{headers}{_DONE}'
        )
        ran = subprocess.run(
            [
                *("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s"),
                *("-s", str(script), f"http://127.0.0.1:{target.port}{target.path}"),
            ],
            check=True,
            capture_output=True,
            timeout=seconds + _GRACE_SECONDS,
        )
    line = ran.stdout.splitlines()[-1]
    seen = msgspec.json.decode(line, type=_Summary)
    return ClosedLoop(
        requests=seen.requests,
        rps=seen.requests / (seen.micros / 1e6),
        p50_ms=seen.p50 / 1000,
        p99_ms=seen.p99 / 1000,
        errors=seen.connect + seen.read + seen.write + seen.status + seen.timeout,
    )
