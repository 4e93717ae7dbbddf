"""Requests as a connection reads them: phases, bodies in pieces, what is held and what waits."""

from __future__ import annotations

import sys

import pytest
from peers import take_body
from wire_requests import CHUNKED, GET, post, written

from anthropic_bedrock_proxy.http.server.bounds import ConnectionBounds
from anthropic_bedrock_proxy.http.server.connection import Connection
from anthropic_bedrock_proxy.http.server.errors import ProtocolError
from anthropic_bedrock_proxy.http.server.request_reader import Leave


def test_a_request_waits_for_the_answer_to_the_one_before(connection):
    connection.receive(GET + GET.replace(b"/ ", b"/b "))
    assert (connection.request.path, connection.waiting) == ("/", False)
    connection.answer(200, b"", b"1")
    assert connection.request.path == "/b"
    connection.answer(200, b"", b"2")
    assert connection.waiting
    assert written(connection).count(b"HTTP/1.1 200 OK\r\n") == 2


def test_reading_pauses_where_a_client_is_far_ahead(connection):
    connection.receive(GET)
    assert connection.reading
    connection.receive(b"x" * 80)
    assert not connection.reading
    connection.answer(200, b"", b"")
    assert connection.refusal is not None


def test_reading_pauses_where_nobody_takes_the_body(connection):
    connection.receive(post(200, b"x" * 49))
    assert connection.reading
    connection.receive(b"x")
    assert (connection.reading, connection.body.here) == (False, True)
    assert take_body(connection) == b"x" * 50
    assert (connection.reading, connection.body.here) == (True, False)
    assert take_body(connection) == b""


def test_further_requests_wait_while_the_client_reads_no_answers(connection, later):
    connection.receive(GET)
    connection.allow_writing(False)
    connection.answer(200, b"", b"")
    connection.receive(GET)
    assert connection.request is None
    connection.allow_writing(True)
    assert connection.request is not None
    connection.allow_writing(True)


def test_the_end_of_the_clients_side_waits_with_what_came_before_it(connection):
    connection.receive(GET)
    connection.allow_writing(False)
    connection.answer(200, b"", b"")
    connection.receive(GET)
    connection.eof()
    assert (connection.leave, connection.reading) == (Leave.STAY, False)
    connection.allow_writing(True)
    assert connection.request is not None
    connection.answer(200, b"", b"")
    assert connection.leave is Leave.CLOSE


def test_a_body_that_ended_with_the_clients_side_is_known_to_be_cut_short(connection):
    connection.receive(GET + post(5, b"he"))
    connection.eof()
    connection.answer(200, b"", b"")
    with pytest.raises(ProtocolError, match="ended before"):
        take_body(connection)
    connection.answer(400, b"", b"")
    assert connection.leave is Leave.CLOSE


@pytest.mark.parametrize(("rest", "refused"), [(b"\r\n", False), (GET[:9], True)])
def test_what_is_left_when_the_clients_side_has_ended_is_no_request(connection, rest, refused):
    connection.receive(GET + rest)
    connection.eof()
    connection.answer(200, b"", b"")
    assert (connection.refusal is not None) is refused
    if refused:
        connection.answer(400, b"", b"")
    assert connection.leave is Leave.CLOSE


@pytest.mark.parametrize("ahead", [False, True])
def test_a_body_or_requests_in_crumbs_take_no_more_memory_than_their_bytes(ahead, clock):
    connection = Connection(ConnectionBounds(), clock)
    head = b"POST / HTTP/1.1\r\nHost: x\r\n"
    connection.receive(GET if ahead else head + b"Transfer-Encoding: chunked\r\n\r\n")
    crumb = b"ab" if ahead else b"2\r\nab\r\n"
    connection.ask_for_body()  # else they are held as they came
    for _ in range(8000):
        connection.receive(crumb)
    parts = connection._ahead if ahead else connection.body._received
    assert sum(map(sys.getsizeof, parts)) < 16_000 + 4096
    assert b"".join(parts) == b"ab" * 8000


