"""The gateways that are compared: ours, LiteLLM's proxy, and nginx as the ceiling.

Each is a process on a port of 127.0.0.1 in front of the same fake upstream, one worker each. Ours
runs with everything on. LiteLLM runs from a venv of its own with a master key, without a database,
logging errors only, and with its documented switches against fetching anything from outside.
nginx translates nothing and keeps its upstream connections alive: what proxying bytes costs in C.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from . import work
from .processes import child, environment, free_port
from .proxy import Proxy, messages_target, wait_for_200
from .upstream import Upstream
from .wrk import Target

_CACHE: Final = Path(__file__).resolve().parent.parent / ".bench"
_MASTER_KEY: Final = "sk-bench-4f0c9d"  # LiteLLM refuses to start with sk-1234
_PIP_SECONDS: Final = 1200
_QUIET: Final = {
    "DISABLE_ADMIN_UI": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_LOCAL_AUTOROUTER_PRESETS": "True",
    "LITELLM_LOCAL_BLOG_POSTS": "True",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_POLICY_TEMPLATES": "True",
    "LITELLM_LOG": "ERROR",
    "LITELLM_TELEMETRY": "False",
    "OTEL_SDK_DISABLED": "true",
}


class UnavailableSubjectError(Exception):
    """The subject cannot run here; the message says why."""


class Subject(Protocol):
    """Something that stands between a client and the fake upstream."""

    name: str
    slow_start: bool  # takes many seconds: start it less often

    @abstractmethod
    def running(self) -> contextlib.AbstractContextManager[int]:
        """Spawns it; gives its process id at once. Raises `UnavailableSubjectError`."""

    @abstractmethod
    def target(self, *, stream: bool) -> Target:
        """The measured request in its language."""


class Ours:
    """This proxy, one worker."""

    name = "this proxy"
    slow_start = False

    def __init__(self, directory: Path, upstream: Upstream) -> None:
        self._proxy = Proxy(directory, upstream.port)

    @contextlib.contextmanager
    def running(self) -> Iterator[int]:
        """See `Subject`."""
        with self._proxy.running(1):
            yield self._proxy.pid

    def target(self, *, stream: bool) -> Target:
        """See `Subject`."""
        return self._proxy.target(stream=stream)


class LiteLLM:
    """LiteLLM's proxy, one worker, its `bedrock/invoke` route."""

    name = "LiteLLM"
    slow_start = True

    def __init__(self, directory: Path, upstream: Upstream) -> None:
        self._directory = directory
        self._program = _litellm_program()
        self._port = free_port()
        self._config = directory / "litellm.yaml"
        self._config.write_text(
            f"""\
model_list:
  - model_name: {work.MODEL}
    litellm_params:
      model: bedrock/invoke/{work.BEDROCK_MODEL}
      aws_region_name: us-east-1
      aws_access_key_id: AKIDEXAMPLE
      aws_secret_access_key: bench
      aws_bedrock_runtime_endpoint: http://127.0.0.1:{upstream.port}
general_settings:
  master_key: {_MASTER_KEY}
litellm_settings:
  telemetry: false
"""
        )

    @contextlib.contextmanager
    def running(self) -> Iterator[int]:
        """See `Subject`."""
        command = [str(self._program), "--config", str(self._config)]
        command += ["--host", "127.0.0.1", "--port", str(self._port)]
        env = environment(HOME=str(self._directory), **_QUIET)
        env.pop("PYTHONPATH", None)
        with (
            (self._directory / "litellm.log").open("ab") as log,
            child(command, env=env, cwd=self._directory, stdout=log, stderr=log) as process,
        ):
            yield process.pid

    def target(self, *, stream: bool) -> Target:
        """See `Subject`."""
        return messages_target(self._port, _MASTER_KEY, stream=stream)


def _litellm_program() -> Path:
    """In the cache, installed there on the first run."""
    program = _CACHE / "litellm" / "bin" / "litellm"
    if program.exists():
        return program
    _CACHE.mkdir(exist_ok=True)
    (_CACHE / ".gitignore").write_text("*\n")
    try:
        subprocess.run([sys.executable, "-m", "venv", _CACHE / "litellm"], check=True)
        subprocess.run(
            [_CACHE / "litellm" / "bin" / "pip", "install", "--quiet", "litellm[proxy]"],
            check=True,
            timeout=_PIP_SECONDS,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise UnavailableSubjectError("litellm[proxy] could not be installed") from error
    return program


class Nginx:
    """A bare reverse proxy of Bedrock's own path, one worker."""

    name = "nginx"
    slow_start = False

    def __init__(self, directory: Path, upstream: Upstream) -> None:
        program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
        if program is None:
            raise UnavailableSubjectError("not installed: apt-get install nginx-light")
        self._program = program
        self._directory = directory
        self._port = free_port()
        self._upstream = upstream
        temporary = "".join(
            f"  {kind}_temp_path {directory}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (directory / "nginx.conf").write_text(
            f"""\
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log error;
events {{ worker_connections 4096; }}
http {{
{temporary}  access_log {directory}/access.log combined buffer=32k flush=1s;
  keepalive_requests 100000000;
  upstream bedrock {{ server 127.0.0.1:{upstream.port}; keepalive 1024; }}
  server {{
    listen 127.0.0.1:{self._port} backlog=2048;
    client_body_buffer_size 64k;
    location / {{
      proxy_pass http://bedrock;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
"""
        )

    @contextlib.contextmanager
    def running(self) -> Iterator[int]:
        """See `Subject`."""
        command = [self._program, "-p", str(self._directory), "-c", "nginx.conf"]
        command += ["-e", str(self._directory / "error.log")]
        with child(
            command,
            env=environment(),
            cwd=self._directory,
            stdout=subprocess.DEVNULL,
            stderr=sys.stderr.fileno(),
        ) as process:
            yield process.pid

    def target(self, *, stream: bool) -> Target:
        """See `Subject`."""
        direct = self._upstream.target(stream=stream)
        return Target(port=self._port, path=direct.path, headers=direct.headers, body=direct.body)


SUBJECTS: Final = (Ours, LiteLLM, Nginx)


def prepare(factory: type[Ours | LiteLLM | Nginx], directory: Path, upstream: Upstream) -> Subject:
    """The subject, started once to see that it answers. Raises `UnavailableSubjectError`."""
    directory.mkdir()
    subject: Subject = factory(directory, upstream)
    try:
        with subject.running():
            # The first start compiles; LiteLLM has been seen to take over a minute.
            wait_for_200(subject.target(stream=False), seconds=240)
            _check_stream(subject)
    except TimeoutError as error:
        raise UnavailableSubjectError(str(error)) from error
    return subject


def _check_stream(subject: Subject) -> None:
    """That a stream arrives whole: a load generator would count half a one as well."""
    target = subject.target(stream=True)
    answer = b""
    with socket.create_connection(("127.0.0.1", target.port), timeout=30) as connection:
        connection.sendall(target.wire())
        while not answer.endswith(b"0\r\n\r\n"):
            data = connection.recv(65536)
            if not data:
                break
            answer += data
    deltas = answer.count(b"event: content_block_delta") or answer.count(b":message-type")
    if not answer.startswith(b"HTTP/1.1 200") or b"0\r\n\r\n" not in answer or not deltas:
        raise UnavailableSubjectError("its stream did not arrive whole")
