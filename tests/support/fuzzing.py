"""Mutated cases of the corpus against a connection: whatever comes, it stays sound and it ends."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

from corpus import load
from peers import by_ours, take_body

from anthropic_bedrock_proxy.http.server.bounds import ConnectionBounds
from anthropic_bedrock_proxy.http.server.clock import Clock
from anthropic_bedrock_proxy.http.server.connection import Connection
from anthropic_bedrock_proxy.http.server.errors import ProtocolError
from anthropic_bedrock_proxy.http.server.request_reader import Leave

# Small, so that small inputs reach them.
BOUNDS = ConnectionBounds(
    head_bytes=4096,
    headers=50,
    target_bytes=1024,
    unread_body_bytes=1024,
    skipped_body_bytes=2048,
    framing_bytes=512,
    ahead_bytes=1024,
)
_LARGEST = 6000  # bytes of an input
_PIECES = 24
_OVERHEAD_STEPS = 400  # requests in 6000 bytes, and ticks until the last bound is over
_TOKENS = (
    *(
        b"\r\n",
        b"\r",
        b"\n",
        b"\r\n\r\n",
        b"\0",
        b" ",
        b"\t",
        b":",
        b",",
        b";",
        b"\xff",
        b"#",
        b"%",
    ),
    *(
        b"Content-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"0\r\n\r\n",
        b"5\r\n",
        b"fffff",
    ),
    *(
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"HTTP/1.0",
        b"Expect: 100-continue\r\n",
        b"Upgrade: h2c",
    ),
    *(b"Connection: close\r\n", b"Connection: upgrade\r\n", b"HEAD /", b"POST /early ", b"/stream"),
)


def inputs(seed: int) -> Iterator[bytes]:
    """Mutations of cases, without end."""
    draw = random.Random(seed)
    corpus = load()
    cases = sorted({case.sent[:_LARGEST] for case in corpus})
    served = [case for case in corpus if all(answer.status < 300 for answer in case.answers)]
    good = sorted({case.sent[:_LARGEST] for case in served})
    while True:
        data = draw.choice(draw.choice((cases, good, good)))
        for _ in range(draw.choice((1, 1, 2, 4))):
            data = _mutated(data, cases, draw)
        yield data[:_LARGEST]


def _mutated(data: bytes, cases: list[bytes], draw: random.Random) -> bytes:
    at = draw.randint(0, len(data))
    end = min(len(data), at + draw.choice((1, 2, 8, 64)))
    match draw.randrange(7):
        case 0:  # a byte is another
            return data[:at] + bytes([draw.randrange(256)]) + data[at + 1 :]
        case 1:  # a bit is flipped
            return (
                data[:at]
                + bytes(byte ^ 1 << draw.randrange(8) for byte in data[at : at + 1])
                + (data[at + 1 :])
            )
        case 2:  # something is lost
            return data[:at] + data[end:]
        case 3:  # something comes twice
            return data[:end] + data[at:]
        case 4:  # something is put in
            return data[:at] + draw.choice(_TOKENS) + data[at:]
        case 5:  # another case goes on
            other = draw.choice(cases)
            return data[:at] + other[draw.randint(0, len(other)) :]
        case _:  # the end is missing
            return data[:at]


class Fuzz:
    """Runs inputs; `counts` says what came of them. `AssertionError` is for what must not be."""

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed ^ 0x5EED)
        self.counts: Counter[str] = Counter()

    def run(self, data: bytes) -> None:
        """One connection from its first byte to its end."""
        draw, clock = self._draw, Clock()
        connection = Connection(BOUNDS, clock)
        cuts = sorted(draw.randint(0, len(data)) for _ in range(draw.randint(0, _PIECES)))
        pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, None], strict=True)]
        assert by_ours(data, cuts, BOUNDS) == by_ours(data, (), BOUNDS), "a cut makes a difference"
        largest, steps = max(map(len, pieces)), 0
        for piece in filter(None, pieces):
            if connection.reading and connection.leave in (Leave.STAY, Leave.LINGER):
                connection.receive(piece)
            steps += self._serve(connection, largest)
        if draw.random() < 0.5 and connection.leave in (Leave.STAY, Leave.LINGER):
            connection.eof()
        while connection.leave not in (Leave.CLOSE, Leave.ABORT):
            steps += 1 + self._serve(connection, largest)
            clock.now += 20
            connection.tick(unsent=0)
            assert steps < _OVERHEAD_STEPS + _PIECES, "it does not end"
        self.counts["connections"] += 1

    def _serve(self, connection: Connection, largest: int) -> int:
        """Does what the application would do, as far as it can; how many steps that were."""
        for step in range(_OVERHEAD_STEPS):
            self._check(connection, largest)
            if connection.refusal is not None:
                self.counts[f"refused with {connection.refusal.status}"] += 1
                connection.answer(connection.refusal.status, b"", b"{}")
            elif connection.request is None or not self._answer(connection):
                return step
            connection.out.clear()
        raise AssertionError("it goes round and round")

    def _answer(self, connection: Connection) -> bool:
        """Answers, if the body is here or does not matter; whether it did."""
        head = connection.request
        status = 200
        if not head.path.startswith("/early"):
            try:
                take_body(connection)
            except ProtocolError as error:
                status = error.status
            else:
                if not connection.body.done:
                    connection.await_body()
                    return connection.body.error is not None
        self.counts["answered" if status == 200 else f"refused with {status} for its body"] += 1
        if head.path.startswith("/stream"):
            connection.begin(status, b"")
            connection.write(b"part")
            connection.end()
        else:
            connection.answer(status, b"", b"{}")
        return True

    def _check(self, connection: Connection, largest: int) -> None:
        assert connection.request is None or connection.refusal is None
        assert connection._ahead_bytes <= BOUNDS.ahead_bytes + largest
        assert connection.body.size <= BOUNDS.unread_body_bytes + largest
        assert len(connection._head_reader._held) <= BOUNDS.head_bytes + largest
        chunks = connection.body._chunks
        assert chunks is None or len(chunks._line) <= BOUNDS.framing_bytes + 20
