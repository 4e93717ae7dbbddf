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


def test_a_retired_pool_keeps_no_connection_but_serves_who_is_there():
    async def main():
        async with serving(ok(b"ab")) as server, pool_on(server.port) as pool:
            idle, busy = await asyncio.gather(*(pool.request(HEAD, b"{}", LONG) for _ in range(2)))
            idle.close()
            pool.retire()
            await until(lambda: len(pool._open) == 1)
            assert await busy.read_all(LONG) == b"ab"
            await until(lambda: not pool._open)
            assert await ask(pool) == b"ab"  # the next call of a turn that has begun
            await until(lambda: not pool._open)

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


async def idle(pool, count):
    """Puts that many used connections into the pool."""
    held = [await pool.request(HEAD, b"{}", LONG) for _ in range(count)]
    for response in held:
        await response.read_all(LONG)
    assert len(pool._free) == count


def kills(word):
    """Cuts the connection of every request whose body is `word`, answers the others."""

    async def answer(request, writer):
        if request.endswith(word):
            return True
        writer.write(ok())
        return None

    return answer


def test_sent_again_at_most_once_and_not_on_another_idle_connection():
    async def main():
        async with serving(kills(b"no")) as server, pool_on(server.port) as pool:
            await idle(pool, 5)
            before = server.connections
            with pytest.raises(ConnectionCutError) as cut:
                await ask(pool, b"no")
            assert sum(request.endswith(b"no") for request in server.requests) == 2
            assert server.connections == before + 1
            assert len(pool._free) == 4
            assert cut.value.sent

    asyncio.run(main())


def test_a_request_that_ran_before_the_cut_is_not_sent_again():
    async def main():
        async def works_a_while(request, writer):
            if request.endswith(b"no"):
                await asyncio.sleep(0.005)
                return True
            writer.write(ok())
            return None

        async with (
            serving(works_a_while) as server,
            pool_on(server.port, resend_seconds=0.004) as pool,
        ):
            await idle(pool, 2)
            with pytest.raises(ConnectionCutError) as cut:
                await ask(pool, b"no")
            assert sum(request.endswith(b"no") for request in server.requests) == 1
            assert cut.value.sent

    asyncio.run(main())


def test_sent_again_within_the_one_deadline():
    async def main():
        loop = asyncio.get_running_loop()
        seen = []

        async def cut_late_then_silent(request, writer):
            if not request.endswith(b"no"):
                writer.write(ok())
                return None
            seen.append(request)
            if len(seen) == 1:
                await asyncio.sleep(0.02)
                return True
            return None

        async with serving(cut_late_then_silent) as server, pool_on(server.port) as pool:
            await idle(pool, 1)
            started = loop.time()
            task = asyncio.create_task(pool.request(HEAD, b"no", LONG))
            await until(lambda: len(seen) == 2)
            (connection,) = pool._open
            assert connection._deadline - started < LONG + 0.015
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())


def test_what_was_sent_once_stays_sent_when_no_second_connection_can_be_made():
    async def main():
        async with serving(kills(b"no")) as server:
            real = connector(Endpoint("127.0.0.1", server.port, tls=False))
            reachable = True

            async def connect(factory):
                if not reachable:
                    raise ConnectError("gone")
                return await real(factory)

            async with pool_on(server.port, connect) as pool:
                await ask(pool)
                reachable = False
                with pytest.raises(ConnectError) as gone:
                    await ask(pool, b"no")
                assert gone.value.sent
                with pytest.raises(ConnectError) as never:
                    await ask(pool)
                assert not never.value.sent

    asyncio.run(main())


@pytest.mark.parametrize("end", ["cut", "timeout"])
def test_a_request_that_was_not_taken_whole_was_not_sent(end):
    async def main():
        async def ignore(reader, writer):
            accepted.append(writer)
            writer.transport.pause_reading()
            if end == "cut":
                await asyncio.sleep(0.01)
                writer.transport.abort()

        accepted = []
        server = await asyncio.start_server(ignore, "127.0.0.1", 0)
        async with pool_on(server.sockets[0].getsockname()[1]) as pool:
            body = b"x" * 30_000_000  # more than the kernel takes
            with pytest.raises((ConnectionCutError, TransportTimeoutError)) as error:
                await pool.request(HEAD, body, LONG if end == "cut" else 0.03)
            assert isinstance(error.value, ConnectionCutError) == (end == "cut")
            assert not error.value.sent
        server.close()
        for writer in accepted:
            writer.transport.abort()
        await asyncio.sleep(0.001)

    asyncio.run(main())


def test_a_large_request_that_is_taken_slowly_was_sent():
    async def main():
        async def silent(request, writer):
            return True

        async with serving(silent) as server, pool_on(server.port) as pool:
            head = HEAD.replace(b"length: 2", b"length: 30000000")
            with pytest.raises(ConnectionCutError) as cut:
                await pool.request(head, b"x" * 30_000_000, LONG)
            assert cut.value.sent

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


HEADERS_OF_UPGRADES = b"connection: upgrade\r\nupgrade: websocket\r\n\r\n"
ODD_ANSWERS = [
    b"HTTP/1.1 101 Switching Protocols\r\n" + HEADERS_OF_UPGRADES,
    b"HTTP/1.1 101 Switching Protocols\r\n" + HEADERS_OF_UPGRADES + b"\x81\x05hello",
    b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 x\r\n" + HEADERS_OF_UPGRADES,
    b"HTTP/1.1 199 x\r\n\r\n" * 20_000,
    b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 100_000,
    b"HTTP/1.1 200 OK\r\na: " + b"b" * 600_000,
    b"HTTP/1.1 000 x\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.1 1000 x\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999999\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x00\x05hello",
]


