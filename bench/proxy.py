"""The real proxy as a child process, with everything on, in a directory of its own.

Started as an operator would: `python -m anthropic_bedrock_proxy serve`, the key made by the
command line, SQLite, the usage journal, and the access log going to a file. Settings are left at
their defaults but for the addresses, so a number here is a number of the product.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from . import work
from .processes import child, cpu_seconds, environment, free_port, pss_mb
from .wrk import Target

_START_SECONDS: Final = 20.0
_MASTER_KEY: Final = "sk-master-of-the-bench"
# A limit of each kind and a budget, all out of reach: everything is counted, nothing refused.
_ALLOWANCE: Final = (
    *("--rate-limit", "100000000"),
    *("--tpm-limit", "100000000000"),
    *("--monthly-budget", "1000000"),
)


class _Key(msgspec.Struct):
    key: str


class UsageSum(msgspec.Struct):
    """What the store says was used."""

    requests: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


class _Usage(msgspec.Struct):
    total: UsageSum


class Proxy:
    """A directory with a store and a key, and the process that serves from it."""

    def __init__(
        self,
        directory: Path,
        upstream_port: int,
        *,
        command: Sequence[str] = (sys.executable, "-m", "anthropic_bedrock_proxy"),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """`command` is that of the installation that is measured.

        `environ` are settings other than those of the bench.
        """
        self._directory = directory
        self._command = command
        self.port = free_port()
        settings = {
            "HOME": str(directory),
            "BEDROCK_ENDPOINT_URL": f"http://127.0.0.1:{upstream_port}",
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "bench",  # the fake checks no signature
            "STORE_URL": f"sqlite:///{directory}/proxy.db",
            "MASTER_API_KEY": _MASTER_KEY,
        }
        self._env = environment(**settings | dict(environ or {}))
        made = self._run("keys", "create", "--name", "bench", *_ALLOWANCE, "--json")
        self.secret = msgspec.json.decode(made, type=_Key).key
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """What the proxy writes to stderr: the access log and the events."""
        return self._directory / "stderr.log"

    @property
    def database(self) -> Path:
        """The file of its store."""
        return self._directory / "proxy.db"

    @property
    def pid(self) -> int:
        """The parent of all its processes."""
        if self._process is None:
            raise RuntimeError("the proxy is not running")
        return self._process.pid

    @contextlib.contextmanager
    def running(self, workers: int) -> Iterator[None]:
        """Spawns it; returns at once."""
        with self.log.open("ab") as log:
            command = [*self._command, "serve", "--port", str(self.port), "--workers", str(workers)]
            with child(
                command, env=self._env, cwd=self._directory, stdout=subprocess.DEVNULL, stderr=log
            ) as process:
                self._process = process
                try:
                    yield
                finally:
                    self._process = None

    def target(self, *, stream: bool = False) -> Target:
        """The request that is measured: of a key with limits and a budget."""
        return messages_target(self.port, self.secret, stream=stream)

    def unlimited_target(self) -> Target:
        """The same of the master key, which has neither."""
        return messages_target(self.port, _MASTER_KEY, stream=False)

    def cpu(self) -> float:
        """CPU seconds of all its processes so far."""
        return cpu_seconds(self.pid)

    def pss_mb(self) -> float:
        """Memory of all its processes."""
        return pss_mb(self.pid)

    def usage(self) -> UsageSum:
        """What the store holds, asked as an operator would."""
        return msgspec.json.decode(self._run("usage", "--json"), type=_Usage).total

    def access_lines(self) -> int:
        """Lines of the access log about requests for messages."""
        with self.log.open("rb") as log:
            return sum(b'"access":"POST /v1/messages"' in line for line in log)

    def _run(self, *arguments: str) -> bytes:
        ran = subprocess.run(
            [*self._command, *arguments],
            env=self._env,
            cwd=self._directory,
            check=True,
            capture_output=True,
            timeout=60,
        )
        return ran.stdout


def messages_target(port: int, secret: str, *, stream: bool, model: str = work.MODEL) -> Target:
    """POST /v1/messages as an Anthropic SDK sends it."""
    return Target(
        port=port,
        path="/v1/messages",
        headers={
            "accept": "application/json",
            "anthropic-version": "2023-06-01",
            "authorization": f"Bearer {secret}",
            "content-type": "application/json",
            "user-agent": "Anthropic/Python 2.12.0",
        },
        body=work.request_body(stream=stream, model=model),
    )


def health_target(port: int) -> Target:
    """GET would do; wait_for_200 sends what the path needs."""
    return Target(port=port, path="/health", headers={}, body=b"")


def wait_for_200(target: Target, *, seconds: float = _START_SECONDS) -> None:
    """Until the subject answers the request with 200. Raises `TimeoutError`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if _ask(target) == http.HTTPStatus.OK:
                return
        time.sleep(0.001)
    raise TimeoutError(f"no 200 from port {target.port} within {seconds:g} s")


def _ask(target: Target) -> int:
    """The status of one answer, over a connection of its own."""
    with socket.create_connection(("127.0.0.1", target.port), timeout=_START_SECONDS) as connection:
        if target.body:
            connection.sendall(target.wire())
        else:
            connection.sendall(f"GET {target.path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode())
        answer = connection.recv(65536)
    return int(answer.split(b" ", 2)[1]) if answer.count(b" ") > 1 else 0
