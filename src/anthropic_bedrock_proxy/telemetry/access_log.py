"""The access log: one line for each request, once it has ended.

It is written on the hot path, so not through `logging`: a line is encoded directly, and lines are
written a few times a second. It holds no prompt and no secret: only the fields named here, and of
the client's own words (path, model) nothing that looks like a key, and of ARNs no account. For
example:

    {"time":"2026-11-29T06:30:12.125Z","access":"POST /v1/messages","status":200,
     "request_id":"req_019…","ms":812.4,"key_id":"key_7f…","model":"claude-sonnet-5","bedrock_model_id":"us.anthropic.…",
     "dialect":"invoke","provider":"ireland","stream":true,"input_tokens":812,"output_tokens":97,
     "cost_usd":0.003891,"ttft_ms":431,"upstream_ms":809.9,"overhead_ms":0.6,"retries":1}
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

import msgspec

from ..gateway.exchange import Exchange
from ..money import NANO_PER_USD
from ..redaction import ACCOUNT, hide_accounts, hide_keys
from .ended_requests import EndedRequest
from .gathering import Gathering
from .line_time import line_time
from .output import LogOutput
from .overhead import request_seconds, response_seconds, upstream_seconds
from .traceparent import trace_id_of

_FLUSH_SECONDS: Final = 0.1
_FLUSH_BYTES: Final = 32 * 1024
_MAX_PATH: Final = 200
_SHORTEST_RANDOM: Final = 20  # characters of what may be a key of any kind
_encode = msgspec.json.Encoder().encode


class RequestLine(msgspec.Struct, omit_defaults=True, gc=False):
    """The facts told of one request that has ended; what is empty is left out."""

    time: str  # of its end
    access: str  # method and path
    status: int
    request_id: str
    ms: float
    client: str = ""
    key_id: str = ""
    user_id: str | None = None
    model: str = ""  # as it was asked for
    bedrock_model_id: str = ""
    dialect: str = ""
    provider: str = ""
    stream: bool = False
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cost_usd: float | None = None  # None: no price is known, or no model was called
    ttft_ms: int | None = None
    upstream_ms: float = 0.0  # that Bedrock was waited for
    overhead_ms: float = 0.0  # both halves of the proxy's own time (overhead.py)
    retries: int = 0  # requests to Bedrock beyond one for each model call
    upstream_request_id: str | None = None
    trace_id: str = ""
    error: str | None = None
    cause: str = ""
    disconnected: bool = False


Sink = Callable[[RequestLine, bytes, Exchange], None]  # gets the line, and its JSON


class RequestLines:
    """Makes the line of each request that ends, for whoever tells of it."""

    def __init__(self, sinks: Sequence[Sink], *, secrets: Sequence[str] = ()) -> None:
        """`secrets` are known ones (`hideable`), hidden in paths and models' names."""
        self._sinks = sinks
        self._secrets = tuple(secrets)

    def __call__(self, request: EndedRequest, exchange: Exchange) -> None:
        """Hands the line of a request that has ended to every sink."""
        line = self._line(request, exchange)
        encoded = _encode(line)
        for sink in self._sinks:
            sink(line, encoded, exchange)

    def _line(self, request: EndedRequest, exchange: Exchange) -> RequestLine:
        line = RequestLine(
            time=line_time(exchange.at_ms + int((exchange.ended - exchange.started) * 1e3)),
            access=f"{request.method} {self._hidden(request.path)}",
            status=exchange.status,
            request_id=exchange.request_id,
            ms=_ms(exchange.ended - exchange.started),
            client=request.client,
            key_id=exchange.key_id,
            error=exchange.error_type,
            cause=exchange.error_cause,
            disconnected=exchange.client_gone,
        )
        if exchange.model:
            line.model = self._hidden(exchange.model)
            line.stream = exchange.stream
            if exchange.caller is not None:
                line.user_id = exchange.caller.key.user_id
        if exchange.timeline.upstream:
            _tell_upstream(line, exchange)
        if exchange.timeline.trace is not None:
            line.trace_id = exchange.timeline.trace.trace_id
        elif request.traceparent is not None:
            line.trace_id = trace_id_of(request.traceparent)
        return line

    def _hidden(self, words: str) -> str:
        # Cut before they are remembered: they may be megabytes. And no shorter than a key is long.
        return _without_secrets(words[: 2 * _MAX_PATH], self._secrets)


