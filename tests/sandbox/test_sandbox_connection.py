"""The connection to one executor, over wires that fail."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext

import pytest
from clocks import Clock
from executors import running_executor
from fakeserver import ok, serving

from anthropic_bedrock_proxy.aws.connect import Endpoint, connector, unix_connector
from anthropic_bedrock_proxy.sandbox.address import ExecutorAddress
from anthropic_bedrock_proxy.sandbox.base import (
    ContainerGoneError,
    NoRoomError,
    RefusedFileError,
    SandboxUnavailableError,
)
from anthropic_bedrock_proxy.sandbox.connection import ExecutorConnection
from anthropic_bedrock_proxy.sandbox.wire import ExecutorState

STATE = b'{"status":"ready"}'


def connection_to(server, **options):
    address = ExecutorAddress.from_url(f"http://127.0.0.1:{server.port}")
    pauses = []

    async def sleep(seconds):
        pauses.append(seconds)

    return ExecutorConnection(address, "t0ken", sleep=sleep, **options), pauses


def answered(status, body):
    return b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)


def story(answer, tell, **options):
    async def main():
        async with serving(answer) as server:
            connection, pauses = connection_to(server, **options)
            try:
                await tell(connection, server, pauses)
            finally:
                await connection.close()

    asyncio.run(main())


def test_a_call_has_the_token_and_the_owner():
    async def tell(connection, server, _):
        assert await connection.call("POST", "/x", b"body", owner="key-1") == STATE
        (request,) = server.requests
        assert request.startswith(b"POST /x HTTP/1.1\r\n")
        for line in (b"authorization: Bearer t0ken", b"x-owner: key-1", b"content-length: 4"):
            assert line in request.split(b"\r\n")

    story(ok(STATE), tell)


def test_a_call_that_is_cut_is_repeated_twice():
    async def cut(_, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-")
        return True

    async def tell(connection, server, pauses):
        with pytest.raises(SandboxUnavailableError, match="cannot be reached"):
            await connection.call("GET", "/x")
        assert len(server.requests) == 3
        assert len(pauses) == 2
        with pytest.raises(SandboxUnavailableError):
            await connection.call("POST", "/files", repeat=False)
        assert len(server.requests) == 4

    story(cut, tell)


@pytest.mark.parametrize(("method", "is_done"), [("DELETE", True), ("GET", False)])
def test_a_removal_that_was_cut_and_finds_nothing_when_repeated_is_done(method, is_done):
    answers = [b"HTTP/1.1 204 OK\r\ncontent-", answered(404, b'{"error":"gone"}')]

    async def cut_once(_, writer):
        writer.write(answers.pop(0))
        return True

    async def tell(connection, *_):
        with nullcontext() if is_done else pytest.raises(ContainerGoneError):
            await connection.call(method, "/containers/c")
        assert answers == []

    story(cut_once, tell)


def test_a_removal_that_finds_nothing_at_once_is_told():
    async def tell(connection, *_):
        with pytest.raises(ContainerGoneError):
            await connection.call("DELETE", "/containers/c")

    story(answered(404, b'{"error":"gone"}'), tell)


def test_a_host_of_ipv6_has_its_brackets():
    async def main():
        async with serving(ok(STATE)) as server:

            async def connect(factory):
                direct = connector(Endpoint("127.0.0.1", server.port, tls=False))
                return await direct(factory)

            connection = ExecutorConnection(
                ExecutorAddress.from_url("http://[::1]:8600"), None, connect=connect
            )
            await connection.call("GET", "/state")
            assert b"host: [::1]:8600\r\n" in server.requests[0]
            await connection.close()

    asyncio.run(main())


def test_where_nobody_listens_it_says_what_to_start_and_only_the_log_says_where(caplog):
    async def main():
        connection = ExecutorConnection(
            ExecutorAddress.from_url("unix:///nowhere/executor.sock"), None
        )
        with pytest.raises(SandboxUnavailableError, match="sandboxd"):
            await connection.call("GET", "/state")
        state = await connection.state()
        assert state.status == "unavailable"
        assert "/nowhere" not in state.reason
        assert "unix:///nowhere/executor.sock" in caplog.text
        await connection.close()

    asyncio.run(main())


def test_an_executor_of_ones_own_may_take_longer_while_it_is_started():
    async def main():
        async with running_executor() as executor:
            started = asyncio.Event()
            direct = unix_connector(executor.address.path)

            async def connect(factory):
                await started.wait()
                return await direct(factory)

            connection = executor.connection(connect=connect, state_seconds=0.05)
            asyncio.get_running_loop().call_later(0.2, started.set)
            assert (await connection.state()).status == "ready"
            await connection.close()

    asyncio.run(main())


def test_an_executor_that_does_not_answer_is_unavailable_soon_and_not_said_to_be_away():
    async def hang(*_):
        await asyncio.Event().wait()

    async def tell(connection, *_):
        state = await connection.state()
        reason = "The sandbox executor has not answered within 0.05 s."
        assert (state.status, state.reason) == ("unavailable", reason)

    story(hang, tell, state_seconds=0.05)


@pytest.mark.parametrize(
    ("status", "body", "error", "message"),
    [
        (404, b'{"error":"gone"}', ContainerGoneError, "^$"),
        (
            503,
            b'{"error":"unavailable","message":"no Docker"}',
            SandboxUnavailableError,
            "no Docker",
        ),
        (401, b'{"error":"unauthorized"}', SandboxUnavailableError, "SANDBOX_TOKEN"),
        (413, b'{"error":"too_large","message":"10"}', RefusedFileError, "10"),
        (507, b'{"error":"full","message":"full"}', NoRoomError, "full"),
        (400, b'{"error":"invalid","message":"m"}', SandboxUnavailableError, "m"),
        (502, b"<html>", SandboxUnavailableError, "status 502"),
        (200, b"<html>", SandboxUnavailableError, "another version"),
    ],
)
def test_failures_are_told_by_their_kind(status, body, error, message):
    async def tell(connection, _, __):
        with pytest.raises(error, match=message):
            await connection.read(ExecutorState, "GET", "/state")

    story(answered(status, body), tell)


def test_a_state_is_believed_for_two_seconds():
    clock = Clock()

    async def tell(connection, server, _):
        assert connection.is_stale()
        for _ in range(2):
            assert (await connection.state()).status == "ready"
        first, second = await asyncio.gather(connection.state(), connection.state())
        assert first is second
        assert len(server.requests) == 1
        clock.now += 2
        assert connection.is_stale()
        await asyncio.gather(connection.state(), connection.state())
        assert len(server.requests) == 2

    story(ok(STATE), tell, now=clock)


@pytest.mark.parametrize("owner", ["", "a\r\nx-owner: b", "é"])
def test_an_owner_that_is_none_is_not_sent(owner):
    async def tell(connection, server, _):
        with pytest.raises(SandboxUnavailableError):
            await connection.call("GET", "/files", owner=owner)
        assert server.requests == []

    story(ok(STATE), tell)


def test_a_content_type_cannot_break_out_of_its_line():
    async def tell(connection, server, _):
        await connection.call("POST", "/files", content_type="a\r\nx-owner: b", owner="o")
        (request,) = server.requests
        assert b"x-owner: b" not in request
        assert b"content-type: application/octet-stream" in request

    story(ok(STATE), tell)


def test_the_token_is_checked_by_the_executor():
    async def main():
        async with running_executor(token="right") as executor:
            connection = executor.connection(token="wrong")
            with pytest.raises(SandboxUnavailableError, match="SANDBOX_TOKEN"):
                await connection.call("GET", "/state")
            await connection.close()
            connection = executor.connection()
            assert (await connection.state()).status == "ready"
            await connection.close()

    asyncio.run(main())
