"""The fake upstream as a child process, and the two questions that the harness asks it."""

from __future__ import annotations

import contextlib
import http.client
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from . import work
from .fake_upstream import Control
from .processes import child, environment
from .wrk import Target

_ROOT = Path(__file__).resolve().parent.parent


class Upstream:
    """A running fake of bedrock-runtime."""

    def __init__(self, port: int) -> None:
        self.port = port

    def asked(self) -> Control:
        """What was asked of it so far."""
        return self._control("GET", None)

    def deliver(self, *, deltas: int, interval_ms: float) -> None:
        """How streams are delivered from now on."""
        self._control("POST", {"deltas": deltas, "interval_ms": interval_ms})

    def target(self, *, stream: bool = False) -> Target:
        """The measured request as Bedrock takes it, without a gateway."""
        operation = "invoke-with-response-stream" if stream else "invoke"
        return Target(
            port=self.port,
            path=f"/model/{work.BEDROCK_MODEL}/{operation}",
            headers={"content-type": "application/json"},
            body=work.invoke_body(),
        )

    def _control(self, method: str, body: object) -> Control:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(
                method, "/control", None if body is None else msgspec.json.encode(body)
            )
            return msgspec.json.decode(connection.getresponse().read(), type=Control)
        finally:
            connection.close()


@contextlib.contextmanager
def running(cpu: int | None = None, module: str = "bench.fake_upstream") -> Iterator[Upstream]:
    """Starts the fake, on one core if asked. `module` may be another one that tells its port."""
    command = [sys.executable, "-m", module]
    if cpu is not None:
        command += ["--cpu", str(cpu)]
    with child(
        command, env=environment(), cwd=_ROOT, stdout=subprocess.PIPE, stderr=sys.stderr.fileno()
    ) as process:
        if process.stdout is None:
            raise RuntimeError("the fake upstream has no stdout")
        yield Upstream(int(process.stdout.readline()))