def _tell_upstream(line: RequestLine, exchange: Exchange) -> None:
    """Tells of a request for which Bedrock was asked."""
    upstream, usage, target = exchange.timeline.upstream, exchange.meter.billed(), exchange.target
    if target is not None:
        line.bedrock_model_id = hide_accounts(target.bedrock_model_id)
        line.dialect, line.provider = target.dialect, target.provider
    line.input_tokens = usage.input_tokens or 0
    line.output_tokens = exchange.meter.output_tokens
    line.cache_read_tokens = usage.cache_read_input_tokens or 0
    line.cache_write_tokens = usage.cache_creation_input_tokens or 0
    if exchange.cost_nano is not None:
        line.cost_usd = exchange.cost_nano / NANO_PER_USD
    line.ttft_ms = exchange.ttft_ms
    line.upstream_request_id = exchange.upstream_request_id
    line.upstream_ms = _ms(upstream_seconds(exchange))
    line.overhead_ms = _ms((request_seconds(exchange) or 0.0) + (response_seconds(exchange) or 0.0))
    line.retries = len(upstream) - len({made.step for made in upstream}) if len(upstream) > 1 else 0


class AccessLog:
    """Writes request lines a few times a second, as JSON or as text for people."""

    def __init__(self, log_format: str, output: LogOutput) -> None:
        self._text = log_format == "text"
        self._output = output
        self._lines = Gathering(self._write, seconds=_FLUSH_SECONDS, most=_FLUSH_BYTES)
        self.flush = self._lines.flush

    def __call__(self, line: RequestLine, encoded: bytes, _: Exchange) -> None:
        """Notes one line."""
        if self._text:
            encoded = _as_text(line)
        self._lines.add(encoded, len(encoded))

    def close(self) -> None:
        """Writes what is left, and gives it a moment to arrive."""
        self.flush()
        self._output.flush()

    def _write(self, lines: list[bytes]) -> None:
        self._output.write(b"\n".join(lines) + b"\n")


def _ms(seconds: float) -> float:
    return int(seconds * 1e5) / 1e2


def _as_text(line: RequestLine) -> bytes:
    text = f"{line.time[11:19]} {line.status} {line.access} {line.ms}ms"
    if line.model:
        text += f" {line.model} in={line.input_tokens} out={line.output_tokens}"
    if line.cost_usd is not None:
        text += f" ${line.cost_usd:.6f}"
    if line.retries:
        text += f" retries={line.retries}"
    if line.error:
        text += f" {line.error} ({line.cause})" if line.cause else f" {line.error}"
    if line.disconnected:
        text += " disconnected"
    # Paths and models are the client's words: nothing of them may look like another line.
    printable = "".join(c if c.isprintable() else "?" for c in text)
    return f"{printable} {line.request_id}".encode()


@lru_cache(maxsize=256)  # nearly every request is to the same few
def _without_secrets(words: str, secrets: tuple[str, ...]) -> str:
    """Returns a client's path or model name, cut, without what may be a key or an account."""
    for secret in secrets:
        for form in (unquote(unquote(words)), words):
            if secret in form:
                words = form.replace(secret, "(hidden)")
    segments = hide_accounts(hide_keys(words)).split("/")
    return "/".join("(hidden)" if _is_secret(part) else part for part in segments)[:_MAX_PATH]


def _is_secret(segment: str) -> bool:
    """Tells whether it may be an account, or a key: long, with digits, in both cases or in hex."""
    if ACCOUNT.fullmatch(segment):
        return True
    if len(segment) < _SHORTEST_RANDOM or not any(map(str.isdigit, segment)):
        return False
    if all(character in "0123456789abcdefABCDEF" for character in segment):
        return True
    return any(map(str.islower, segment)) and any(map(str.isupper, segment))
