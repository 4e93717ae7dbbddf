"""The clients of the soak: those that read their answers, and every kind that leaves or misbehaves.

Each is a coroutine that lives through one connection. `MIX` says how often each of them comes.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from time import monotonic
from typing import Any, Final

import msgspec

from . import work
from .wire import Answer, Counts, Line, connected

_SIZES: Final = (1, 20, 200, 2000)  # tokens of whole answers
_LENGTHS: Final = (1, 10, 40, 120)  # of streams
_HUGE: Final = 200_000  # tokens of an answer that nobody reads: a megabyte
_PROMPTS: Final = (500, 2_000, 20_000, 200_000)  # bytes of text
_PROMPT_WEIGHTS: Final = (40, 40, 18, 2)
_PATIENCE_SECONDS: Final = 150.0
_random = random.Random(11)  # noqa: S311  # a reproducible mix, no secret


class Soak:
    """What the clients share: where to go, and what they have read to its end."""

    def __init__(self, port: int, secret: str) -> None:
        self.port = port
        self.counts = Counts()
        self.finished: dict[str, int] = {}  # request id -> output tokens that were told
        self.wrong: Counter[str] = Counter()  # answers that should have been others
        self.outcomes: Counter[str] = Counter()
        self.waits: list[tuple[float, float]] = []  # when a whole answer ended, ms that it took
        self._key = f"x-api-key: {secret}\r\n".encode()

    def messages(self, tokens: int, *, stream: bool = False, **fields: Any) -> bytes:
        """A request for as many tokens."""
        document = msgspec.json.decode(work.request_body(stream=stream))
        (size,) = _random.choices(_PROMPTS, _PROMPT_WEIGHTS)
        document["messages"][0]["content"] = "word " * (size // 5)
        document["max_tokens"] = tokens
        return self.request("POST /v1/messages", msgspec.json.encode(document | fields))

    def request(self, line: str, body: bytes = b"", *, key: bytes | None = None) -> bytes:
        """A request, with the right key unless another is given."""
        head = f"{line} HTTP/1.1\r\nhost: x\r\nanthropic-version: 2023-06-01\r\n".encode()
        length = b"content-length: %d\r\n\r\n" % len(body) if body else b"\r\n"
        return head + (self._key if key is None else key) + length + body

    async def ask(self, line: Line, request: bytes, expected: int = 200) -> Answer:
        """Sends a request and reads its answer."""
        await line.send(request)
        answer = await line.answer()
        if answer.status != expected:
            self.wrong[f"{answer.status}, not {expected}: {answer.body[:120]!r}"] += 1
        return answer


Client = Callable[[Soak, Line], Awaitable[None]]


async def whole(soak: Soak, line: Line) -> None:
    """Some whole answers on one connection."""
    for _ in range(_random.randint(1, 5)):
        tokens = _random.choice(_SIZES)
        request, began = soak.messages(tokens), monotonic()
        read = await soak.ask(line, request)
        soak.waits.append((monotonic(), (monotonic() - began) * 1000))
        soak.finished[read.request_id] = tokens


async def stream(soak: Soak, line: Line) -> None:
    """Some streams on one connection."""
    for _ in range(_random.randint(1, 3)):
        tokens = _random.choice(_LENGTHS)
        read = await soak.ask(line, soak.messages(tokens, stream=True))
        if b"event: message_stop" not in read.body or b"event: error" in read.body:
            soak.wrong["a stream without its end"] += 1
        soak.finished[read.request_id] = tokens


async def tools(soak: Soak, line: Line) -> None:
    """An answer that calls a tool."""
    forced = {"type": "tool", "name": "read_file"}
    read = await soak.ask(line, soak.messages(30, tool_choice=forced))
    soak.finished[read.request_id] = 30


async def others(soak: Soak, line: Line) -> None:
    """Counts tokens, lists models, asks for one, asks after its health."""
    document = msgspec.json.decode(work.request_body(stream=False))
    del document["max_tokens"]
    count = soak.request("POST /v1/messages/count_tokens", msgspec.json.encode(document))
    for request in (count, *map(soak.request, ("GET /v1/models", "GET /health"))):
        await soak.ask(line, request)


async def wrong_key(soak: Soak, line: Line) -> None:
    """401, or 429 once there were many."""
    body = work.request_body(stream=False)
    await line.send(soak.request("POST /v1/messages", body, key=b"x-api-key: sk-wrong\r\n"))
    if (status := (await line.answer()).status) not in (401, 429):
        soak.wrong[f"{status} for a wrong key"] += 1


async def malformed(soak: Soak, line: Line) -> None:
    """400 each: no JSON, a field that is missing, no HTTP."""
    for body in (b"{", b'{"model":"m","messages":[]}'):
        await soak.ask(line, soak.request("POST /v1/messages", body), 400)
    await soak.ask(line, b"GET / HTTP/1.1\r\nno header\r\n\r\n", 400)


async def leaves_in_head(soak: Soak, line: Line, *, reset: bool) -> None:
    """Leaves before the head is complete."""
    await line.send(soak.messages(10)[: _random.randint(0, 100)])
    await _leave(line, reset=reset)


async def leaves_in_body(soak: Soak, line: Line, *, reset: bool) -> None:
    """Leaves before the body is complete."""
    request = soak.messages(10)
    await line.send(request[: _random.randint(300, len(request) - 1)])
    await _leave(line, reset=reset)


async def leaves_at_once(soak: Soak, line: Line, *, reset: bool, streams: bool) -> None:
    """Leaves with the last byte of its request, or a little later."""
    await line.send(soak.messages(100, stream=streams))
    await _leave(line, reset=reset)


async def leaves_in_stream(soak: Soak, line: Line, *, reset: bool) -> None:
    """Leaves in the middle of a stream."""
    await line.send(soak.messages(400, stream=True))
    for _ in range(_random.randint(1, 40)):
        await line.receive()
    await _leave(line, reset=reset)


async def _leave(line: Line, *, reset: bool) -> None:
    await asyncio.sleep(_random.choice((0.0, 0.0, 0.001, 0.005, 0.05)))
    if reset:
        line.reset()  # else leaving the connection's block closes it


async def half_closes(soak: Soak, line: Line, *, streams: bool) -> None:
    """Ends its side with the request and reads on: it is to have its answer."""
    await line.send(soak.messages(120, stream=streams))
    line.finish()
    read = await line.answer()
    if read.status != 200:  # noqa: PLR2004
        soak.wrong[f"{read.status} for one that ended its side"] += 1
    soak.finished[read.request_id] = 120


async def never_reads(soak: Soak, line: Line, *, seconds: float) -> None:
    """Asks for a lot and reads nothing of it."""
    streams = _random.random() < 0.5  # noqa: PLR2004
    await line.send(soak.messages(2000 if streams else _HUGE, stream=streams))
    await asyncio.sleep(seconds)


async def drips(soak: Soak, line: Line, *, seconds: float) -> None:
    """Sends its body in drips, and leaves if it has had no answer in time."""
    request = soak.messages(10)
    await line.send(request[:400])
    async with asyncio.timeout(seconds):
        for byte in request[400:]:
            await line.send(bytes((byte,)))
            await asyncio.sleep(0.25)


MIX: Final[dict[str, tuple[float, Client]]] = {
    "whole answers": (26, whole),
    "streams": (16, stream),
    "tools": (4, tools),
    "counts, models, health": (6, others),
    "wrong keys": (4, wrong_key),
    "malformed": (4, malformed),
    "head, FIN": (3, partial(leaves_in_head, reset=False)),
    "head, RST": (3, partial(leaves_in_head, reset=True)),
    "body, FIN": (3, partial(leaves_in_body, reset=False)),
    "body, RST": (3, partial(leaves_in_body, reset=True)),
    "whole, FIN at once": (3, partial(leaves_at_once, reset=False, streams=False)),
    "whole, RST at once": (3, partial(leaves_at_once, reset=True, streams=False)),
    "stream, FIN at once": (3, partial(leaves_at_once, reset=False, streams=True)),
    "stream, RST at once": (3, partial(leaves_at_once, reset=True, streams=True)),
    "stream, FIN in it": (4, partial(leaves_in_stream, reset=False)),
    "stream, RST in it": (4, partial(leaves_in_stream, reset=True)),
    "half-closed, whole": (2, partial(half_closes, streams=False)),
    "half-closed, stream": (2, partial(half_closes, streams=True)),
    "never reads": (0.8, partial(never_reads, seconds=8.0)),
    "never reads for long": (0.1, partial(never_reads, seconds=140.0)),
    "drips": (0.8, partial(drips, seconds=8.0)),
    "drips for long": (0.1, partial(drips, seconds=90.0)),
}


async def live(soak: Soak, name: str) -> None:
    """One client of a kind from its connection to its end."""
    _, client = MIX[name]
    try:
        unread = name.startswith("never")
        async with (
            asyncio.timeout(_PATIENCE_SECONDS),
            connected(soak.port, soak.counts, buffer_bytes=4096 if unread else 0) as line,
        ):
            await client(soak, line)
        soak.outcomes[name] += 1
    except OSError as error:  # TimeoutError too
        soak.outcomes[f"{name}: {type(error).__name__}"] += 1
