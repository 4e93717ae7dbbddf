"""What owning the HTTP client makes ours to guarantee (see the rules in aws/http.py)."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from fakeserver import chunked, ok, serving, until

from anthropic_bedrock_proxy.aws.connect import Endpoint, connector
from anthropic_bedrock_proxy.aws.connection import HIGH_WATER
from anthropic_bedrock_proxy.aws.http import (
    ConnectError,
    ConnectionCutError,
    Pool,
    PoolOptions,
    TransportTimeoutError,
)

HEAD = b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n"
LONG = 5.0


@asynccontextmanager
async def pool_on(port, connect=None, **options):
    endpoint = Endpoint("127.0.0.1", port, tls=False)
    pool = Pool(connect or connector(endpoint), PoolOptions(**options))
    try:
        yield pool
    finally:
        await pool.close()


async def ask(pool, body=b"{}"):
    response = await pool.request(HEAD, body, LONG)
    return await response.read_all(LONG)


def test_answers_are_read_whole_and_the_connection_is_used_again():
    async def main():
        async with serving(ok(b'{"a":1}')) as server, pool_on(server.port) as pool:
            for _ in range(3):
                assert await ask(pool) == b'{"a":1}'
            assert server.connections == 1
            assert server.requests == [HEAD + b"{}"] * 3

    asyncio.run(main())


def test_chunked_answers_and_headers():
    async def main():
        async with serving(chunked(b"ab", b"cd")) as server, pool_on(server.port) as pool:
            response = await pool.request(HEAD, b"{}", LONG)
            assert response.status == 200
            assert response.headers[b"transfer-encoding"] == b"chunked"
            assert await response.read_all(LONG) == b"abcd"
            assert await response.read(LONG) is None

    asyncio.run(main())


def test_an_empty_body_is_an_empty_body():
    async def main():
        async with serving(ok(b"")) as server, pool_on(server.port) as pool:
            assert await ask(pool) == b""

    asyncio.run(main())


def test_large_requests_arrive_whole():
    async def main():
        body = b"x" * 5_000_000
        head = HEAD.replace(b"length: 2", b"length: %d" % len(body))
        async with serving(ok()) as server, pool_on(server.port) as pool:
            response = await pool.request(head, body, LONG)
            await response.read_all(LONG)
            assert len(server.requests[0]) == len(head) + len(body)

    asyncio.run(main())


def test_a_connection_that_died_while_idle_is_replaced_and_the_request_sent_again():
    async def main():
        seen = 0

        async def dies_on_reuse(request, writer):
            nonlocal seen
            seen += 1
            if seen == 2:
                writer.transport.abort()
                return True
            writer.write(ok())
            return None

        async with serving(dies_on_reuse) as server, pool_on(server.port) as pool:
            await ask(pool)
            assert await ask(pool) == b"{}"
            assert server.connections == 2
            assert seen == 3

    asyncio.run(main())


def test_connections_closed_by_the_server_are_noticed_before_use():
    async def main():
        async with serving(ok()) as server, pool_on(server.port) as pool:
            await ask(pool)
            server.drop_all()
            await until(lambda: not pool._open)
            await ask(pool)
            assert server.connections == 2

    asyncio.run(main())


def test_a_fresh_connection_that_dies_is_not_tried_again():
    async def main():
        async def die(request, writer):
            return True

        async with serving(die) as server, pool_on(server.port) as pool:
            with pytest.raises(ConnectionCutError):
                await ask(pool)
            assert len(server.requests) == 1

    asyncio.run(main())


def test_no_second_try_once_a_byte_of_the_answer_has_come():
    async def main():
        seen = 0

        async def half_an_answer(request, writer):
            nonlocal seen
            seen += 1
            writer.write(ok() if seen == 1 else b"HTTP/1.1 200 OK\r\ncontent-le")
            await writer.drain()
            return seen > 1

        async with serving(half_an_answer) as server, pool_on(server.port) as pool:
            await ask(pool)
            with pytest.raises(ConnectionCutError):
                await ask(pool)
            assert len(server.requests) == 2

    asyncio.run(main())


def test_a_cut_in_the_body_is_an_error_never_an_end():
    async def main():
        async def cut(request, writer):
            writer.write(chunked(b"abc", end=False))
            await writer.drain()
            return True

        async with serving(cut) as server, pool_on(server.port) as pool:
            response = await pool.request(HEAD, b"{}", LONG)
            with pytest.raises(ConnectionCutError):
                await response.read_all(LONG)
            response.close()
            await until(lambda: not pool._open)

    asyncio.run(main())


def test_what_is_not_http_is_an_error():
    async def main():
        async with serving(b"SSH-2.0 hello\r\n\r\n") as server, pool_on(server.port) as pool:
            with pytest.raises(ConnectionCutError, match="not valid HTTP"):
                await ask(pool)

    asyncio.run(main())


def test_bytes_nobody_asked_for_end_the_connection():
    async def main():
        async with serving(ok() + b"HTTP/1.1 200 OK\r\n") as server, pool_on(server.port) as pool:
            await ask(pool)
            await until(lambda: not pool._open)

    asyncio.run(main())


def test_interim_answers_are_skipped():
    async def main():
        early = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
        async with serving(early + ok(b"[]")) as server, pool_on(server.port) as pool:
            response = await pool.request(HEAD, b"{}", LONG)
            assert response.status == 200
            assert b"link" not in response.headers
            assert await response.read_all(LONG) == b"[]"

    asyncio.run(main())


@pytest.mark.parametrize("how", ["closed unread", "cancelled", "connection: close"])
def test_such_an_exchange_never_returns_its_connection(how):
    async def main():
        async def answer(request, writer):
            if how == "closed unread":
                writer.write(chunked(b"abc", end=False))
            elif how == "connection: close":
                writer.write(ok(headers=b"connection: close\r\n"))

        async with serving(answer) as server, pool_on(server.port) as pool:
            if how == "cancelled":
                task = asyncio.create_task(pool.request(HEAD, b"{}", LONG))
                await until(lambda: len(server.requests) == 1)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            elif how == "closed unread":
                (await pool.request(HEAD, b"{}", LONG)).close()
            else:
                await ask(pool)
            assert not pool._free
            await until(lambda: not pool._open)

    asyncio.run(main())


def test_finishing_waits_for_the_end_and_keeps_the_connection():
    async def main():
        release = asyncio.Event()

        async def slow_end(request, writer):
            writer.write(chunked(b"abc", end=False))
            await writer.drain()
            await release.wait()
            writer.write(b"0\r\n\r\n")

        async with serving(slow_end) as server, pool_on(server.port) as pool:
            response = await pool.request(HEAD, b"{}", LONG)
            assert await response.read(LONG) == b"abc"
            response.finish(LONG)
            release.set()
            await until(lambda: len(pool._free) == 1)
            assert await ask(pool) == b"abc"
            assert server.connections == 1

    asyncio.run(main())


def test_finishing_gives_up_in_time():
    async def main():
        async def never_ends(request, writer):
            writer.write(chunked(b"abc", end=False))

        async with serving(never_ends) as server, pool_on(server.port) as pool:
            response = await pool.request(HEAD, b"{}", LONG)
            await response.read(LONG)
            response.finish(0.01)
            await until(lambda: not pool._open)
            assert not pool._free

    asyncio.run(main())


def test_silence_before_the_headers_times_out():
    async def main():
        async def silent(request, writer):
            return None

        async with serving(silent) as server, pool_on(server.port) as pool:
            with pytest.raises(TransportTimeoutError):
                await pool.request(HEAD, b"{}", 0.02)
            await until(lambda: not pool._open)

    asyncio.run(main())


def test_silence_in_the_body_is_told_and_can_be_waited_out():
    async def main():
        release = asyncio.Event()

        async def pause(request, writer):
            writer.write(chunked(b"a", end=False))
            await release.wait()
            writer.write(b"1\r\nb\r\n0\r\n\r\n")

        async with serving(pause) as server, pool_on(server.port) as pool:
            response = await pool.request(HEAD, b"{}", LONG)
            assert await response.read(LONG) == b"a"
            assert await response.read(0.01) == b""
            with pytest.raises(TransportTimeoutError):
                await response.read_all(0.01)
            release.set()
            assert await response.read(LONG) == b"b"
            assert await response.read(LONG) is None
            response.close()

    asyncio.run(main())


def test_a_slow_reader_stops_the_sender():
    async def main():
        total = 40 * HIGH_WATER
        sent = 0

        async def flood(request, writer):
            nonlocal sent
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % total)
            while sent < total:
                writer.write(b"x" * HIGH_WATER)
                sent += HIGH_WATER
                await writer.drain()

        async with serving(flood) as server, pool_on(server.port) as pool:
            response = await pool.request(HEAD, b"{}", LONG)
            before = -1
            while before != sent:  # until the sender is stuck
                before = sent
                await asyncio.sleep(0.02)
            assert sent < total
            received = 0
            while (chunk := await response.read(LONG)) is not None:
                received += len(chunk)
            assert received == total
            response.close()

    asyncio.run(main())


def test_answers_over_the_limit_are_refused():
    async def main():
        async with serving(ok(b"x" * 100)) as server, pool_on(server.port) as pool:
            response = await pool.request(HEAD, b"{}", LONG)
            with pytest.raises(ConnectionCutError, match="over 10 bytes"):
                await response.read_all(LONG, limit=10)
            response.close()

    asyncio.run(main())


def test_nobody_listens():
    async def main():
        async with serving(ok()) as server:
            port = server.port
        async with pool_on(port) as pool:
            with pytest.raises(ConnectError, match=r"cannot connect to 127\.0\.0\.1"):
                await ask(pool)

    asyncio.run(main())


def test_connecting_times_out():
    async def main():
        async def never(factory):
            await asyncio.Event().wait()

        async with pool_on(1, never, connect_timeout_seconds=0.01) as pool:
            with pytest.raises(ConnectError, match="no connection within"):
                await ask(pool)

    asyncio.run(main())


def test_handshakes_and_connections_are_capped_and_everybody_is_served():
    async def main():
        connecting = most = 0

        async with serving(ok()) as server:
            real = connector(Endpoint("127.0.0.1", server.port, tls=False))

            async def counted(factory):
                nonlocal connecting, most
                connecting += 1
                most = max(most, connecting)
                try:
                    await asyncio.sleep(0.001)
                    return await real(factory)
                finally:
                    connecting -= 1

            limits = {"max_connections": 5, "max_connecting": 2}
            async with pool_on(server.port, counted, **limits) as pool:
                answers = await asyncio.gather(*(ask(pool) for _ in range(50)))
                assert answers == [b"{}"] * 50
                assert most <= 2
                assert server.connections <= 5

    asyncio.run(main())


def test_waiting_for_a_connection_takes_the_first_that_becomes_free():
    async def main():
        async with serving(ok()) as server, pool_on(server.port, max_connections=1) as pool:
            first = await pool.request(HEAD, b"{}", LONG)
            waiting = asyncio.create_task(ask(pool))
            await until(lambda: len(pool._waiters) == 1)
            await first.read_all(LONG)
            assert await waiting == b"{}"
            assert server.connections == 1

    asyncio.run(main())


def test_waiting_for_a_connection_is_bounded():
    async def main():
        async with serving(ok()) as server, pool_on(server.port, max_connections=1) as pool:
            first = await pool.request(HEAD, b"{}", LONG)
            with pytest.raises(TransportTimeoutError, match="no connection was free"):
                await pool.request(HEAD, b"{}", 0.02)
            await first.read_all(LONG)
            assert await ask(pool) == b"{}"

    asyncio.run(main())


def test_one_timer_serves_waits_of_any_length():
    async def main():
        release = asyncio.Event()

        async def slow(request, writer):
            await release.wait()
            writer.write(ok(b"late"))

        async with serving(slow) as server, pool_on(server.port) as pool:
            asyncio.get_running_loop().call_later(0.05, release.set)
            response = await pool.request(HEAD, b"{}", 60.0)
            assert await response.read_all(60.0) == b"late"
            release.clear()
            with pytest.raises(TransportTimeoutError):  # sooner than the timer that is set
                await pool.request(HEAD, b"{}", 0.02)

    asyncio.run(main())


def test_a_timer_that_fires_early_goes_on_to_the_deadline():
    async def main():
        async def drip(request, writer):
            writer.write(chunked(b"a", end=False))
            await asyncio.sleep(0.03)
            writer.write(b"1\r\nb\r\n")
            await asyncio.sleep(0.03)
            writer.write(b"0\r\n\r\n")

        async with serving(drip) as server, pool_on(server.port) as pool:
            response = await pool.request(HEAD, b"{}", 0.05)
            parts = [await response.read(0.05) for _ in range(3)]
            assert parts == [b"a", b"b", None]
            response.close()

    asyncio.run(main())


def test_a_cancelled_waiter_leaves_its_connection_to_others():
    async def main():
        async with serving(ok()) as server, pool_on(server.port, max_connections=1) as pool:
            first = await pool.request(HEAD, b"{}", LONG)
            gone = asyncio.create_task(ask(pool))
            stays = asyncio.create_task(ask(pool))
            await until(lambda: len(pool._waiters) == 2)
            await first.read_all(LONG)  # hands the connection to `gone`, which is cancelled now
            gone.cancel()
            assert await stays == b"{}"
            await asyncio.gather(gone, return_exceptions=True)

    asyncio.run(main())


def test_idle_connections_are_dropped_before_the_server_would():
    async def main():
        async with serving(ok()) as server, pool_on(server.port, idle_seconds=0.01) as pool:
            await ask(pool)
            await asyncio.sleep(0.02)
            await ask(pool)
            assert server.connections == 2

    asyncio.run(main())


def test_the_oldest_idle_connection_goes_when_another_comes_back():
    async def main():
        async with serving(ok()) as server, pool_on(server.port, idle_seconds=0.03) as pool:
            two = [await pool.request(HEAD, b"{}", LONG) for _ in range(2)]
            await two[0].read_all(LONG)
            await asyncio.sleep(0.05)
            await two[1].read_all(LONG)
            assert len(pool._free) == 1

    asyncio.run(main())


def test_closing_fails_who_waits():
    async def main():
        async with serving(ok()) as server, pool_on(server.port, max_connections=1) as pool:
            first = await pool.request(HEAD, b"{}", LONG)
            waiting = asyncio.create_task(ask(pool))
            await until(lambda: len(pool._waiters) == 1)
            await pool.close()
            with pytest.raises(ConnectError, match="closed"):
                await waiting
            first.close()

    asyncio.run(main())
