"""A real Redis of a test's own: in memory, on loopback, gone with the test."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Self

import pytest
from ports import free_port

TLS = Path(__file__).parent / "tls"
CA = TLS / "server.pem"
_SECONDS, _POLL_SECONDS = 30.0, 0.02


_TLS = ["--tls-cert-file", f"{CA}", "--tls-key-file", f"{TLS / 'server.key'}"]
_TLS += ["--tls-ca-cert-file", f"{CA}", "--tls-auth-clients", "no"]


class RedisProcess:
    """`with RedisProcess() as server`: started; may be killed, started again, or stopped.

    `tls`: on a port of its own. `config`: a file to start with, which Sentinel writes to.
    """

    def __init__(self, *options: str, tls: bool = False, config: Path | None = None) -> None:
        self._binary = shutil.which("redis-server")
        if self._binary is None:
            pytest.skip("redis-server is needed")
        self.port, self.tls_port = free_port(), free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.tls_url = f"rediss://localhost:{self.tls_port}/0"
        self._options = [str(config)] if config else []
        self._options += ["--port", str(self.port), "--bind", "127.0.0.1"]
        if config is None:
            self._options += ["--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0"]
        if tls:
            self._options += [*_TLS, "--tls-port", str(self.tls_port)]
        self._options += options
        self._folder = tempfile.TemporaryDirectory(prefix="redis-")  # what a replica writes
        self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self.kill()
        self._folder.cleanup()

    def start(self) -> None:
        """Returns when it answers."""
        command = [self._binary, *self._options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=self._folder.name)
        self.wait_until("PING", b"+PONG")

    def kill(self) -> None:
        """kill -9: no goodbye to its clients."""
        self._process.kill()
        self._process.wait()

    def hang(self) -> None:
        """Connections stay, nothing answers."""
        self._process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        """Goes on with what has come in meanwhile."""
        self._process.send_signal(signal.SIGCONT)

    def tell(self, *words: str) -> bytes:
        """Sends one command by hand; the first line of the answer."""
        return self.tell_all(*words).split(b"\r\n")[0]

    def tell_all(self, *words: str) -> bytes:
        """Sends one command by hand; the answer, up to 64 KiB that come at once."""
        parts = [b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words]
        with closing(socket.create_connection(("127.0.0.1", self.port), timeout=10)) as connection:
            connection.sendall(b"*%d\r\n" % len(parts) + b"".join(parts))
            return connection.recv(65_536)

    def wait_until(self, command: str, told: bytes) -> None:
        """Returns when the answer to the command has `told` in it."""
        deadline, answer = time.monotonic() + _SECONDS, b"nothing"
        while time.monotonic() < deadline:
            with suppress(OSError):
                if told in (answer := self.tell_all(*command.split())):
                    return
            if self._process.poll() is not None:
                break
            time.sleep(_POLL_SECONDS)
        pytest.fail(f"redis-server never told {told!r} of {command}, but {answer!r}")
