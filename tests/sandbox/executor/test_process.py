from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from executors import until
from fake_isolation import FakeIsolation

from anthropic_bedrock_proxy.sandbox.address import ExecutorAddress
from anthropic_bedrock_proxy.sandbox.executor.process import (
    ExecutorOptions,
    ListenError,
    bind,
    executing,
)

PROGRAM = Path(__file__).parents[2] / "support" / "fake_sandboxd.py"


def unix(path):
    return ExecutorAddress.from_url(f"unix://{path}")


def test_tcp_without_a_token_is_refused():
    for token in (None, ""):
        with pytest.raises(ListenError, match="SANDBOX_TOKEN"):
            bind(ExecutorAddress.from_url("http://127.0.0.1:1"), token)


def test_tls_is_not_spoken():
    with pytest.raises(ListenError, match="TLS"):
        bind(ExecutorAddress.from_url("https://127.0.0.1:1"), "t")


def test_a_unix_socket_is_for_its_user_alone(tmp_path):
    path = tmp_path / "run" / "executor.sock"
    with bind(unix(path), None):
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700


def test_the_socket_of_one_that_has_gone_is_replaced_and_of_one_that_lives_is_not(tmp_path):
    path = tmp_path / "executor.sock"
    bind(unix(path), None).close()
    with (
        bind(unix(path), None),
        pytest.raises(ListenError, match="another executor listens there"),
    ):
        bind(unix(path), None)


def test_a_file_that_is_no_socket_is_left_alone(tmp_path):
    path = tmp_path / "precious"
    path.write_text("x")
    with pytest.raises(ListenError, match="no socket"):
        bind(unix(path), None)
    assert path.read_text() == "x"


def test_a_port_that_is_taken_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=str(port)):
            bind(ExecutorAddress.from_url(f"http://127.0.0.1:{port}"), "t")


def test_nothing_is_left_of_it(tmp_path):
    async def main():
        isolation = FakeIsolation()
        options = ExecutorOptions(listen=unix(tmp_path / "s"), warm=2)
        async with executing(options, isolation, b"{}") as parts:
            await until(lambda: parts.warm.warm == 2)
        assert isolation.closed
        assert isolation.runners == []

    asyncio.run(main())


def test_that_runners_are_not_hardened_is_told_once(tmp_path, caplog):
    async def main():
        isolation = FakeIsolation()
        isolation.hardened = False
        options = ExecutorOptions(listen=unix(tmp_path / "s"), warm=2)
        async with executing(options, isolation, b"{}") as parts:
            await until(lambda: parts.warm.warm == 2)

    asyncio.run(main())
    assert ["hardened" in message for message in caplog.messages] == [True]


def started(folder, *options, **more):
    listen = f"unix://{folder / 'executor.sock'}"
    command = [sys.executable, str(PROGRAM), "--listen", listen, *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **more)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_listens_and_ends_by_a_signal(tmp_path, number):
    with started(tmp_path) as process:
        assert process.stdout.readline().startswith("sandboxd listens on unix://")
        process.send_signal(number)
        assert process.wait(20) == 0
    assert (tmp_path / "ended").read_text() == "closed"
    assert not (tmp_path / "executor.sock").exists()


def test_it_ends_with_its_parents(tmp_path):
    ours, theirs = os.pipe()
    with started(tmp_path, "--parent", str(ours), pass_fds=(ours,)) as process:
        process.stdout.readline()
        os.close(ours)
        os.close(theirs)
        assert process.wait(20) == 0
    assert (tmp_path / "ended").read_text() == "closed"


def test_one_that_finds_the_lock_taken_ends_quietly(tmp_path):
    lock = ("--lock", str(tmp_path / "lock"))
    with started(tmp_path, *lock) as first:
        first.stdout.readline()
        with started(tmp_path, *lock) as second:
            assert second.wait(20) == 0
            assert second.stdout.read() == ""
        assert first.poll() is None
        first.kill()
        first.wait(20)
    with started(tmp_path, *lock) as third:  # a lock goes with its process
        assert "listens" in third.stdout.readline()
        third.terminate()
        third.wait(20)


def test_one_that_was_killed_leaves_no_files_to_the_next(tmp_path):
    lock = ("--lock", str(tmp_path / "lock"))
    with started(tmp_path, *lock) as first:
        first.stdout.readline()
        (tmp_path / "files" / "file_1").write_text("x")
        first.kill()
        first.wait(20)
    assert (tmp_path / "files" / "file_1").exists()
    with started(tmp_path, *lock) as second:
        second.stdout.readline()
        assert list((tmp_path / "files").iterdir()) == []
        second.terminate()
        second.wait(20)
    assert not (tmp_path / "files").exists()


def test_its_socket_goes_before_it_stops_listening_so_that_it_is_not_its_successors(tmp_path):
    path = tmp_path / "executor.sock"
    with started(tmp_path, env={**os.environ, "SANDBOX_NAME": "slow-to-close"}) as first:
        first.stdout.readline()
        first.terminate()

        async def main():
            await until(lambda: not path.exists())

        asyncio.run(main())
        with bind(unix(path), None):
            (tmp_path / "go-on").touch()
            assert first.wait(20) == 0
            assert path.exists()
