"""The images, built without a registry: small, locked down, and complete."""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import time
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from uuid import uuid4

import pytest
from walls import need_sandlock

SYSTEM_CALLS = Path(__file__).parents[2] / "docs" / "how-to" / "executor-seccomp.json"
LOCKED = (
    *("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
    *("--tmpfs", "/tmp", "--tmpfs", "/data:uid=65532,gid=65532", "--pids-limit", "64"),
)
MEGABYTE = 1_000_000
VARIANTS = ("minimal", "ptc", "alpine")
QUESTION = {
    "model": "claude-haiku-4-5",
    "max_tokens": 64,
    "messages": [{"role": "user", "content": "Hello"}],
}


class Running:
    """A container that is removed at the end."""

    def __init__(self, docker, image, *words, options=()):
        self.docker = docker
        self.name = f"image-tests-{uuid4().hex[:12]}"
        command = [docker, "run", "-d", "--name", self.name, *LOCKED, *options, image, *words]
        subprocess.run(command, capture_output=True, check=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run([self.docker, "rm", "-f", self.name], capture_output=True, check=False)

    @property
    def address(self):
        return self("inspect", "-f", "{{.NetworkSettings.IPAddress}}")

    def __call__(self, command, *words):
        done = subprocess.run(
            [self.docker, command, *words, self.name], capture_output=True, text=True, check=True
        )
        return (done.stdout + done.stderr).strip()

    def until(self, is_so):
        end = time.monotonic() + 30
        while not is_so():
            assert time.monotonic() < end, self("logs")
            time.sleep(0.05)

    def until_listening(self):
        def listens():
            with socket.socket() as probe:
                return probe.connect_ex((self.address, 8000)) == 0

        self.until(listens)


def run(docker, image, *words, options=()):
    command = [docker, "run", "--rm", "--network", "none", *LOCKED, *options, image, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def proxy(docker, image):
    options = ("-e", "MASTER_API_KEY=sk-of-this-test-alone")
    return Running(docker, image, "serve", "--demo", options=options)


def ask(connection, **more):
    headers = {"x-api-key": "sk-of-this-test-alone", "content-type": "application/json"}
    connection.request("POST", "/v1/messages", json.dumps(QUESTION | more), headers)
    return connection.getresponse()


def test_it_answers_locked_down(docker, images):
    with proxy(docker, images["minimal"]) as container:
        container.until_listening()
        with closing(HTTPConnection(container.address, 8000, timeout=10)) as connection:
            answer = ask(connection)
            assert answer.status == 200
            assert json.loads(answer.read())["type"] == "message"


def test_the_check_of_health_turns_healthy(docker, images):
    options = ("-e", "MASTER_API_KEY=k", "--health-interval", "1s")
    with Running(docker, images["alpine"], "serve", "--demo", options=options) as container:
        container.until(lambda: container("inspect", "-f", "{{.State.Health.Status}}") == "healthy")


def test_sigterm_lets_a_live_stream_end(docker, images):
    with proxy(docker, images["minimal"]) as container:
        container.until_listening()
        with closing(HTTPConnection(container.address, 8000, timeout=10)) as connection:
            answer = ask(connection, stream=True)
            assert answer.read(1) == b"e"  # it has begun
            container("stop", "-t", "20")
            assert b"event: message_stop" in answer.read()
        assert container("inspect", "-f", "{{.State.ExitCode}}") == "0"


@pytest.mark.parametrize("variant", VARIANTS)
def test_its_user_has_no_rights_and_it_is_labelled(docker, images, variant):
    found = json.loads(subprocess.check_output([docker, "inspect", images[variant]]))[0]["Config"]
    assert found["User"] == "65532:65532"
    assert found["Labels"]["org.opencontainers.image.version"]
    assert found["Labels"]["org.opencontainers.image.licenses"]
    assert not [one for one in found["Env"] if "KEY" in one or "TOKEN" in one]


@pytest.mark.parametrize("variant", ["minimal", "ptc"])
def test_there_is_no_shell_and_nothing_to_install_with(files, variant):
    names = contents(files, variant)
    programs = [
        name for name in names if name.startswith(("/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/"))
    ]
    assert programs == ["/usr/bin/anthropic-bedrock-proxy"]
    assert not [name for name in names if "/pip/" in name or name.endswith((".py", ".a", ".h"))]


def contents(files, variant):
    """The paths of the files of an image."""
    _, members = files(variant)
    kept = [path for path, member in members.items() if not member.isdir()]
    return [path for path in kept if not path.startswith(("/dev/", "/.dockerenv"))]


@pytest.mark.parametrize(("variant", "most"), [("minimal", 22), ("ptc", 24)])
def test_it_is_small(docker, images, variant, most):
    saved = subprocess.check_output([docker, "save", images[variant]])
    size = len(gzip.compress(saved, 6))
    assert size < most * MEGABYTE


@pytest.mark.parametrize("variant", ["minimal", "ptc"])
def test_every_licence_is_kept(files, variant):
    names = contents(files, variant)
    packages = {name.split("/")[-2] for name in names if name.endswith(".dist-info/METADATA")}
    licensed = {name.split("/")[4] for name in names if name.startswith("/usr/share/licenses/")}
    without = {name.removesuffix(".dist-info") for name in packages} - licensed
    assert {name.partition("-")[0] for name in without} <= {"sandlock"}  # its METADATA names it


MODULES = """
import pkgutil, importlib, sys
import anthropic_bedrock_proxy as package
missing = {}
for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    if found.name.endswith("__main__") or ".sandbox.runner" in found.name:
        continue
    try:
        importlib.import_module(found.name)
    except ModuleNotFoundError as error:
        missing[error.name.partition(".")[0]] = found.name
print(*sorted(missing))
"""
# What lies in no image of the kind, by the modules that want it when they are imported.
EXTRAS = {
    "minimal": "aiohttp opentelemetry rich",
    "ptc": "opentelemetry redis rich",
    "alpine": "aiohttp",
}
# What is imported late, when somebody needs it: what the image leaves out must not be among it.
LATE = """
import ctypes, ssl, importlib.util, botocore.session
from botocore.httpsession import get_cert_path
session = botocore.session.Session()
for name in ("sts", "sso", "sso-oidc", "signin"):
    session.create_client(
        name, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
assert ssl.create_default_context(cafile=get_cert_path(True)).cert_store_stats()["x509_ca"] > 50
assert ssl.create_default_context().cert_store_stats()["x509_ca"] > 50
ctypes.CDLL("libgcc_s.so.1")  # glibc aborts without it where a thread ends by pthread_exit
if importlib.util.find_spec("redis"):
    import redis.asyncio.cluster, redis.asyncio.sentinel
    redis.asyncio.Redis(), redis.asyncio.cluster.RedisCluster(host="h")
if importlib.util.find_spec("trafilatura"):
    from anthropic_bedrock_proxy.fetch.reading.markup import read_html
    from anthropic_bedrock_proxy.tools.web.seal import Seals
    assert read_html("<title>A</title><p>B", "https://a.example/") == ("A", "B")
    assert Seals([bytes(32)], lambda: 0.0, 1).seal("t", b"p", b"x")
    print("pages and seals")
"""


def python_in(variant):
    return ("--entrypoint", "python3" if variant == "alpine" else "/usr/python/bin/python3")


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_module_finds_what_it_imports(docker, images, variant):
    done = run(docker, images[variant], "-c", MODULES, options=python_in(variant))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == EXTRAS[variant]
    late = run(docker, images[variant], "-c", LATE, options=python_in(variant))
    assert late.returncode == 0, late.stderr
    assert ("pages and seals" in late.stdout) is (variant == "alpine")


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_command_is_there(docker, images, variant):
    assert run(docker, images[variant], "--version").stdout.startswith("anthropic-bedrock-proxy")
    assert "Create, list and change API keys" in run(docker, images[variant], "--help").stdout
    assert "--name" in run(docker, images[variant], "keys", "create", "--help").stdout


def test_sandlocks_walls_are_whole_in_the_executors_image(docker, images):
    need_sandlock()
    options = (
        *("--security-opt", f"seccomp={SYSTEM_CALLS}"),
        *("--security-opt", "systempaths=unconfined"),
    )
    words = ("sandbox", "check", "--isolation", "sandlock")
    done = run(docker, images["ptc"], *words, options=options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "walls: whole" in done.stdout


def test_the_executor_wants_a_token(docker, images):
    done = run(docker, images["ptc"], "sandboxd", "--listen", "http://0.0.0.0:8001")
    assert done.returncode != 0
    assert "SANDBOX_TOKEN" in done.stderr
