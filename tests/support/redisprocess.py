"""A real Redis of a test's own: in memory, on loopback, gone with the test."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from contextlib import closing
from typing import Self

import pytest


class RedisProcess:
    """`with RedisProcess() as server`: started; may be killed, started again, or stopped."""

    def __init__(self) -> None:
        self._binary = shutil.which("redis-server")
        if self._binary is None:
            pytest.skip("redis-server is needed")
        with closing(socket.create_server(("127.0.0.1", 0))) as probe:
            self.port = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self.kill()

    def start(self) -> None:
        """Returns when it answers."""
        command = [self._binary, "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for line in self._process.stdout:
            if "Ready to accept connections" in line:
                return
        pytest.fail("redis-server ended before it was ready")

    def kill(self) -> None:
        """kill -9: no goodbye to its clients."""
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def hang(self) -> None:
        """Connections stay, nothing answers."""
        self._process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        """Goes on with what has come in meanwhile."""
        self._process.send_signal(signal.SIGCONT)

    def tell(self, *words: str) -> bytes:
        """Sends one command by hand; the first line of the answer."""
        parts = [b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words]
        with closing(socket.create_connection(("127.0.0.1", self.port), timeout=10)) as connection:
            connection.sendall(b"*%d\r\n" % len(parts) + b"".join(parts))
            with connection.makefile("rb") as answer:
                return answer.readline().strip()
