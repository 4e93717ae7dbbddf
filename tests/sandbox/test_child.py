"""An executor of the proxy's own: real processes that start one, lose it, and go."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from executors import until

from anthropic_bedrock_proxy.sandbox.base import CellAddress, PythonCell, SandboxUnavailableError
from anthropic_bedrock_proxy.sandbox.child import OwnExecutor, executor_environ
from anthropic_bedrock_proxy.sandbox.client import SandboxClient
from anthropic_bedrock_proxy.sandbox.connection import ExecutorConnection

SUPPORT = Path(__file__).parents[1] / "support"
PROGRAM = (sys.executable, str(SUPPORT / "fake_sandboxd.py"))
HELLO = PythonCell("say hello")

# A process that asks its own executor for a cell and says who ran it; then it waits to be killed.
ASKER = """
import asyncio, os, sys
from anthropic_bedrock_proxy.sandbox.child import OwnExecutor
from anthropic_bedrock_proxy.sandbox.connection import ExecutorConnection

own = OwnExecutor({"PATH": os.environ["PATH"]}, program=sys.argv[1:])
for _ in range(2):
    if not os.fork():
        break

async def ask():
    connection = ExecutorConnection(own.address, None, connect=own.connect)
    state = await connection.state()
    os.write(1, f"{state.status} {os.path.dirname(own.address.path)}\\n".encode())
    await asyncio.Event().wait()

asyncio.run(ask())
"""


def starts(own):
    """The processes that were started as executors of one."""
    return [int(pid) for pid in Path(own.address.path).with_name("starts").read_text().split()]


def is_running(pid):
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:1]
    return False


@asynccontextmanager
async def owning(*, sleep=asyncio.sleep, **environ):
    given = {"PATH": os.environ["PATH"], **environ}
    own = OwnExecutor(given, program=PROGRAM, sleep=sleep)
    clients = []

    def client():
        clients.append(SandboxClient([ExecutorConnection(own.address, None, connect=own.connect)]))
        return clients[-1]

    try:
        yield own, client
    finally:
        for one in clients:
            await one.close()
        await own.close()
        pids = starts(own) if Path(own.address.path).with_name("starts").exists() else []
        own.release()
        await until(lambda: not any(map(is_running, pids)))


async def says_hello(sandbox):
    at = CellAddress(sandbox.new_container(), "key-1", "c1")
    return (await sandbox.run(at, HELLO, create=True)).outcome.stdout


def test_nothing_runs_until_it_is_needed_and_then_one():
    async def main():
        async with owning() as (own, client):
            assert not os.path.exists(own.address.path)  # noqa: ASYNC240, PTH110  # it is quick
            sandboxes = [client() for _ in range(3)]
            said = await asyncio.gather(*map(says_hello, sandboxes))
            assert said == ["hello\n"] * 3
            assert len(starts(own)) == 1

    asyncio.run(main())


def test_who_lets_go_of_it_has_waited_for_its_end():
    async def main():
        async with owning() as (own, client):
            await says_hello(client())
            (pid,) = starts(own)
        assert not is_running(pid)
        assert not Path(own.address.path).parent.exists()

    asyncio.run(main())


def test_one_that_was_killed_is_replaced_and_the_next_need_finds_it():
    async def main():
        async with owning() as (own, client):
            sandbox = client()
            await says_hello(sandbox)
            (first,) = starts(own)
            os.kill(first, signal.SIGKILL)
            assert await says_hello(sandbox) == "hello\n"
            await until(lambda: len([pid for pid in starts(own) if is_running(pid)]) == 1)
            os.kill(next(filter(is_running, starts(own))), signal.SIGKILL)
            known = len(starts(own))
            await until(lambda: len(starts(own)) > known)  # without any need

    # It is the second one's failure that has a pause before it; the need does not wait for it.
    asyncio.run(main())


def test_one_that_cannot_start_is_told_with_its_status():
    async def main():
        async with owning(SANDBOX_NAME="broken") as (_, client):
            with pytest.raises(SandboxUnavailableError, match="ended with status 1"):
                await says_hello(client())

    asyncio.run(main())


def test_while_another_has_the_lock_none_is_started():
    async def main():
        pauses = []

        async def sleep(seconds):
            pauses.append(seconds)
            if len(pauses) == 50:
                lock.close()  # the other one has ended
            await asyncio.sleep(seconds)

        async with owning(sleep=sleep) as (own, client):
            lock = Path(own.address.path).with_name("lock").open("ab")
            fcntl.flock(lock, fcntl.LOCK_EX)
            assert await says_hello(client()) == "hello\n"
            assert len(pauses) >= 50
            assert len(starts(own)) == 1

    asyncio.run(main())


def test_of_processes_that_race_one_executor_stays_and_goes_with_the_last_of_them():
    command = [sys.executable, "-c", ASKER, *PROGRAM]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as asker:
        try:
            lines = [asker.stdout.readline().split() for _ in range(3)]
            assert [status for status, _ in lines] == [b"ready"] * 3
            folder = Path(lines[0][1].decode())
            pids = [int(pid) for pid in (folder / "starts").read_text().split()]

            async def only_one_stays():
                await until(lambda: sum(map(is_running, pids)) == 1)

            asyncio.run(only_one_stays())
            (stays,) = filter(is_running, pids)
            asker.kill()  # one of three holders: the executor goes on
            asker.wait()
            assert is_running(stays)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(asker.pid, signal.SIGKILL)

        async def ends():
            await until(lambda: (folder / "ended").exists() and not is_running(stays))

        asyncio.run(ends())
        assert (folder / "ended").read_text() == "closed"


def test_its_environment_has_no_secrets_of_the_proxy():
    environ = {
        "AWS_SECRET_ACCESS_KEY": "s",
        "MASTER_API_KEY": "s",
        "SANDBOX_URL": "unix:///x",
        "SANDBOX_TOKEN": "s",
        "DOCKER_HOST": "unix:///d",
        "ptc_memory_limit": "1g",
        "PATH": "/bin",
        "SANDBOX_WARM": "1",
    }
    told = executor_environ(environ, {"SANDBOX_WARM": "3", "SANDBOX_TOKEN": "s"})
    assert json.dumps(told, sort_keys=True) == json.dumps(
        {
            "DOCKER_HOST": "unix:///d",
            "PATH": "/bin",
            "SANDBOX_WARM": "3",
            "ptc_memory_limit": "1g",
        },
        sort_keys=True,
    )