def test_a_client_is_told_once_to_send_its_body(connection):
    connection.receive(post(5, b"", b"Expect: 100-continue"))
    connection.await_body()
    connection.await_body()
    assert written(connection) == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.receive(b"hello")
    assert take_body(connection) == b"hello"
    connection.answer(200, b"", b"")
    assert connection.leave is Leave.STAY


def test_a_client_that_did_not_wait_is_not_told(connection):
    connection.receive(post(5, b"he", b"Expect: 100-continue"))
    connection.await_body()
    assert written(connection) == b""
    connection.receive(b"llo")
    assert take_body(connection) == b"hello"


def test_nothing_is_told_where_nothing_is_to_come(connection):
    connection.receive(b"GET / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n")
    connection.await_body()
    assert written(connection) == b""


def test_it_is_idle_while_nothing_of_a_request_has_come(connection):
    assert connection.idle
    connection.receive(b"\r\n")  # blank lines before a request are none of it
    assert connection.idle
    connection.receive(GET[:1])
    assert not connection.idle
    connection.receive(GET[1:])
    assert not connection.idle
    connection.allow_writing(False)
    connection.receive(GET)
    connection.answer(200, b"", b"")
    assert not connection.idle  # another was sent ahead
    connection.allow_writing(True)
    connection.answer(200, b"", b"")
    assert connection.idle


def test_bad_chunks_end_the_body_and_the_connection(connection, later):
    connection.receive(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n")
    assert isinstance(connection.body.error, ProtocolError)
    connection.receive(GET)
    assert later(1000) is Leave.STAY
    connection.eof()
    connection.answer(400, b"", b"")
    assert connection.leave is Leave.CLOSE


def test_a_connection_that_was_let_go_reads_nothing(connection):
    since = connection.since
    connection.receive(b"GET /")
    connection.let_go()
    connection.receive(GET)
    assert (connection.request, connection.since) == (None, since)


class Data(bytes):
    """Bytes that tell when nobody holds them any more."""

    gone = 0

    def __del__(self):
        Data.gone += 1


def test_nothing_of_a_body_that_was_refused_is_kept_while_the_connection_lingers(connection):
    before = Data.gone
    connection.receive(CHUNKED + b"1\r\na\r\n")
    connection.receive(Data(b"1;" + b"a" * 200))
    with pytest.raises(ProtocolError):
        take_body(connection)
    connection.answer(431, b"", b"")
    assert connection.leave == Leave.LINGER
    assert connection.body.error is None
    assert Data.gone == before + 1


def test_many_small_chunks_are_held_as_the_bytes_that_they_are(connection):
    connection.receive(CHUNKED)
    connection.receive(b"1\r\na\r\n" * 30)
    connection.receive(b"2\r\nbb\r\n" * 10)
    assert (
        sys.getsizeof(connection.body._received)
        + sum(map(sys.getsizeof, connection.body._received))
        < 300
    )
    assert take_body(connection) == b"a" * 30 + b"b" * 20


def test_chunks_that_nobody_has_asked_for_are_held_and_not_read(clock):
    connection = Connection(ConnectionBounds(), clock)
    connection.receive(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    body = b"1\r\nx\r\n" * 3000 + b"0\r\n\r\n"
    connection.receive(body)
    assert (connection.body.done, connection.body.here) == (False, False)
    connection.ask_for_body()
    assert connection.body.done
    assert take_body(connection) == b"x" * 3000


def test_chunks_that_nobody_asks_for_are_dropped_with_the_answer(clock):
    connection = Connection(ConnectionBounds(), clock)
    connection.receive(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    connection.receive(b"1\r\nx\r\n" * 3000)
    connection.answer(401, b"", b"")
    assert connection.leave is Leave.LINGER
    assert connection.body.held == []


def test_a_client_that_ends_its_side_behind_chunks_is_judged_by_all_of_them(clock):
    connection = Connection(ConnectionBounds(), clock)
    connection.receive(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    connection.receive(b"1\r\nx\r\n" * 3000 + b"0\r\n\r\n")
    connection.eof()
    assert connection.body.error is None
    assert take_body(connection) == b"x" * 3000
