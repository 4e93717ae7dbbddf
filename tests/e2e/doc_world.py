"""A machine of its own for the commands of a page: a shell, a home, a project's root, a network.

The network is a namespace with nothing but loopback, so the ports that pages name are free and
nothing gets out. A server that a command starts goes on beside the next commands; the next one on
its port takes its place, and `close` ends them all.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

import doc_programs
import pytest
from recipes import CLIENTS, QUIET
from servers import ROOT, clean_environment

_SECONDS = 60.0
_SERVER = re.compile(r"\banthropic-bedrock-proxy (serve|bedrock-sim|sandboxd)\b")
_OTHER_SERVERS = re.compile(
    r"\b(moto\.server|dynalite/cli\.js|http\.server|redis-server|fake_search\.py)\b"
)
_PORT = re.compile(r"(?:--port |http\.server |--listen \S*:)(\d+)")
_PROGRAMS = Path(doc_programs.__file__)
_NOT_IN_ROOT = {"data", "dist", "site"}
_START = """{text} &
server=$!
answers() {{ [ -s $output ] && (: </dev/tcp/127.0.0.1/{port}) 2>/dev/null; }}
until answers; do kill -0 $server || break; sleep 0.02; done
echo $server >~/pid
answers
"""


class DocWorld:
    """`run` runs commands in one shell, one after the other, as somebody types them."""

    def __init__(self, folder: Path, data: Path | None = None) -> None:
        self.home = folder
        self.root = folder / "root"
        self._servers: dict[str, tuple[str, Path]] = {}
        self._count = 0
        self._furnish(data)
        self._shell = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "ip link set lo up && exec bash --norc --noprofile"],
            cwd=self.root,
            env=self._environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _furnish(self, data: Path | None) -> None:
        """The project's root, with links in place of what commands only read."""
        self.root.mkdir()
        if data is not None:
            shutil.copytree(data, self.root, dirs_exist_ok=True)
        for path in ROOT.iterdir():
            if path.name not in _NOT_IN_ROOT and not path.name.startswith("."):
                (self.root / path.name).symlink_to(path)
        (self.root / ".venv").symlink_to(sys.prefix)
        programs = self.home / "bin"
        programs.mkdir()
        for name in doc_programs.NAMES:
            program = programs / name
            program.write_text(f'#!/bin/sh\nexec {sys.executable} {_PROGRAMS} {name} "$@"\n')
            program.chmod(0o755)

    def _environment(self) -> dict[str, str]:
        path = [self.home / "bin", Path(sys.prefix, "bin"), ROOT / ".venv-aws" / "bin"]
        return clean_environment(
            self.home,
            **QUIET,
            PATH=os.pathsep.join([*map(str, path), os.environ["PATH"]]),
            REAL_CLAUDE=str(CLIENTS / "node_modules" / ".bin" / "claude"),
            REAL_DOCKER=shutil.which("docker") or "docker",
            REAL_HELM=str(ROOT / ".venv-deploy" / "bin" / "helm"),
            REAL_MAKE=shutil.which("make") or "make",
            REPOSITORY=str(ROOT),
            STOOD_IN=str(self.home / "stood-in"),
        )

    def run(self, text: str, code: int = 0) -> str:
        """What a command prints, which has to end with `code`; of a server, until it answers."""
        text = text.strip().removesuffix("&")
        server = _SERVER.search(text) or _OTHER_SERVERS.search(text)
        if server is None:
            return self._typed(text, code)
        found = _PORT.search(text)
        port = found[1] if found else "8000"
        self.stop(port)
        output = self._typed(_START.format(text=text, port=port))
        self._servers[port] = ((self.home / "pid").read_text().strip(), self._output)
        return output

    def _typed(self, text: str, code: int = 0) -> str:
        """Has the shell run a command, with its output in a file."""
        self._count += 1
        command = self.home / f"{self._count}.sh"
        self._output = command.with_suffix(".out")
        command.write_text(text)
        line = f'output={self._output}; eval "$(<{command})" </dev/null >$output 2>&1; echo $?\n'
        self._shell.stdin.write(line.encode())
        self._shell.stdin.flush()
        ready, _, _ = select.select([self._shell.stdout], [], [], _SECONDS)
        ended = self._shell.stdout.readline().decode().strip() if ready else "no end"
        output = self._output.read_text()
        assert ended == str(code), f"{text}\nended with {ended}:\n{output}"
        return output

    def stop(self, port: str) -> None:
        """Ends the server on a port, if there is one."""
        if server := self._servers.pop(port, None):
            pid, output = server
            self._typed(f"kill {pid}; wait {pid} || [ $? = 143 ]", 0)
            assert "Traceback" not in output.read_text(), output.read_text()

    @property
    def stood_in(self) -> int:
        """How often a stand-in was used so far."""
        noted = self.home / "stood-in"
        return len(noted.read_text().splitlines()) if noted.exists() else 0

    def close(self) -> None:
        """Ends everything that runs in it."""
        try:
            for port in list(self._servers):
                self.stop(port)
        finally:
            os.killpg(self._shell.pid, signal.SIGKILL)
            self._shell.wait()
            self._shell.stdin.close()
            self._shell.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def need_namespaces() -> None:
    """Skips the test where no network of its own can be made."""
    for name in ("bash", "ip", "unshare"):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is needed")
    if subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode:
        pytest.skip("a network namespace is needed, which only root may make")
