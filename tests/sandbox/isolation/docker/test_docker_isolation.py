"""Docker's isolation and what its daemon may do: be away, hang, refuse, lack the image."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import time

import pytest
from dockerd import PrivateDockerd
from walls import COMMAND, MINE, EndedError, begin, containers, docker_image, opened

from anthropic_bedrock_proxy.sandbox.isolation.base import IsolationError, RunnerLimits
from anthropic_bedrock_proxy.sandbox.isolation.docker.config import LABEL, LABEL_EXECUTOR
from anthropic_bedrock_proxy.sandbox.isolation.docker.isolation import DockerIsolation
from anthropic_bedrock_proxy.sandbox.isolation.docker.leftovers import Leftovers


@contextlib.asynccontextmanager
async def isolation(**options):
    options = {
        "image": "sandbox-tests:none",
        "command": COMMAND,
        "limits": RunnerLimits(),
        "workspace": "/workspace",
        "executor": MINE,
    } | options
    made = DockerIsolation(**options)
    try:
        yield made
    finally:
        await made.close()


async def answers(made):
    return await (await begin(made)).ask("print('well')")


def test_a_daemon_that_goes_and_comes_is_told_and_mended():
    now = 0.0

    async def main(daemon):
        nonlocal now
        options = {"image": daemon.image, "address": daemon.address, "now": lambda: now}
        async with isolation(**options) as made:
            await made.open()
            inside = await begin(made)
            for end in (daemon.stop, daemon.kill):
                end()
                with pytest.raises(EndedError):
                    await inside.ask("print()")
                assert await inside.runner.why_ended() == ""
                state = await made.state()
                assert (state.status, "start it" in state.reason) == ("unavailable", True)
                with pytest.raises(IsolationError, match="cannot be reached"):
                    await made.start()
                await inside.runner.kill()
                daemon.start()
                assert (await made.state()).status == "ready"
                inside = await begin(made)
                assert await inside.ask("print('well')") == "well\n"
                assert len(daemon.tell("ps", "-aq").split()) == 1

            daemon.hang()
            now += 2.9  # it has answered a moment ago: it may be busy
            assert (await made.state()).status == "ready"
            now += 0.1
            began = time.monotonic()
            state = await made.state()
            assert (state.status, "in time" in state.reason) == ("unavailable", True)
            assert time.monotonic() - began < 2
            daemon.wake()
            assert (await made.state()).status == "ready"
            assert await answers(made) == "well\n"

    with PrivateDockerd() as daemon:
        asyncio.run(main(daemon))


def test_what_is_being_removed_is_not_waited_for_by_a_start():
    async def main():
        removing = [asyncio.create_task(leftovers.remove(name)) for name in ("a", "b")]
        await docker.asked.wait()
        await leftovers.remove_all(docker)
        for task in removing:
            task.cancel()
        await asyncio.gather(*removing, return_exceptions=True)
        docker.busy = False
        await leftovers.remove_all(docker)  # nobody waits for them any more: they are leftovers

    docker = BusyDocker()
    leftovers = Leftovers(lambda: docker, "tests", "boot")
    asyncio.run(main())
    assert docker.deleted == ["a", "b"]


class BusyDocker:
    """A daemon that ends no removal while it is busy."""

    def __init__(self):
        self.asked = asyncio.Event()
        self.busy = True
        self.deleted = []
        self.containers = self

    def container(self, name):
        return BusyContainer(self, name)


class BusyContainer:
    """One of its containers."""

    def __init__(self, docker, name):
        self._docker = docker
        self._name = name

    async def delete(self, **_):
        self._docker.asked.set()
        if self._docker.busy:
            await asyncio.Event().wait()
        self._docker.deleted.append(self._name)


def test_a_daemon_that_was_never_there_is_unavailable(tmp_path):
    async def main(address):
        async with isolation(address=address) as made:
            await made.open()
            return await made.state()

    for address in (f"unix://{tmp_path}/none.sock", "tcp://127.0.0.1:9", "ftp://x"):
        state = asyncio.run(main(address))
        assert state.status == "unavailable"
        assert "start it, or set DOCKER_HOST" in state.reason
        assert str(tmp_path) not in state.reason


def test_a_missing_image_is_pulled_and_when_that_fails_it_is_told_how_to_mend_it():
    docker_image()
    now = 0.0

    async def main():
        nonlocal now
        async with isolation(image="registry.invalid/none:1", now=lambda: now) as made:
            states = [await made.state()]
            async with asyncio.timeout(60):
                while (state := await made.state()).status == "preparing":
                    await asyncio.sleep(0.05)
            states.append(state)
            with pytest.raises(IsolationError, match="sandbox build"):
                await made.start()
            now = 61.0
            states.append(await made.state())
            return states

    first, failed, again = asyncio.run(main())
    assert (first.status, failed.status, again.status) == ("preparing", "unavailable", "preparing")
    assert "docker pull registry.invalid/none:1" in failed.reason


def test_a_missing_image_stays_missing_for_who_only_looks():
    docker_image()

    async def main():
        async with isolation(image="registry.invalid/none:1", pull=False) as made:
            state = await made.state()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            return state, [task for task in others if "pull" in repr(task)]

    state, pulls = asyncio.run(main())
    assert (state.status, pulls) == ("preparing", [])
    assert "registry.invalid/none:1 is not here yet" in state.reason


def test_a_runtime_that_the_daemon_has_not_is_told():
    async def main():
        async with isolation(image=docker_image(), runtime="none") as made:
            await made.open()
            state = await made.state()
            with pytest.raises(IsolationError, match="refused"):
                await made.start()
            return state

    state = asyncio.run(main())
    assert state.status == "unavailable"
    assert "no runtime none" in state.reason


def test_the_state_tells_what_the_daemon_has():
    async def main():
        async with opened("docker") as made:
            return await made.state()

    state = asyncio.run(main())
    assert state.status == "ready"
    assert {"docker", "cgroup", "userns", "rootless", "image"} <= state.details.keys()


def run(*words):
    command = ["docker", "run", "-d", "--network", "none", *words, docker_image(), "sleep", "60"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_opening_removes_what_is_left_and_leaves_alone_what_belongs_to_others():
    label = ["--label", f"{LABEL}=1"]
    mine = run(*label, "--label", f"{LABEL_EXECUTOR}=sweep")
    others = run(*label, "--label", f"{LABEL_EXECUTOR}=sweep-not")
    foreign = run()

    async def remaining():
        async with opened("docker", name="sweep"):
            return containers("sweep"), containers("sweep-not")

    try:
        assert asyncio.run(remaining()) == (set(), {others})
        subprocess.run(["docker", "kill", others], capture_output=True, check=True)
        # It has ended and nobody removes it: its executor is gone.
        assert asyncio.run(remaining()) == (set(), set())
        ps = ["docker", "ps", "-q", "--no-trunc"]
        assert foreign in subprocess.run(ps, capture_output=True, text=True, check=True).stdout
    finally:
        command = ["docker", "rm", "-f", mine, others, foreign]
        subprocess.run(command, capture_output=True, check=False)


def test_two_runs_of_one_isolation_do_not_remove_each_others_new_containers():
    """The first starts of a daemon that came late sweep; those at the same time are spared."""

    async def main():
        async with isolation(image=docker_image(), executor="late") as made:
            return await asyncio.gather(*(answers(made) for _ in range(4)))

    assert asyncio.run(main()) == ["well\n"] * 4
