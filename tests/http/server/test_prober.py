"""The question whether a client is still there, second by second, without a loop."""

from __future__ import annotations

import pytest

from anthropic_bedrock_proxy.http.server.bounds import ConnectionBounds
from anthropic_bedrock_proxy.http.server.clock import Clock
from anthropic_bedrock_proxy.http.server.connection import Connection
from anthropic_bedrock_proxy.http.server.prober import Prober
from anthropic_bedrock_proxy.http.server.request_reader import Leave

BOUNDS = ConnectionBounds(probe_seconds=1, next_probe_seconds=10)


class Timer:
    def __init__(self, at, call):
        self.at, self.call = at, call
        self.cancelled = False

    def cancel(self):
        self.cancelled = True


class Loop:
    """Timers that go off when the test says that their time has come."""

    def __init__(self):
        self.now = 0.0
        self.timers = []

    def call_later(self, seconds, call):
        self.timers.append(Timer(self.now + seconds, call))
        return self.timers[-1]

    def pass_time(self, seconds):
        end = self.now + seconds
        while due := [timer for timer in self.timers if timer.at <= end]:
            timer = min(due, key=lambda timer: timer.at)
            self.timers.remove(timer)
            self.now = timer.at
            if not timer.cancelled:
                timer.call()
        self.now = end


class Channel:
    """A connection that serves a request, and what it was told to do."""

    def __init__(self, version=b"1.1"):
        self.connection = Connection(BOUNDS, Clock())
        self.connection.receive(b"GET / HTTP/%b\r\nHost: x\r\n\r\n" % version)
        self.reading = False
        self.serving = True
        self.peer_is_gone = False
        self.asked = 0

    def act(self):
        self.asked += len(self.connection.out)
        self.connection.out = []


@pytest.fixture
def loop():
    return Loop()


def begun(channel, loop):
    prober = Prober(channel, BOUNDS, loop)
    prober.begin()
    prober.begin()  # it is at it already
    assert len(loop.timers) == 1
    return prober


def test_a_client_that_answers_by_a_reset_has_left(loop):
    channel = Channel()
    begun(channel, loop)
    loop.pass_time(1)
    assert (channel.asked, channel.connection.leave) == (1, Leave.STAY)
    channel.peer_is_gone = True
    loop.pass_time(1)
    assert channel.connection.leave == Leave.ABORT
    assert loop.timers == []


def test_a_client_that_reads_is_asked_again_after_a_while(loop):
    channel = Channel()
    begun(channel, loop)
    loop.pass_time(11)
    assert channel.asked == 1
    loop.pass_time(1)
    assert channel.asked == 2
    assert channel.connection.leave == Leave.STAY


def test_a_client_that_cannot_be_asked_now_may_be_later(loop):
    channel = Channel(b"1.0")
    begun(channel, loop)
    loop.pass_time(10)
    assert channel.asked == 0
    channel.connection.begin(200, b"", filler=b":\n\n")
    channel.connection.out = []
    loop.pass_time(1)
    assert channel.asked == 1


@pytest.mark.parametrize("change", [{"reading": True}, {"serving": False}])
def test_who_is_read_or_not_served_is_not_asked(change, loop):
    channel = Channel()
    prober = begun(channel, loop)
    vars(channel).update(change)
    loop.pass_time(100)
    assert (channel.asked, loop.timers) == (0, [])
    vars(channel).update(reading=False, serving=True)
    prober.begin()
    loop.pass_time(1)
    assert channel.asked == 1


def test_nobody_is_asked_behind_the_end(loop):
    channel = Channel()
    prober = begun(channel, loop)
    prober.stop()
    prober.stop()
    loop.pass_time(100)
    assert channel.asked == 0
