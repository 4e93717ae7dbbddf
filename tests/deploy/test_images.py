"""The images, built without a registry: small, locked down, and complete."""

from __future__ import annotations

import gzip
import hashlib
import json
import socket
import subprocess
import time
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from uuid import uuid4

import pytest
from programs import program

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "build-images.sh"
INPUTS = (
    *(ROOT / "src").rglob("*.py"),
    *(ROOT / "deploy" / "docker").glob("*"),
    *(ROOT / "requirements").glob("*.txt"),
    SCRIPT,
)
LOCKED = (
    *("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
    *("--tmpfs", "/tmp", "--tmpfs", "/data:uid=65532,gid=65532", "--pids-limit", "64"),
)
MEGABYTE = 1_000_000
VARIANTS = ("minimal", "ptc")  # `full` takes minutes: it is the release that builds it
QUESTION = {
    "model": "claude-haiku-4-5",
    "max_tokens": 64,
    "messages": [{"role": "user", "content": "Hello"}],
}


@pytest.fixture(scope="session")
def docker():
    found = program("docker")
    if subprocess.run([found, "info"], capture_output=True, check=False).returncode:
        pytest.skip("a Docker daemon is needed")
    return found


@pytest.fixture(scope="session")
def images(docker):
    """The tags by variant; built once for each content of what goes into them."""
    digest = hashlib.sha256()
    for path in sorted(path for path in INPUTS if path.is_file()):
        digest.update(path.read_bytes())
    tag = f"image-tests:{digest.hexdigest()[:16]}"
    tags = {name: tag if name == "minimal" else f"{tag}-{name}" for name in VARIANTS}
    there = subprocess.run([docker, "inspect", *tags.values()], capture_output=True, check=False)
    if there.returncode:
        program("apt-get")
        chosen = [word for name in VARIANTS for word in ("--variant", name)]
        command = [SCRIPT, "--registry-free", *chosen, "--tag", tag]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stderr[-2000:]
        assert made.stdout.split() == list(tags.values())
    return tags


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

    def until_listening(self, port=8000):
        end = time.monotonic() + 30
        while True:
            try:
                socket.create_connection((self.address, port), timeout=1).close()
            except OSError:
                assert time.monotonic() < end, self("logs")
                time.sleep(0.05)
            else:
                return


def run(docker, image, *words, entrypoint=()):
    command = [docker, "run", "--rm", "--network", "none", *LOCKED, *entrypoint, image, *words]
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
def test_there_is_no_shell_and_nothing_to_install_with(docker, images, variant):
    names = contents(docker, images[variant])
    programs = [
        name for name in names if name.startswith(("bin/", "sbin/", "usr/bin/", "usr/sbin/"))
    ]
    assert programs == ["usr/bin/anthropic-bedrock-proxy"]
    assert not [name for name in names if "/pip/" in name or name.endswith((".py", ".a", ".h"))]


def contents(docker, image):
    """The files of an image."""
    made = subprocess.check_output([docker, "create", image], text=True).strip()
    try:
        command = f"{docker} export {made} | tar -t"
        listed = subprocess.check_output(["sh", "-c", command], text=True)
    finally:
        subprocess.run([docker, "rm", made], capture_output=True, check=True)
    kept = (name for name in listed.splitlines() if not name.endswith("/"))
    return [name for name in kept if not name.startswith(("dev/", ".dockerenv"))]


@pytest.mark.parametrize(("variant", "most"), [("minimal", 20), ("ptc", 26)])
def test_it_is_small(docker, images, variant, most):
    saved = subprocess.check_output([docker, "save", images[variant]])
    size = len(gzip.compress(saved, 6))
    assert size < most * MEGABYTE


@pytest.mark.parametrize("variant", ["minimal", "ptc"])
def test_every_licence_is_kept(docker, images, variant):
    names = contents(docker, images[variant])
    packages = {name.split("/")[-2] for name in names if name.endswith(".dist-info/METADATA")}
    licensed = {name.split("/")[3] for name in names if name.startswith("usr/share/licenses/")}
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
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_module_finds_what_it_imports(docker, images, variant):
    entrypoint = ("--entrypoint", "/opt/python/bin/python3")
    done = run(docker, images[variant], "-c", MODULES, entrypoint=entrypoint)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == EXTRAS[variant]


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_command_is_there(docker, images, variant):
    assert run(docker, images[variant], "--version").stdout.startswith("anthropic-bedrock-proxy")
    assert "Create, list and change API keys" in run(docker, images[variant], "--help").stdout
    assert "--name" in run(docker, images[variant], "keys", "create", "--help").stdout


def test_the_executor_wants_a_token(docker, images):
    done = run(docker, images["ptc"], "sandboxd", "--listen", "http://0.0.0.0:8001")
    assert done.returncode != 0
    assert "SANDBOX_TOKEN" in done.stderr
