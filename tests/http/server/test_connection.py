"""The connection without a network: answers, time-outs and endings, tick by tick."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from peers import take_body
from wire_requests import BOUNDS, GET, post, written

from anthropic_bedrock_proxy.http.server.bounds import ConnectionBounds
from anthropic_bedrock_proxy.http.server.clock import Clock
from anthropic_bedrock_proxy.http.server.connection import Connection
from anthropic_bedrock_proxy.http.server.errors import BodyTooSlowError, ProtocolError
from anthropic_bedrock_proxy.http.server.request_reader import Leave


def test_what_waits_for_a_client_that_reads_nothing_is_bounded_in_time(connection, later):
    connection.receive(GET)
    connection.answer(200, b"", b"")
    assert later(39, unsent=1) is Leave.STAY
    assert later(1, unsent=1) is Leave.ABORT


def test_a_body_is_late_from_when_it_is_waited_for(connection, later):
    connection.receive(post(5))
    assert later(100) is Leave.STAY
    connection.await_body()
    later(29)
    assert connection.body.error is None
    connection.receive(b"he")
    assert take_body(connection) == b"he"
    connection.await_body()
    later(1)
    assert isinstance(connection.body.error, BodyTooSlowError)
    with pytest.raises(BodyTooSlowError, match="30 s"):
        take_body(connection)
    connection.answer(400, b"", b"")
    assert connection.leave is Leave.LINGER


def test_a_small_rest_of_a_body_is_passed_over_and_waited_for_in_time(connection, later):
    connection.receive(post(100))
    connection.answer(401, b"", b"")
    assert b"connection: close" not in written(connection)
    connection.receive(b"x" * 99)
    connection.receive(b"x" + GET)
    assert connection.request.method == "GET"
    connection.answer(200, b"", b"")
    connection.receive(post(5))
    connection.answer(401, b"", b"")
    assert later(29) is Leave.STAY
    connection.receive(b"x")
    assert later(1) is Leave.ABORT


def test_a_rest_of_a_body_that_ends_with_the_clients_side_ends_the_connection(connection):
    connection.receive(post(5))
    connection.answer(401, b"", b"")
    connection.eof()
    assert connection.leave is Leave.CLOSE


@pytest.mark.parametrize(
    "request_bytes",
    [
        post(101),
        post(5, b"", b"Expect: 100-continue"),
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_a_rest_of_a_body_that_may_be_long_ends_the_connection(connection, request_bytes):
    connection.receive(request_bytes)
    connection.answer(401, b"", b"")
    assert b"connection: close" in written(connection)
    assert connection.leave is Leave.LINGER
    connection.receive(b"x" * 1000)
    assert connection.request is None
    assert connection.refusal is None


def test_a_connection_lingers_until_its_client_is_silent_or_its_time_is_over(connection, later):
    connection.receive(b"GET / HTTP/1.1\r\n\r\n")
    connection.answer(400, b"", b"")
    assert connection.leave is Leave.LINGER
    assert later(4) is Leave.LINGER
    connection.receive(b"x")
    assert later(4) is Leave.LINGER
    connection.receive(b"x")
    assert later(4) is Leave.CLOSE


def test_a_silent_client_is_not_waited_for(connection, later):
    connection.receive(b"GET / HTTP/1.1\r\n\r\n")
    connection.answer(400, b"", b"")
    assert later(5) is Leave.CLOSE


def test_a_client_that_does_not_read_its_last_answer_is_cut_off(connection, later):
    connection.receive(b"GET / HTTP/1.1\r\n\r\n")
    connection.answer(400, b"", b"")
    assert later(39, unsent=1) is Leave.LINGER
    assert later(1, unsent=1) is Leave.ABORT


def test_a_client_that_ends_its_side_need_not_be_waited_for(connection):
    connection.receive(b"GET / HTTP/1.1\r\n\r\n")
    connection.answer(400, b"", b"")
    connection.eof()
    assert connection.leave is Leave.CLOSE


def test_a_connection_that_is_idle_ends(connection, later):
    assert later(9) is Leave.STAY
    connection.receive(GET)
    later(1000)
    assert connection.request is not None
    connection.answer(200, b"", b"")
    assert later(19) is Leave.STAY
    assert later(1) is Leave.CLOSE


def test_a_connection_that_never_spoke_ends_sooner(connection, later):
    assert later(10) is Leave.CLOSE


def test_a_late_head_is_refused_once(connection, later):
    connection.receive(b"GET / HT")
    later(9)
    assert connection.refusal is None
    connection.receive(b"TP/1.1\r\n")
    later(1)
    refusal = connection.refusal
    assert refusal.status == 408
    connection.receive(b"Host: x\r\n\r\n")
    later(10)
    assert connection.refusal is refusal
    assert connection.request is None


def test_who_is_silent_first_has_no_more_time_for_its_head(connection, later):
    later(9)
    connection.receive(b"GET / HTTP/1.1\r\n")
    later(1)
    assert connection.refusal.status == 408


def test_further_heads_have_their_time_from_their_first_byte(connection, later):
    connection.receive(GET)
    connection.answer(200, b"", b"")
    later(9)
    connection.receive(b"GET / HTTP/1.1\r\n")
    later(9)
    assert connection.refusal is None
    later(1)
    assert connection.refusal.status == 408


def test_the_application_may_end_the_connection(connection):
    connection.receive(GET + GET)
    connection.close_after_answer()
    connection.answer(200, b"", b"")
    assert b"connection: close\r\n" in written(connection)
    assert (connection.leave, connection.request) == (Leave.LINGER, None)


def test_a_server_that_stops_ends_each_connection_with_its_answer(connection, clock):
    connection.receive(GET)
    clock.draining = True
    connection.answer(200, b"", b"")
    assert b"connection: close\r\n" in written(connection)
    assert connection.leave is Leave.CLOSE


def test_an_answer_that_began_before_the_stop_does_not_end_its_connection(connection, clock):
    """It did not say so, and another request may be on its way: that one's answer says it."""
    connection.receive(GET)
    connection.begin(200, b"", 1)
    clock.draining = True
    connection.write(b"a")
    connection.end()
    assert connection.leave is Leave.STAY
    connection.receive(GET)
    connection.answer(200, b"", b"")
    assert written(connection).count(b"connection: close\r\n") == 1
    assert connection.leave is Leave.CLOSE


