"""Real processes for the tests from outside: the simulator, and the proxy in front of it.

Everything a process writes goes to files in its folder, so it can be read afterwards and never
fills a pipe. PROXY_PYTHON names the interpreter that has the proxy's dependencies when the tests
themselves run under another one.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from anthropic_bedrock_proxy.sim.client import SimClient

ROOT = Path(__file__).parents[2]
PYTHON = os.environ.get("PROXY_PYTHON", sys.executable)
AWS_KEY_ID, AWS_SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
MASTER_KEY = "master-key-of-the-tests"
_URL = re.compile(r"https?://[\w.\[\]:]+:\d+")
_STARTUP_SECONDS = 20.0
_POLL_SECONDS = 0.02

T = TypeVar("T")


def wait_for(probe: Callable[[], T | None], what: str, seconds: float = 10.0) -> T:
    """The first true answer of `probe`; fails the test when the time is over."""
    deadline = time.monotonic() + seconds
    while not (answer := probe()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(_POLL_SECONDS)
    return answer


def clean_environment(folder: Path, **extra: str) -> dict[str, str]:
    """The least a child process needs; nothing of the developer's own AWS or proxy settings."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT / "src"),
        **extra,
    }
    if measured := os.environ.get("COVERAGE_PROCESS_START"):
        environment["COVERAGE_PROCESS_START"] = str((ROOT / measured).resolve())
        environment["COVERAGE_FILE"] = str(ROOT / ".coverage")
    return environment


class RunningServer:
    """A command of ours that announced its address; leaving the block ends it."""

    def __init__(self, folder: Path, arguments: list[str], environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self._stdout, self._stderr = folder / "stdout.txt", folder / "stderr.txt"
        with self._stdout.open("ab") as stdout, self._stderr.open("ab") as stderr:
            self._began = stdout.tell()  # an earlier life in this folder announced itself too
            self.process = subprocess.Popen(
                [PYTHON, "-m", "anthropic_bedrock_proxy", *arguments],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
            )
        try:
            self.url = wait_for(self._announced, f"{arguments[0]} is up", _STARTUP_SECONDS)
        except BaseException:
            self.stop()
            raise

    def _announced(self) -> str | None:
        if self.process.poll() is not None:
            raise AssertionError(f"ended with {self.process.returncode}:\n{self.logged()}")
        match = _URL.search(self._stdout.read_text()[self._began :])
        return match[0] if match else None

    def logged(self) -> str:
        """What it wrote to stderr so far."""
        return self._stderr.read_text()

    def stop(self, seconds: float = 15.0) -> int:
        """Asks it to end, kills it if it does not; returns the exit status."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class RunningSimulator(RunningServer):
    """`bedrock-sim` that verifies signatures."""

    def __init__(self, folder: Path) -> None:
        keys = ["--access-key-id", AWS_KEY_ID, "--secret-access-key", AWS_SECRET]
        arguments = ["bedrock-sim", "--port", "0", *keys]
        super().__init__(folder, arguments, clean_environment(folder))
        self.control = SimClient(self.url)


def proxy_environment(
    folder: Path, upstream: str, settings: dict[str, str | None]
) -> dict[str, str]:
    """What a proxy is started with, and the commands beside it; None: without that."""
    defaults = {
        "BEDROCK_ENDPOINT_URL": upstream,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": AWS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": AWS_SECRET,
        "MASTER_API_KEY": MASTER_KEY,
        "STORE_URL": f"sqlite:///{folder}/proxy.db",
        "RATE_LIMIT_REQUESTS": "1000000000",  # tests that want a limit say so
    }
    given = {name: value for name, value in (defaults | settings).items() if value is not None}
    return clean_environment(folder, **given)


def command(folder: Path, environment: dict[str, str], *arguments: str) -> Any:
    """The JSON document of one of our commands."""
    done = subprocess.run(
        [PYTHON, "-m", "anthropic_bedrock_proxy", *arguments, "--json"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class RunningProxy(RunningServer):
    """`serve` on a simulator, with an API key of its own."""

    def __init__(
        self,
        folder: Path,
        upstream: str,
        settings: dict[str, str],
        *,
        make_key: bool = True,
        port: int = 0,
    ) -> None:
        self.folder = folder
        self.environment = proxy_environment(folder, upstream, settings)
        self.store_url = self.environment["STORE_URL"]
        self.key_id, self.key = self.create_key("tests") if make_key else ("", "")
        arguments = ["serve", "--host", "127.0.0.1", "--port", str(port)]
        super().__init__(folder, arguments, self.environment)

    def create_key(self, name: str, *options: str) -> tuple[str, str]:
        """Id and secret of a new key."""
        created = self.command("keys", "create", "--name", name, *options)
        return created["id"], created["key"]

    def command(self, *arguments: str) -> Any:
        """The JSON document of one of our commands, run on this proxy's store."""
        return command(self.folder, self.environment, *arguments)


def start_proxy(
    folder: Path,
    simulator: RunningSimulator | str,
    *,
    make_key: bool = True,
    port: int = 0,
    **settings: str,
) -> RunningProxy:
    """A proxy whose data is in `folder`. The caller stops it, best with `with`.

    `simulator` may be any address; `settings` are environment variables of the proxy. `make_key`
    needs a store that answers.
    """
    upstream = simulator if isinstance(simulator, str) else simulator.url
    folder.mkdir(parents=True, exist_ok=True)
    return RunningProxy(folder, upstream, settings, make_key=make_key, port=port)
