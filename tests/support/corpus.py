"""The corpus of what clients and attackers send (tests/http/server/corpus), read and run.

A case is what the client does, step by step, and what comes of it:

    ## a sentence that names the case
    > a line, CRLF behind it
    >> bytes as they stand
    . 61                          seconds pass
    ! eof                         the client ends its side, and still reads
    < 200 POST /path "body" | name: value | name -
                                  an answer, and the request the application saw for it, if any; the
                                  request has this header, or has not
    = open                        or closed: the connection, after all that

Backslashes escape as in Python's bytes; {a*70000} is `a` 70000 times. The application answers 200,
or by path: /early 401 before the body is read, /stream in parts, /none 204.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import h11
from http_client import Connection

from anthropic_bedrock_proxy.errors import ProxyError
from anthropic_bedrock_proxy.http.anthropic.encoder import ANTHROPIC
from anthropic_bedrock_proxy.http.application import Application, HTTPRoute
from anthropic_bedrock_proxy.http.body import read_body
from anthropic_bedrock_proxy.http.reply import Reply, StreamReply
from anthropic_bedrock_proxy.http.server.head import Head

FOLDER = Path(__file__).parents[1] / "http" / "server" / "corpus"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
BODY_LIMIT = 1 << 17
_EDGE, _FILLING = 4000, 61  # bytes: far from both ends of what is sent, bytes come by so many
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|[rnt0\\])")
_SIMPLE = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\"}
_REPEAT = re.compile(rb"\{([^{}]+)\*(\d+)\}")
_ANSWER = re.compile(r'(\d{3})(?: (\w+) (\S+))?(?: "(.*?)")?((?: \| [^|]+)*)')


@dataclass
class Expected:
    """An answer; `method` and `path` of the request that the application saw, or empty."""

    status: int
    method: str
    path: str
    body: bytes
    headers: dict[bytes, bytes | None]

    def shows(self, seen: Seen) -> bool:
        """Whether the application saw this."""
        return (self.method, self.path, self.body) == (seen.method, seen.target, seen.body) and all(
            seen.headers.get(name) == value for name, value in self.headers.items()
        )


@dataclass
class Case:
    """One case: `steps` are bytes, seconds, or None for the end of the client's side."""

    kind: str
    name: str
    steps: list[bytes | float | None] = field(default_factory=list)
    answers: list[Expected] = field(default_factory=list)
    stays_open: bool | None = None

    @property
    def sent(self) -> bytes:
        """All that the client sends."""
        return b"".join(step for step in self.steps if isinstance(step, bytes))


@dataclass
class Seen:
    """A request as the application saw it."""

    head: Head
    body: bytes = b""

    @property
    def method(self) -> str:
        return self.head.method

    @property
    def target(self) -> str:
        query = self.head.query.decode("latin-1")
        return self.head.path + (f"?{query}" if query else "")

    @property
    def headers(self) -> dict[bytes, bytes]:
        return self.head.headers


def load() -> list[Case]:
    """Every case of every file."""
    return [case for path in sorted(FOLDER.glob("*.txt")) for case in parse(path)]


def parse(path: Path) -> list[Case]:
    """The cases of one file."""
    cases: list[Case] = []
    for number, line in enumerate(path.read_text("ascii").splitlines(), 1):
        mark, _, rest = line.partition(" ")
        if mark == "##":
            cases.append(Case(path.stem, rest))
        elif mark:
            assert _take(cases[-1], mark, rest), f"{path}:{number}: {line}"
    return cases


def _take(case: Case, mark: str, rest: str) -> bool:
    steps = case.steps
    if mark in (">", ">>"):
        data = _bytes(rest) + (b"\r\n" if mark == ">" else b"")
        if steps and isinstance(steps[-1], bytes):
            steps[-1] += data
        else:
            steps.append(data)
    elif mark == ".":
        steps.append(float(rest))
    elif mark == "!":
        steps.append(None)
    elif mark == "<" and (match := _ANSWER.fullmatch(rest)):
        status, method, path, body, headers = match.groups(default="")
        named = [_header(text) for text in headers.split(" | ")[1:]]
        case.answers.append(
            Expected(int(status), method, _bytes(path).decode(), _bytes(body), dict(named))
        )
    elif mark == "=":
        case.stays_open = {"open": True, "closed": False}[rest]
    return mark in ("<", ">", ">>", ".", "!", "=")


def _header(text: str) -> tuple[bytes, bytes | None]:
    name, colon, value = text.partition(": ")
    return (name.encode(), _bytes(value)) if colon else (name.removesuffix(" -").encode(), None)


def _bytes(text: str) -> bytes:
    parts = _ESCAPE.split(text)
    data = b"".join(
        part.encode() if index % 2 == 0 else _SIMPLE.get(part) or bytes.fromhex(part[1:])
        for index, part in enumerate(parts)
    )
    return _REPEAT.sub(lambda match: match[1] * int(match[2]), data)


