"""One request after the other as two servers read them from the same bytes: ours, and h11."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

import h11

from anthropic_bedrock_proxy.http.server.bounds import ConnectionBounds
from anthropic_bedrock_proxy.http.server.clock import Clock
from anthropic_bedrock_proxy.http.server.connection import Connection
from anthropic_bedrock_proxy.http.server.head import Head
from anthropic_bedrock_proxy.http.server.request_reader import Leave


@dataclass
class Read:
    """One request."""

    method: str
    target: bytes
    headers: dict[bytes, bytes]
    body: bytes = b""
    complete: bool = False


@dataclass
class Outcome:
    """All requests of a connection; `refusal` is why there are no more, `closed` that there are
    none because the last one said so. HTTP/1.0 ends it: h11 keeps no such connection."""

    requests: list[Read] = field(default_factory=list)
    refusal: str = ""
    closed: bool = False


def take_body(connection: Connection) -> bytes:
    """Returns what has come of a body, as an application gets it: by asking first."""
    connection.ask_for_body()
    return connection.body.take()


def by_ours(
    data: bytes, cuts: Iterable[int] = (), bounds: ConnectionBounds | None = None
) -> Outcome:
    """What our connection reads, when every request is read to its end and answered at once."""
    connection, outcome = Connection(bounds or ConnectionBounds(), Clock()), Outcome()
    for start, end in pairwise([0, *sorted(cuts), len(data)]):
        if start < end and connection.reading:
            connection.receive(data[start:end])
            while _serve(connection, outcome):
                pass
        if outcome.refusal or outcome.closed:
            break
    return outcome


def _serve(connection: Connection, outcome: Outcome) -> bool:
    """Goes one step on; whether that was possible."""
    head = connection.request
    if head is not None:
        connection.ask_for_body()
    done = connection.body.done
    if head is not None and (not outcome.requests or outcome.requests[-1].complete):
        outcome.requests.append(_as_read(head))
    if connection.refusal is not None or connection.body.error is not None:
        outcome.refusal = str(connection.refusal or connection.body.error)
        if connection.body.error is not None:
            outcome.requests[-1].body = b""  # what came before a bad chunk, or in one piece with it
        return False
    if head is None:
        return False
    read = outcome.requests[-1]
    read.body += connection.body.take()
    if not done:
        connection.await_body()
        return False
    read.complete = True
    connection.answer(200, b"", b"")
    outcome.closed = connection.leave is not Leave.STAY or not head.modern
    return not outcome.closed


def _as_read(head: Head) -> Read:
    query = b"?" + head.query if head.query else b""
    return Read(head.method, head.raw_path + query, dict(head.headers))


def by_h11(data: bytes) -> Outcome:
    """What h11 reads. An answer of its own lets it go on behind each request."""
    wire, outcome = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20), Outcome()
    wire.receive_data(data)
    try:
        while (event := wire.next_event()) is not h11.NEED_DATA:
            if isinstance(event, h11.Request):
                outcome.requests.append(
                    Read(event.method.decode(), event.target, _joined(event.headers))
                )
            elif isinstance(event, h11.Data):
                outcome.requests[-1].body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                outcome.requests[-1].complete = True
                wire.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
                wire.send(h11.EndOfMessage())
                if wire.our_state is not h11.DONE:
                    outcome.closed = True
                    return outcome
                wire.start_next_cycle()
    except h11.RemoteProtocolError as error:
        outcome.refusal = str(error)
    return outcome


def _joined(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    joined: dict[bytes, bytes] = {}
    for name, value in headers:
        joined[name] = b"%b, %b" % (joined[name], value) if name in joined else value
    return joined