@pytest.mark.parametrize("answer", ODD_ANSWERS, ids=range(len(ODD_ANSWERS)))
def test_an_odd_answer_is_an_error_and_no_traceback(answer, caplog):
    async def main():
        unexpected = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: unexpected.append(context))
        async with serving(answer) as server, pool_on(server.port) as pool:
            with pytest.raises(ConnectionCutError) as error:
                await ask(pool)
            assert len(str(error.value)) < 200
            await until(lambda: not pool._open)
        assert unexpected == []

    asyncio.run(main())
    assert "Traceback" not in caplog.text


def test_trailers_are_left_out():
    trailers = b"".join(b"x-%d: y\r\n" % number for number in range(1000))
    answer = (
        b"HTTP/1.1 200 OK\r\nx-amzn-requestid: true\r\ntransfer-encoding: chunked\r\n\r\n"
        b"2\r\n{}\r\n0\r\nx-amzn-requestid: false\r\n" + trailers + b"\r\n"
    )

    async def main():
        async with serving(answer) as server, pool_on(server.port) as pool:
            response = await pool.request(HEAD, b"{}", LONG)
            assert await response.read_all(LONG) == b"{}"
            assert response.headers == {
                b"x-amzn-requestid": b"true",
                b"transfer-encoding": b"chunked",
            }
            assert await ask(pool) == b"{}"
            assert server.connections == 1

    asyncio.run(main())


def test_bytes_nobody_asked_for_end_the_connection():
    async def main():
        async with serving(ok() + b"HTTP/1.1 200 OK\r\n") as server, pool_on(server.port) as pool:
            await ask(pool)
            await until(lambda: not pool._open)

    asyncio.run(main())


def test_bytes_before_the_request_has_left_end_the_connection_and_it_is_sent_on_another():
    """A server's 408 to an idle connection is not the answer to what comes a moment later."""

    async def main():
        async with serving(ok()) as server, pool_on(server.port) as pool:
            await ask(pool)
            (idle,) = pool._free
            asking = asyncio.create_task(ask(pool, b"no"))
            await asyncio.sleep(0)  # it has begun, and leaves at the end of this turn
            idle.data_received(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
            assert await asking == b"{}"
            assert (server.connections, len(server.requests)) == (2, 2)

    asyncio.run(main())


def test_a_request_whose_time_is_up_never_leaves():
    async def main():
        async with serving(ok()) as server, pool_on(server.port) as pool:
            await ask(pool)
            with pytest.raises(TransportTimeoutError) as late:
                await pool.request(HEAD, b"no", 0.0)
            assert not late.value.sent
            assert await ask(pool) == b"{}"
            assert len(server.requests) == 2

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


def test_a_connection_with_something_unread_is_not_used_again():
    async def main():
        async def more_than_is_read_ahead(request, writer):
            writer.write(ok(b"x" * (HIGH_WATER + 1000)))

        async with serving(more_than_is_read_ahead) as server, pool_on(server.port) as pool:
            response = await pool.request(HEAD, b"{}", LONG)
            connection = response._connection
            await until(lambda: connection.complete)
            response.close()  # the client left
            assert not pool._free
            assert connection.closed

    asyncio.run(main())


def test_finishing_reads_what_has_arrived_already():
    async def main():
        async with serving(ok(b"abc")) as server, pool_on(server.port) as pool:
            response = await pool.request(HEAD, b"{}", LONG)
            connection = response._connection
            await until(lambda: connection.complete)
            response.finish(LONG)
            await until(lambda: pool._free == [connection])

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


def drips(first, drop):
    """Writes `first`, then `drop` for ever, one every 2 ms."""

    async def answer(request, writer):
        writer.write(first)
        while not writer.is_closing():
            writer.write(drop)
            await asyncio.sleep(0.002)
        return True

    return answer


def test_headers_that_trickle_in_do_not_prolong_the_wait():
    async def main():
        slow = drips(b"HTTP/1.1 200 OK\r\nx-a: ", b"a")
        async with serving(slow) as server, pool_on(server.port) as pool:
            with pytest.raises(TransportTimeoutError) as error:
                await asyncio.wait_for(pool.request(HEAD, b"{}", 0.03), LONG)
            assert error.value.sent

    asyncio.run(main())


def test_bytes_that_are_no_body_do_not_prolong_the_wait():
    async def main():
        slow = drips(chunked(b"a", end=False) + b"1;", b"x")  # a chunk's extension
        async with serving(slow) as server, pool_on(server.port) as pool:
            response = await pool.request(HEAD, b"{}", LONG)
            assert await response.read(LONG) == b"a"
            assert await asyncio.wait_for(response.read(0.03), LONG) == b""
            response.close()

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


def test_whatever_fails_while_connecting_is_told_to_who_waits(caplog):
    async def main():
        async def broken(factory):
            raise RuntimeError("surprise")

        async with pool_on(1, broken) as pool:
            with pytest.raises(ConnectError, match="surprise") as error:
                await ask(pool)
            assert not error.value.sent

    asyncio.run(main())
    assert "unexpected" in caplog.text


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