def test_an_answer_that_said_it_would_close_does(connection, clock):
    connection.receive(GET)
    clock.draining = True
    connection.begin(200, b"")
    clock.draining = False
    connection.write(b"a")
    connection.write(b"")
    connection.end()
    assert written(connection).endswith(b"connection: close\r\n\r\n1\r\na\r\n0\r\n\r\n")
    assert connection.leave is Leave.CLOSE


def test_a_status_without_words_of_its_own_is_written(connection):
    connection.receive(GET)
    connection.answer(599, b"", b"")
    assert written(connection).startswith(b"HTTP/1.1 599 \r\n")


def test_a_client_that_sends_no_more_is_asked_by_a_100_whether_it_reads(connection):
    connection.receive(GET)
    connection.eof()
    assert connection.probe()
    assert written(connection) == b"HTTP/1.1 100 Continue\r\n\r\n"


def test_a_client_in_the_middle_of_an_answer_is_asked_by_a_part_that_means_nothing(connection):
    connection.receive(GET)
    connection.begin(200, b"", filler=b": \n\n")
    written(connection)
    assert connection.probe()
    assert written(connection) == b"4\r\n: \n\n\r\n"


def test_a_client_is_not_asked_where_there_is_no_way_to(connection):
    assert not connection.probe()
    connection.receive(b"GET / HTTP/1.0\r\n\r\n")
    assert not connection.probe()
    connection.begin(200, b"")
    written(connection)
    assert not connection.probe()
    connection.leave = Leave.ABORT
    assert not connection.probe()
    assert written(connection) == b""


def test_a_client_that_ends_its_side_has_left_where_that_is_what_it_means(clock):
    connection = Connection(ConnectionBounds(half_closed=False), clock)
    connection.receive(GET)
    connection.eof()
    assert connection.leave is Leave.ABORT


