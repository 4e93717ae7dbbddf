"""Nothing of one client outlasts its time or outgrows its bytes, whatever the client does.

A table of states of a connection, of misbehaviours in each, and of when it ends. One step is one
second: the client does something, then the server looks at the clock. What memory cannot show is in
`test_client_bounds_on_sockets.py`; docs/security.md has the numbers.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import weakref

import pytest
from client_states import MIB, STATES, Application
from http_client import Connection

from anthropic_bedrock_proxy.http.server.bounds import ConnectionBounds

BOUNDS = ConnectionBounds()
READ = 64 * 1024  # the server's one buffer: a read may go over a bound by as much
PIECE = 4096  # what holds a few parts
WHILE_AT_WORK = 400  # seconds: no bound of the server's, the application has its own


class Peer:
    """A client in one of the states; its misbehaviours are its methods, called once a second."""

    def __init__(self, state, *, deaf, bounds=BOUNDS):
        self.application = Application()
        self.connection = Connection(self.application, lambda _: None, bounds=bounds)
        self.connection.transport.blocked = deaf
        self.state = state
        self.seconds = 0
        self.most_held = 0
        self.backlog = b""  # what the client's kernel keeps while the server does not read

    async def begin(self):
        self.send(STATES[self.state])
        await self.settle()

    async def settle(self, rounds=6):
        for _ in range(rounds):
            await asyncio.sleep(0)
            self.arrive()
        self.most_held = max(self.most_held, self.held())

    async def step(self, misbehave):
        misbehave()
        await self.settle()
        if not self.gone:
            self.seconds += 1
            self.connection.pass_time(1)
            await self.settle()

    def send(self, data):
        """As kernels do: nothing arrives where nobody reads, and what is on its way is bounded."""
        if len(self.backlog) < READ:
            self.backlog += data
        self.arrive()

    def arrive(self):
        transport = self.connection.transport
        while self.backlog and not (transport.paused or transport.closed):
            piece, self.backlog = self.backlog[:READ], self.backlog[READ:]
            self.connection.feed(piece)

    @property
    def gone(self):
        return self.connection.protocol not in self.connection.server._connections

    def held(self):
        """Bytes that wait for the application or for the client, and what holds them."""
        connection, transport = self.connection.protocol.connection, self.connection.transport
        chunks = connection.body._chunks
        return (
            sum(map(sys.getsizeof, connection.body._received))
            + sys.getsizeof(connection.body._received)
            + sum(map(sys.getsizeof, connection._ahead))
            + sys.getsizeof(connection._ahead)
            + len(connection._head_reader._held)
            + (len(chunks._line) if chunks is not None else 0)
            + len(transport.unsent)
        )

    # What a client may do

    def silent(self):
        pass

    def drips(self):
        self.send(b"a")

    def drips_blank_lines(self):
        self.send(b"\r\n")

    def drips_at_the_last_moment(self):
        if self.seconds % 59 == 58:
            self.send(b"a" if self.seconds > 60 else b"GET / HTTP/1.1\r\nA: ")

    def drips_chunks(self):
        self.send(b"2;a\r\nab\r\n")

    def asks_on(self):
        if self.seconds % 10 == 0:
            self.send(STATES["whole answer"])

    def floods(self):
        self.send(b"a" * READ * 4)

    def floods_blank_lines(self):
        self.send(b"\r\n" * READ)

    def crumbles(self):
        """Two bytes in each packet."""
        for _ in range(1000):
            if not self.connection.transport.paused:
                self.connection.feed(b"ab")

    def crumbles_chunks(self):
        for _ in range(1000):
            if not self.connection.transport.paused:
                self.connection.feed(b"2\r\nab\r\n")

    def floods_chunks(self):
        self.send(b"2\r\nab\r\n" * READ)

    def floods_requests(self):
        self.send(STATES["whole answer"] * 4000)

    def half_closes(self):
        transport = self.connection.transport
        ended = self.connection.protocol.connection._eof
        stays = ended or transport.closed or self.connection.protocol.eof_received()
        if not stays:
            transport.close()

    def half_closes_then_leaves(self):
        self.half_closes()
        self.connection.transport.error = 104  # a reset that nobody reads

    def leaves_behind_a_flood(self):
        self.floods()
        self.connection.transport.error = 104

    def resets(self):
        """The transport tells it, because it reads."""
        self.connection.transport.abort()


B = BOUNDS
ANSWERED_LATE = B.head_seconds + B.linger_idle_seconds
# State, misbehaviour, whether nothing is read either, seconds until the end, bytes held at most.
ROWS = [
    ("connected", "silent", False, B.head_seconds, 0),
    ("connected", "drips_blank_lines", False, B.head_seconds, 0),
    ("connected", "drips_at_the_last_moment", False, ANSWERED_LATE, 100),
    ("connected", "floods_blank_lines", False, B.head_seconds, 0),
    ("connected", "floods", False, B.linger_seconds, 0),
    ("connected", "floods", True, B.stall_seconds, 100),
    ("connected", "half_closes", False, 0, 0),
    ("connected", "resets", False, 0, 0),
    ("in the head", "silent", False, ANSWERED_LATE, 100),
    ("in the head", "silent", True, B.head_seconds + B.stall_seconds, 200),
    ("in the head", "drips", False, B.head_seconds + B.linger_seconds, 200),
    ("in the head", "drips", True, B.head_seconds + B.stall_seconds, 300),
    ("in the head", "floods", False, B.linger_seconds, B.head_bytes),
    ("in the head", "floods", True, B.stall_seconds, B.head_bytes),
    ("in the head", "half_closes", False, 0, 100),
    ("in the head", "half_closes", True, B.stall_seconds, 200),
    ("in the head", "resets", False, 0, 100),
    ("body awaited", "silent", False, B.body_seconds + B.linger_idle_seconds, 0),
    ("body awaited", "silent", True, B.body_seconds + B.stall_seconds, 100),
    ("body awaited", "drips", False, B.body_seconds + B.linger_seconds, 100),
    ("body awaited", "drips", True, B.body_seconds + B.stall_seconds, 100),
    ("body awaited", "floods", False, MIB // (4 * READ) + B.linger_seconds, READ),
    ("body awaited", "half_closes", False, 0, 0),
    ("body awaited", "half_closes", True, B.stall_seconds, 100),
    ("body awaited", "resets", False, 0, 0),
    ("chunks awaited", "silent", False, B.body_seconds + B.linger_idle_seconds, 0),
    ("chunks awaited", "drips_chunks", False, B.body_seconds + B.linger_seconds, 100),
    ("chunks awaited", "drips_chunks", True, B.body_seconds + B.stall_seconds, 100),
    ("chunks awaited", "floods", False, B.linger_seconds, 0),
    ("chunks awaited", "floods_chunks", False, MIB // (2 * READ) + B.linger_seconds, READ),
    ("chunks awaited", "half_closes", False, 0, 0),
    ("chunks awaited", "resets", False, 0, 0),
    ("body not asked for", "silent", False, None, 0),
    ("body not asked for", "drips", False, None, B.unread_body_bytes),
    ("body not asked for", "floods", False, None, B.unread_body_bytes + READ),
    ("body not asked for", "crumbles", False, None, B.unread_body_bytes),
    ("body not asked for", "leaves_behind_a_flood", False, 1, B.unread_body_bytes + READ),
    ("body not asked for", "half_closes", False, None, 0),
    ("body not asked for", "resets", False, 0, 0),
    ("chunks not asked for", "drips_chunks", False, None, B.unread_body_bytes),
    ("chunks not asked for", "crumbles_chunks", False, None, B.unread_body_bytes),
    ("chunks not asked for", "floods_chunks", False, None, B.unread_body_bytes + READ),
    ("chunks not asked for", "floods", False, None, 0),
    ("body not wanted", "silent", False, B.body_seconds, 0),
    ("body not wanted", "silent", True, B.body_seconds, 100),
    ("body not wanted", "drips", False, B.body_seconds, 0),
    ("body not wanted", "drips", True, B.body_seconds, 100),
    ("body not wanted", "floods", False, 1 + B.linger_seconds, 0),
    ("body not wanted", "half_closes", False, 0, 0),
    ("body not wanted", "half_closes", True, B.body_seconds, 100),
    ("body not wanted", "resets", False, 0, 0),
    ("at work", "silent", False, None, 0),
    ("at work", "drips", False, None, B.ahead_bytes),
    ("at work", "crumbles", False, None, B.ahead_bytes),
    ("at work", "floods", False, None, B.ahead_bytes + READ),
    ("at work", "floods_requests", False, None, B.ahead_bytes + READ),
    ("at work", "leaves_behind_a_flood", False, 1, B.ahead_bytes + READ),
    ("at work", "half_closes", False, None, 0),
    ("at work", "half_closes_then_leaves", False, 1, 0),
    ("at work", "resets", False, 0, 0),
    ("streaming", "silent", False, None, 0),
    ("streaming", "silent", True, 2 + B.stall_seconds, B.unsent_bytes + 2000),
    ("streaming", "drips", True, 2 + B.stall_seconds, B.unsent_bytes + 2000 + 300),
    ("streaming", "floods", False, None, B.ahead_bytes + READ),
    (
        "streaming",
        "floods",
        True,
        2 + B.stall_seconds,
        B.unsent_bytes + B.ahead_bytes + READ + 2000,
    ),
    ("streaming", "half_closes", False, None, 0),
    ("streaming", "half_closes", True, 2 + B.stall_seconds, B.unsent_bytes + 2000),
    ("streaming", "half_closes_then_leaves", False, 1, 0),
    ("streaming", "resets", False, 0, 0),
    ("whole answer", "silent", True, B.stall_seconds, 200),
    ("whole answer", "drips_blank_lines", True, B.stall_seconds, 200),
    ("whole answer", "drips_at_the_last_moment", True, 58 + 60 + B.stall_seconds, 300),
    ("whole answer", "floods", True, B.stall_seconds, 300),
    ("whole answer", "half_closes", True, B.stall_seconds, 200),
    ("whole answer", "resets", True, 0, 200),
    ("large answer", "silent", True, B.stall_seconds, 200_200),
    ("large answer", "drips", True, B.stall_seconds, 200_500),
    ("large answer", "floods", True, B.stall_seconds, 200_200 + B.ahead_bytes + READ),
    ("large answer", "floods_requests", True, B.stall_seconds, 200_200 + B.ahead_bytes + READ),
    ("large answer", "half_closes", True, B.stall_seconds, 200_200),
    ("large answer", "resets", True, 0, 200_200),
    ("last answer", "silent", False, 0, 0),
    ("last answer", "silent", True, B.stall_seconds, 200),
    ("last answer", "floods", True, B.stall_seconds, 200),
    ("idle", "silent", False, B.idle_seconds, 0),
    ("idle", "drips_blank_lines", False, B.idle_seconds, 0),
    ("idle", "drips_at_the_last_moment", False, 58 + ANSWERED_LATE, 100),
    ("idle", "floods_blank_lines", False, B.idle_seconds, 0),
    ("idle", "floods", False, B.linger_seconds, 0),
    ("idle", "half_closes", False, 0, 0),
    ("idle", "resets", False, 0, 0),
    ("lingering", "silent", False, B.linger_idle_seconds, 0),
    ("lingering", "silent", True, B.stall_seconds, 200),
    ("lingering", "drips", False, B.linger_seconds, 0),
    ("lingering", "drips", True, B.stall_seconds, 200),
    ("lingering", "floods", False, B.linger_seconds, 0),
    ("lingering", "floods_requests", False, B.linger_seconds, 0),
    ("lingering", "half_closes", False, 0, 0),
    ("lingering", "half_closes", True, B.stall_seconds, 200),
    ("lingering", "resets", False, 0, 0),
]


def name_of(row):
    state, misbehaviour, deaf, _, _ = row
    return f"{state}-{misbehaviour}{'-and reads nothing' * deaf}"


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_a_client_ends_with_its_time_and_holds_no_more_than_its_bytes(row):
    asyncio.run(judge(*row))


async def judge(state, misbehaviour, deaf, seconds, held):
    peer = Peer(state, deaf=deaf)
    await peer.begin()
    misbehave = getattr(peer, misbehaviour)
    while not peer.gone and peer.seconds < (WHILE_AT_WORK if seconds is None else 2 * seconds + 10):
        await peer.step(misbehave)
    assert peer.most_held <= held + PIECE
    if seconds is None:
        assert not peer.gone
        assert not peer.application.cancelled
        peer.application.done.set()
        await peer.settle(rounds=20_000)
        while not peer.gone and peer.seconds < WHILE_AT_WORK + 500:
            await peer.step(peer.silent)
        assert peer.seconds <= WHILE_AT_WORK + B.idle_seconds
    else:
        assert peer.seconds == seconds
    assert peer.gone
    nothing_is_left_of(peer)


def nothing_is_left_of(peer):
    connection = peer.connection
    assert not connection.server._connections
    assert connection.protocol._task is None
    assert connection.protocol._prober is None
    assert peer.application.cancelled <= 1
    # A protocol has no weak references, but nothing outlives its transport that it holds.
    transport = weakref.ref(connection.transport)
    peer.connection = None
    del connection
    gc.collect()
    assert transport() is None


def test_who_ends_its_side_behind_bad_chunks_learns_that_they_are_bad():
    async def run():
        peer = Peer("chunks awaited", deaf=False)
        got = []
        peer.connection.transport.on_write = got.append
        await peer.begin()
        peer.connection.feed(b"no size\r\n")
        peer.half_closes()  # in the same round of the loop
        await peer.settle()
        assert got[0].startswith(b"HTTP/1.1 400 ")
        assert peer.gone
        nothing_is_left_of(peer)

    asyncio.run(run())
