"""What clients without a key do to the proxy, one kind at a time: see `KINDS`.

Each kind is a coroutine that lives through one connection; `bench.attacker` runs it over and over
on each of its connections. A connection ends when the proxy ends it, or when there is no more
mischief in it.
"""

from __future__ import annotations

import asyncio
import gzip
import random
import secrets
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from . import work
from .wire import Answer, Line

_PER_SECOND: Final = 2000.0  # connections: about half of what one worker can take and drop
_DRIP_SECONDS: Final = 0.2
_HOLD_SECONDS: Final = 120.0  # longer than any time-out that the proxy has for it
_PIPELINED: Final = 4000
_FLOOD: Final = 64 * 1024
_ENDLESS: Final = 10**12  # bytes that a body announces
_MESSAGES: Final = b"POST /v1/messages HTTP/1.1\r\nhost: x\r\nanthropic-version: 2023-06-01\r\n"
_EVENTS: Final = b"POST /api/event_logging/batch HTTP/1.1\r\nhost: x\r\n"
_HEALTH: Final = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"
_CHUNKED: Final = b"transfer-encoding: chunked\r\n\r\n"
_BODY: Final = work.request_body(stream=False)
_BOMB: Final = gzip.compress(bytes(32 * 1024 * 1024))  # 32 KB
_random = random.Random(11)  # noqa: S311  # a reproducible mix, no secret

Attack = Callable[[Line], Awaitable[None]]


def _wrong_key() -> bytes:
    return b"x-api-key: sk-%b\r\n" % secrets.token_hex(24).encode()


def _request(body: bytes = _BODY, headers: bytes = b"") -> bytes:
    length = b"content-length: %d\r\n\r\n" % len(body)
    return _MESSAGES + _wrong_key() + headers + length + body


async def _until_ended(line: Line) -> None:
    """Waits until the proxy ends the connection; then so do we."""
    async with asyncio.timeout(_HOLD_SECONDS):
        await line.receive_all()


async def _flood(line: Line, data: bytes) -> None:
    while True:
        await line.send(data)


async def _drip(line: Line, data: bytes) -> None:
    while True:
        await line.send(data)
        await asyncio.sleep(_DRIP_SECONDS)


async def calm(line: Line) -> None:
    """Nothing but a request now and then: how the numbers are without an attack."""
    await line.send(_HEALTH)
    await line.answer()
    await asyncio.sleep(10.0)


async def resets(line: Line) -> None:
    """Resets a connection after nothing, a part of a head, a head, a part of a body, or all."""
    whole = _request()
    await line.send(whole[: _random.choice((1, 40, 120, 220, 400, len(whole)))])
    await asyncio.sleep(_random.choice((0, 0, 0.001, 0.01)))
    line.reset()


async def head_flood(line: Line) -> None:
    """One header, many headers, or a target, without an end."""
    begin, more = _random.choice(
        (
            (b"GET / HTTP/1.1\r\nhost: x\r\na: ", b"a" * _FLOOD),
            (b"GET / HTTP/1.1\r\nhost: x\r\n", b"a: b\r\n" * 10_000),
            (b"GET /", b"a" * _FLOOD),
        )
    )
    await line.send(begin)
    await _flood(line, more)


async def head_drip(line: Line) -> None:
    """Heads up to their bound, of which a little comes now and then, and never the end."""
    await line.send(b"GET / HTTP/1.1\r\nhost: x\r\na: " + b"a" * 63_000)
    await _drip(line, b"a")


async def body_flood(line: Line) -> None:
    """Bodies without an end, to where a key is needed, to where none is, to where none goes."""
    head = _random.choice(
        (_MESSAGES + _wrong_key(), _EVENTS, b"POST /health HTTP/1.1\r\nhost: x\r\n")
    )
    if _random.random() < 0.5:  # noqa: PLR2004
        await line.send(head + b"content-length: %d\r\n\r\n" % _ENDLESS)
        await _flood(line, bytes(_FLOOD))
    else:
        await line.send(head + _CHUNKED)
        await _flood(line, b"%x\r\n%b\r\n" % (_FLOOD, bytes(_FLOOD)))