class Machine(RuleBasedStateMachine):
    """Anything at any time: nothing is raised, every bound holds, no answer is mixed up."""

    def __init__(self):
        super().__init__()
        self.clock = Clock()
        self.connection = Connection(BOUNDS, self.clock)
        self.begun = False
        self.ended = False
        self.read = 0  # in one go, at most

    @precondition(lambda self: self.connection.reading and not self.ended)
    @rule(
        data=st.sampled_from(
            (
                *(
                    GET,
                    GET[:9],
                    GET[9:],
                    post(3, b"abc"),
                    post(70),
                    b"x" * 30,
                    b"\r\n",
                    b"0\r\n\r\n",
                ),
                *(GET * 3, b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"),
                *(
                    b"3\r\nabc\r\n",
                    post(3, b"", b"Expect: 100-continue"),
                    b"GET / HTTP/1.0\r\n\r\n",
                ),
                GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
            )
        )
    )
    def receive(self, data):
        self.connection.receive(data)
        self.read = max(self.read, len(data))

    @precondition(lambda self: not self.ended)
    @rule()
    def eof(self):
        self.connection.eof()
        self.ended = True

    @rule(seconds=st.sampled_from([0, 1, 6, 15, 45]), unsent=st.sampled_from([0, 0, 1]))
    def tick(self, seconds, unsent):
        self.clock.now += seconds
        self.connection.tick(unsent=unsent)

    @rule(allowed=st.booleans())
    def allow_writing(self, allowed):
        self.connection.allow_writing(allowed)

    @precondition(lambda self: self.connection.request is not None)
    @rule()
    def take(self):
        try:
            take_body(self.connection)
        except ProtocolError:
            return
        if not self.connection.body.done:
            self.connection.await_body()

    @precondition(lambda self: self.connection.request is not None and not self.begun)
    @rule(body=st.binary(max_size=5))
    def answer(self, body):
        self.connection.answer(200, b"", body)

    @precondition(lambda self: self.connection.request is not None and not self.begun)
    @rule(closes=st.booleans())
    def begin(self, closes):
        if closes:
            self.connection.close_after_answer()
        self.connection.begin(200, b"")
        self.begun = True

    @precondition(lambda self: self.begun)
    @rule(data=st.binary(max_size=5))
    def write(self, data):
        self.connection.write(data)

    @precondition(lambda self: self.begun)
    @rule()
    def end(self):
        self.begun = False
        self.connection.end()

    @invariant()
    def refusals_are_answered_and_what_is_held_is_bounded(self):
        connection = self.connection
        assert connection.request is None or connection.refusal is None
        if connection.refusal is not None:
            connection.answer(400, b"", b"")
            assert connection.leave in (Leave.LINGER, Leave.CLOSE)
        assert connection._ahead_bytes == sum(map(len, connection._ahead))
        assert connection._ahead_bytes <= BOUNDS.ahead_bytes + self.read
        assert connection.body.size == sum(map(len, connection.body._received))
        assert connection.body.size <= BOUNDS.unread_body_bytes + self.read
        assert len(connection._head_reader._held) <= BOUNDS.head_bytes + self.read
        if connection.leave is Leave.STAY and self.ended:
            assert connection.request is not None or not connection._may_write


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=150, stateful_step_count=25)


@given(st.sampled_from(["head", "body", "skipped", "answered", "refused", "nothing"]), st.data())
def test_whatever_a_client_leaves_unfinished_its_connection_ends(state, draw):
    clock = Clock()
    connection = Connection(BOUNDS, clock)
    connection.receive(
        {
            "head": GET[:9],
            "body": post(50),
            "skipped": post(50),
            "answered": GET,
            "refused": b"GET / HTTP/1.1\r\n\r\n",
            "nothing": b"\r\n",
        }[state]
    )
    unsent = draw.draw(st.sampled_from([0, 1])) if state in ("answered", "refused") else 0
    if state in ("skipped", "answered", "refused"):
        connection.answer(400, b"", b"")
    for _ in range(60):
        clock.now += 1
        if state == "body" and connection.request is not None and connection.body.error is None:
            connection.await_body()
        connection.tick(unsent=unsent)
        if connection.body.error is not None and connection.request is not None:
            connection.answer(400, b"", b"")
        if connection.refusal is not None:
            connection.answer(408, b"", b"")
        if connection.leave in (Leave.CLOSE, Leave.ABORT):
            return
    raise AssertionError(state)
