"""Real sandboxes for tests: both isolations, and a loop inside that runs what it is sent."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from anthropic_bedrock_proxy.sandbox.isolation.base import IsolationError, RunnerLimits
from anthropic_bedrock_proxy.sandbox.isolation.docker.config import LABEL_EXECUTOR
from anthropic_bedrock_proxy.sandbox.isolation.select import IsolationOptions, make_isolation

KINDS = ("docker", "sandlock")
MEGABYTE = 1024 * 1024
BUILD = Path(__file__).parents[2] / "deploy" / "docker" / "sandbox" / "build.sh"
SECONDS = 30.0  # for whatever one sandbox is asked to do
# Reads JSON strings, runs them as Python, and answers with what they printed, or their error.
LOOP = """
import contextlib, io, json, sys
names = {}
sys.stdout.write("ready\\n")
sys.stdout.flush()
for line in sys.stdin:
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(json.loads(line), names)
    except BaseException as error:
        printed.write(f"{type(error).__name__}: {error}")
    sys.stdout.write(json.dumps(printed.getvalue()) + "\\n")
    sys.stdout.flush()
"""
COMMAND = ("python3", "-I", "-u", "-c", LOOP)
# Who opens an isolation removes what one of its name has left: tests run in several processes.
MINE = f"tests-{os.getpid()}"


class EndedError(Exception):
    """The sandbox has ended instead of answering."""


class Inside:
    """A sandbox with the loop in it."""

    def __init__(self, runner):
        self.runner = runner
        self._buffer = b""

    async def line(self):
        while b"\n" not in self._buffer:
            data = await self.runner.read()
            if not data:
                raise EndedError(await self.runner.why_ended())
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    async def ask(self, code):
        """What the code printed, and its error if it raised one."""
        async with asyncio.timeout(SECONDS):
            try:
                await self.runner.write(json.dumps(code).encode() + b"\n")
            except IsolationError:
                raise EndedError(await self.runner.why_ended()) from None
            return json.loads(await self.line())


@functools.cache
def docker_image():
    """The registry-free image, made once for each content of its script."""
    docker = shutil.which("docker")
    if (
        docker is None
        or subprocess.run([docker, "info"], capture_output=True, check=False).returncode
    ):
        pytest.skip("a Docker daemon is needed")
    tag = f"sandbox-tests:{hashlib.sha256(BUILD.read_bytes()).hexdigest()[:16]}"
    if subprocess.run([docker, "inspect", tag], capture_output=True, check=False).returncode:
        command = [BUILD, "--registry-free", "--tag", tag]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode:
            pytest.skip(f"the sandbox image cannot be made: {made.stderr[-500:]}")
    return tag


@functools.cache
def need_sandlock():
    """Skips where sandlock keeps no walls on this machine, with its reason."""

    async def main():
        async with opened("sandlock", name="probe"):
            pass

    asyncio.run(main())


def options(kind, *, name=MINE, command=COMMAND, **others):
    """Options of real walls of this kind; other names are those of limits."""
    known = {field for field in IsolationOptions.__struct_fields__ if field in others}
    chosen = {field: others.pop(field) for field in known}
    if kind == "docker":
        chosen.setdefault("image", docker_image())
    return IsolationOptions(
        kind=kind, name=name, command=command, limits=RunnerLimits(**others), **chosen
    )


@contextlib.asynccontextmanager
async def opened(kind, **others):
    """An isolation that can start runners, until the end; skips where this machine has none."""
    isolation = make_isolation(options(kind, **others))
    await isolation.open()
    try:
        state = await isolation.state()
        if state.status != "ready":
            pytest.skip(f"{kind} is needed: {state.reason}")
        yield isolation
    finally:
        await isolation.close()


@contextlib.asynccontextmanager
async def sandboxes(kind, count=1, **others):
    """So many ready sandboxes behind the same walls."""
    async with opened(kind, **others) as isolation:
        made = [await begin(isolation) for _ in range(count)]
        yield made


async def begin(isolation):
    """A ready sandbox."""
    inside = Inside(await isolation.start())
    async with asyncio.timeout(SECONDS):
        assert await inside.line() == b"ready"
    return inside


def attempt(kind, code, **others):
    """What one sandbox of its own answers to the code."""

    async def main():
        async with sandboxes(kind, **others) as (inside,):
            return await inside.ask(code)

    return asyncio.run(main())


def containers(name, status=None):
    """Ids of the containers of an executor of this name: in this state, or in any."""
    command = ["docker", "ps", "-aq", "--no-trunc", "--filter", f"label={LABEL_EXECUTOR}={name}"]
    if status is not None:
        command += ["--filter", f"status={status}"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def launchers():
    """Process ids of sandlock's launchers on this machine."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if b"sandlock/launcher.py" in path.read_bytes():
                found.add(int(path.parent.name))
    return found