async def body_drip(line: Line) -> None:
    """Bodies of which most comes at once and the rest in drips."""
    length = b"content-length: %d\r\n\r\n" % (64 * 1024)
    await line.send(_EVENTS + length + bytes(63 * 1024))
    await _drip(line, b" ")


async def chunk_framing(line: Line) -> None:
    """Chunk extensions and trailers without an end: one, or very many."""
    begin, more = _random.choice(
        (
            (b"1;a=", b"a" * _FLOOD),
            (b"", b"1;a=b\r\nx\r\n" * 6000),
            (b"1\r\nx\r\n0\r\n", b"x-forwarded-for: 10.0.0.1\r\n" * 2000),
            (b"1\r\nx\r\n0\r\na: ", b"a" * _FLOOD),
        )
    )
    await line.send(_random.choice((_EVENTS, _MESSAGES + _wrong_key())) + _CHUNKED + begin)
    await _flood(line, more)


async def pipelines(line: Line) -> None:
    """Thousands of requests before the first answer is read; then all answers are."""
    batch = (_HEALTH + _request() + b"GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n") * 20

    async def send() -> None:
        for _ in range(_PIPELINED // 60):
            await line.send(batch)
        line.finish()

    sender = asyncio.create_task(send())
    try:
        await line.receive_all()
    finally:
        sender.cancel()
        await asyncio.gather(sender, return_exceptions=True)


async def unread(line: Line) -> None:
    """Requests without an end whose answers nobody reads."""
    async with asyncio.timeout(_HOLD_SECONDS):
        await _flood(line, _HEALTH * 500)


async def wrong_keys(line: Line) -> None:
    """Well-formed requests, each with another key."""
    while not (await _asked(line, _request())).closes:
        pass


async def _asked(line: Line, request: bytes) -> Answer:
    await line.send(request)
    return await line.answer()


async def gzip_bombs(line: Line) -> None:
    """32 KB that would be 32 MB."""
    headers = b"content-encoding: gzip\r\n"
    events = _EVENTS + headers + b"content-length: %d\r\n\r\n" % len(_BOMB) + _BOMB
    while True:
        for request in (events, _request(_BOMB, headers)):
            if (await _asked(line, request)).closes:
                return


async def half_closed(line: Line) -> None:
    """Ends its side after nothing, a part of a head, of a body, or a request; then waits."""
    whole = _request()
    await line.send(whole[: _random.choice((1, 40, 220, 400, len(whole)))])
    line.finish()
    await _until_ended(line)


async def idle(line: Line) -> None:
    """Says nothing, or nothing more after a request."""
    if _random.random() < 0.5:  # noqa: PLR2004
        await line.send(_HEALTH)
    await _until_ended(line)


async def malformed(line: Line) -> None:
    """What is no HTTP/1.1: each has its refusal."""
    await line.send(
        _random.choice(
            (
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                b"GET / HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n",
                _MESSAGES + b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
                b"GET / HTTP/1.1\nhost: x\n\n",
            )
        )
    )
    await _until_ended(line)


class Kind(msgspec.Struct, frozen=True):
    """One kind of abuse."""

    attack: Attack
    per_second: float = 0.0  # connections of all attackers together at most; 0: as fast as it goes
    addresses: int = 1  # that the connections come from


KINDS: Final = {
    "calm": Kind(calm),
    "resets": Kind(resets, per_second=_PER_SECOND),
    "head flood": Kind(head_flood),
    "head drip": Kind(head_drip),
    "body flood": Kind(body_flood),
    "body drip": Kind(body_drip),
    "chunk framing": Kind(chunk_framing),
    "pipelines": Kind(pipelines),
    "unread answers": Kind(unread),
    "wrong keys": Kind(wrong_keys),
    "wrong keys, 200 addresses": Kind(wrong_keys, addresses=200),
    "gzip bombs": Kind(gzip_bombs),
    "half-closed": Kind(half_closed, per_second=_PER_SECOND),
    "idle": Kind(idle),
    "malformed": Kind(malformed, per_second=_PER_SECOND),
}