class Parts:
    """An answer in parts."""

    def __init__(self, *parts: bytes) -> None:
        self._parts = list(parts)

    done = False  # it does not know

    async def read(self) -> list[bytes] | None:
        return [self._parts.pop(0)] if self._parts else None

    def close(self) -> None:
        pass


class AsTheyAre:
    """The encoder of parts that are bytes already."""

    content_type = b"text/event-stream; charset=utf-8"
    filler = b":\n\n"
    events = b"".join


class Recorder:
    """The real application over routes that say what they saw; `seen` has all of it."""

    def __init__(self) -> None:
        handlers = dict.fromkeys(METHODS, self._handle)
        routes = (HTTPRoute("*", {}), HTTPRoute("/{rest:path}", handlers))
        self.application = Application(routes, ANTHROPIC)
        self.seen: list[Seen] = []

    async def serve(self, request) -> None:
        self.seen.append(Seen(request.head))
        await self.application.serve(request)

    def left(self, request) -> None:
        self.application.left(request)

    def refuse(self, error, client):
        return self.application.refuse(error, client)

    async def _handle(self, request, **_):
        seen = next(one for one in self.seen if one.head is request.head)
        if request.path.startswith("/early"):
            raise EarlyError
        seen.body = bytes(await read_body(request, BODY_LIMIT))
        said = json.dumps({"method": request.method, "path": request.path}).encode()
        if request.path.startswith("/stream"):
            return StreamReply(Parts(said, b"!"), AsTheyAre())
        if request.path.startswith("/none"):
            return Reply(b"", status=204)
        return Reply(said)


class EarlyError(ProxyError):
    """Refuses a request before its body was read."""

    status, type = 401, "authentication_error"

    def __init__(self) -> None:
        super().__init__("You may not.", should_retry=False)


class Run:
    """A case in memory, all at once or in pieces of `step` bytes."""

    def __init__(self) -> None:
        self.recorder = Recorder()
        self.written: list[bytes] = []
        self.open = True

    async def through(self, case: Case, step: int | None = None) -> Run:
        """Returns itself when the case is over."""
        connection = Connection(self.recorder, self.written.append)
        for action in case.steps:
            if action is None:
                if not connection.transport.closed:
                    keeps = connection.protocol.eof_received()
                    if not keeps:
                        connection.transport.close()
            elif isinstance(action, float):
                connection.pass_time(action)
            else:
                await self._send(connection, action, step or len(action))
            await _settle(connection)
        self.open = not (connection.transport.ended or connection.transport.closed)
        connection.transport.close()
        await asyncio.sleep(0)
        return self

    async def _send(self, connection: Connection, data: bytes, step: int) -> None:
        at = 0
        while at < len(data) and not connection.transport.closed:
            filling = _EDGE < at < len(data) - _EDGE  # of a case about size
            end = at + max(step, _FILLING if filling else 0)
            connection.feed(data[at:end])
            at = end
            if connection.protocol.serving:
                await _settle(connection)

    def answers(self, methods: list[str]) -> list[Answered]:
        """What was written, read by h11 as answers to requests of these methods."""
        return read_answers(b"".join(self.written), methods, ended=not self.open)


async def _settle(connection: Connection) -> None:
    """Lets tasks run until none of them can go on without the client."""
    for _ in range(4):
        await asyncio.sleep(0)
    for _ in range(1000):
        request = connection.protocol._request
        waits_for_body = request is not None and request.body_waiter is not None
        if waits_for_body or not (connection.protocol.serving or connection.server.turns):
            return
        await asyncio.sleep(0)
    raise AssertionError("a request is served without end")


@dataclass
class Answered:
    """An answer that h11 read."""

    status: int
    headers: dict[str, str]
    body: bytes = b""
    complete: bool = False


def read_answers(data: bytes, methods: list[str], *, ended: bool) -> list[Answered]:
    """The answers in `data`, to requests of `methods` (else GET). Raises what h11 does not like."""
    answers: list[Answered] = []
    waiting = [*methods]
    while data:
        wire = h11.Connection(h11.CLIENT)
        method = waiting.pop(0) if waiting else "GET"
        wire.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
        wire.send(h11.EndOfMessage())
        wire.receive_data(data)
        if ended:
            wire.receive_data(b"")
        while (event := wire.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            if isinstance(event, h11.InformationalResponse | h11.Response):
                headers = {name.decode(): value.decode() for name, value in event.headers}
                answers.append(Answered(event.status_code, headers))
            elif isinstance(event, h11.Data):
                answers[-1].body += bytes(event.data)
            else:
                answers[-1].complete = True
                break
        data = wire.trailing_data[0]
        assert not (data and wire.their_state is h11.MUST_CLOSE), "bytes behind the last answer"
    return answers
