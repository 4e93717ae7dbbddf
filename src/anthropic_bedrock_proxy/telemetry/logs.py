"""Log lines on stderr: one JSON document each, or text for people.

Events go through `logging`. The access log does not: it writes one line per answer on the hot
path, so it is encoded directly and written in batches. Neither ever holds prompts or secrets:
only the fields named here, and `extra=` fields of our own calls, reach a line, and what a client
has pasted there that looks like a key is hidden.
"""

from __future__ import annotations

import asyncio
import logging
import os
import select
import stat
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from time import monotonic, time
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import unquote

import msgspec

from ..redaction import hide_keys

if TYPE_CHECKING:
    from ..gateway.exchange import Exchange

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
_FLUSH_SECONDS: Final = 0.1
_FLUSH_BYTES: Final = 32 * 1024
_MAX_PATH: Final = 200
_SHORTEST_RANDOM: Final = 20  # characters of what may be a key of any kind
_SHORTEST_SECRET: Final = 4
_encode = msgspec.json.Encoder(enc_hook=str).encode


def configure(level: str, log_format: str) -> None:
    """Sends every logger's lines to stderr."""
    handler = _Handler()
    handler.setFormatter(JSONFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)


class _Handler(logging.Handler):
    """A handler that writes lines to stderr by `Output`."""

    def __init__(self) -> None:
        super().__init__()
        self._output = Output()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001  # as logging does with arguments that do not fit
            self.handleError(record)
            return
        self._output.write(line.encode("utf-8", "backslashreplace") + b"\n")


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


class JSONFormatter(logging.Formatter):
    """A formatter of one JSON document per line."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line without its newline."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_extras(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return hide_keys(_encode(line).decode())


class TextFormatter(logging.Formatter):
    """A formatter for people: time, level, message and the extra fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line without its newline."""
        extras = "".join(f" {name}={value}" for name, value in _extras(record).items())
        when = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S")
        line = f"{when} {record.levelname:<7} {record.getMessage()}{extras}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return hide_keys(line)


class _Line(msgspec.Struct, omit_defaults=True, gc=False):
    time: float
    access: str
    status: int
    request_id: str
    ms: float
    client: str = ""
    key_id: str = ""
    model: str = ""
    bedrock_model_id: str = ""
    stream: bool = False
    input_tokens: int = 0
    output_tokens: int = 0
    ttft_ms: int | None = None
    upstream_request_id: str | None = None
    error: str | None = None
    disconnected: bool = False


class LoggedRequest(Protocol):
    """The facts about a request that the access log tells."""

    @property
    def method(self) -> str:
        """The method, as in the request line."""
        ...

    @property
    def path(self) -> str:
        """The path, without escapes."""
        ...

    @property
    def client(self) -> str:
        """The address of the peer; empty on a Unix socket."""
        ...


class Output:
    """The output to a descriptor, which never waits: serving does not depend on a log.

    A pipe that nobody reads is full after 64 KiB; to write to it would stop every client.
    """

    def __init__(self, fd: int = 2) -> None:
        self._fd = fd
        mode = os.fstat(fd).st_mode
        self._poll: select.poll | None = None
        if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
            self._poll = select.poll()
            self._poll.register(fd, select.POLLOUT)
        self._lost = 0  # bytes
        self._within_line = False

    def write(self, data: bytes) -> None:
        """Writes whole lines; those that the reader does not take are lost, and counted."""
        size, lost = len(data), self._lost
        if lost:
            told = b'{"level":"warning","message":"%d bytes of the log were lost"}\n' % lost
            data = (b"\n" if self._within_line else b"") + told + data
        try:
            # A pipe that is ready takes so many bytes at once: pipe(7).
            while data and (self._poll is None or self._poll.poll(0)):
                part = data if self._poll is None else data[: select.PIPE_BUF]
                written = os.write(self._fd, part)
                self._within_line = data[written - 1 : written] != b"\n"
                data = data[written:]
        except OSError:  # it is closed, or a disk is full: serving goes on
            pass
        self._lost = len(data) if len(data) <= size else lost + size


class AccessLog:
    """One line per answer, written a few times a second."""

    def __init__(self, log_format: str, fd: int = 2, *, secrets: Sequence[str] = ()) -> None:
        """`secrets` are known ones, hidden wherever a path or a model's name has them."""
        self._text = log_format == "text"
        self._secrets = tuple(secret for secret in secrets if len(secret) >= _SHORTEST_SECRET)
        self._output = Output(fd)
        self._lines: list[bytes] = []
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self, request: LoggedRequest, exchange: Exchange) -> None:
        """Notes one answer."""
        usage = exchange.meter.billed()
        target = exchange.target
        line = _Line(
            time=int(time() * 1e3) / 1e3,
            access=f"{request.method} {_without_secrets(request.path, self._secrets)}",
            status=exchange.status,
            request_id=exchange.request_id,
            ms=int((monotonic() - exchange.started) * 1e5) / 1e2,
            client=request.client,
            key_id=exchange.key_id,
            model=exchange.model and _without_secrets(exchange.model, self._secrets),
            bedrock_model_id=target.bedrock_model_id if target else "",
            stream=exchange.stream,
            input_tokens=usage.input_tokens or 0,
            output_tokens=exchange.meter.output_tokens,
            ttft_ms=exchange.ttft_ms,
            upstream_request_id=exchange.upstream_request_id,
            error=exchange.error_type,
            disconnected=exchange.client_gone,
        )
        encoded = self._as_text(line) if self._text else _encode(line)
        self._lines.append(encoded)
        self._size += len(encoded)
        if self._size > _FLUSH_BYTES:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Writes the lines that have gathered."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._lines:
            data = b"\n".join(self._lines) + b"\n"
            self._lines, self._size = [], 0
            self._output.write(data)

    def _as_text(self, line: _Line) -> bytes:
        when = datetime.fromtimestamp(line.time, UTC).strftime("%H:%M:%S")
        text = f"{when} {line.status} {line.access} {line.ms}ms"
        if line.model:
            text += f" {line.model} in={line.input_tokens} out={line.output_tokens}"
        if line.error:
            text += f" {line.error}"
        # Paths and models are the client's words: nothing of them may look like another line.
        printable = "".join(c if c.isprintable() else "?" for c in text)
        return f"{printable} {line.request_id}".encode()


@lru_cache(maxsize=256)  # nearly every request is to the same few
def _without_secrets(words: str, secrets: tuple[str, ...]) -> str:
    """Returns a client's path or model name, cut, without what may be a key."""
    words = words[: 2 * _MAX_PATH]  # cut here, a key is still long enough to be seen as one
    for secret in secrets:
        for form in (unquote(unquote(words)), words):
            if secret in form:
                words = form.replace(secret, "(hidden)")
    segments = hide_keys(words).split("/")
    return "/".join("(hidden)" if _is_random(part) else part for part in segments)[:_MAX_PATH]


def _is_random(segment: str) -> bool:
    """Tells whether a segment may be a key: long, with digits, in both cases or in hex."""
    if len(segment) < _SHORTEST_RANDOM or not any(map(str.isdigit, segment)):
        return False
    if all(character in "0123456789abcdefABCDEF" for character in segment):
        return True
    return any(map(str.islower, segment)) and any(map(str.isupper, segment))
