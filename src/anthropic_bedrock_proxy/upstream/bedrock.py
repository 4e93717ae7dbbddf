"""Bedrock's runtime as an `Upstream`: paths, signatures, deadlines, retries before the first byte.

Retried, with exponential backoff and full jitter, until `max_attempts` or `retry_seconds` is used
up: throttling, 5xx, connection failures, and streams whose very first frame is such an exception.
Never retried: 4xx, whole answers of which the 200 had come (AWS has billed them), and anything once
an event has been handed out.
No exception is kept with its traceback (docs/decisions/0020).
Source: bedrock-runtime service model; "Exponential Backoff And Jitter", AWS Architecture Blog.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
from collections.abc import Awaitable, Callable, Coroutine
from time import monotonic, time
from typing import Any, Final, TypeVar
from urllib.parse import quote

import msgspec

from .. import __version__
from ..aws.connect import Endpoint
from ..aws.credentials import CredentialsError, CredentialsSource
from ..aws.http import Pool, Response, TransportError, TransportTimeoutError
from ..aws.sigv4 import Credentials, Signer, canonical_path
from ..aws.skew import REFUSALS, Skew
from ..bounded import Bounded
from ..errors import UpstreamRefusal, rule_for
from ..protocol.events import Event
from ..protocol.model_errors import code_for
from .base import Answer, AnswerStream, Call, StreamDecoder

_log = logging.getLogger("anthropic_bedrock_proxy.upstream")
_decode_any: Any = msgspec.json.Decoder().decode
_BACKOFF_BASE_SECONDS: Final = 0.25
_BACKOFF_CAP_SECONDS: Final = 8.0
_HTTP_OK: Final = 200
_LINGER_SECONDS: Final = 2.0
_STREAMING: Final = frozenset(("invoke-with-response-stream", "converse-stream"))
# Operations that are no `/model/{id}/…`: their model stands in the body.
_FIXED_PATHS: Final = {
    "messages": "/anthropic/v1/messages",
    "messages-stream": "/anthropic/v1/messages",
    "mantle-messages": "/anthropic/v1/messages",
    "mantle-messages-stream": "/anthropic/v1/messages",
    "mantle-count-tokens": "/anthropic/v1/messages/count_tokens",
}
_SECONDS: Final = re.compile(rb"[0-9]{1,5}")  # of retry-after: about a day at most
_MAX_CACHED_PATHS: Final = 1024

T = TypeVar("T")


class _BilledRefusal(UpstreamRefusal):
    """A failure after the model had answered: another attempt would be billed a second time."""


class _UntimelyRefusal(UpstreamRefusal):
    """A refusal of a signature for its time, which the next attempt corrects."""


class RetryOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of the attempts at one call, and the deadlines of each. Seconds."""

    max_attempts: int = 4
    retry_seconds: float = 30.0  # no attempt starts later than this after the first
    first_byte_seconds: float = 300.0
    idle_seconds: float = 300.0
    total_seconds: float = (
        1800.0  # for all attempts at a whole answer, or at a stream's first event
    )


class BedrockUpstream:
    """One endpoint of one region: bedrock-runtime or bedrock-mantle."""

    def __init__(
        self,
        pool: Pool,
        endpoint: Endpoint,
        *,
        region: str,
        credentials: CredentialsSource | None,
        bearer_token: str | None = None,
        service: str = "bedrock",
        options: RetryOptions | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
        now: Callable[[], float] = time,
    ) -> None:
        """Either `credentials` or `bearer_token`; `service` is the name to sign for.

        `sleep`, `jitter` (0..1) and `now` are for tests.
        """
        self._pool = pool
        self._endpoint = endpoint
        self._credentials = credentials
        self._bearer_token = bearer_token
        self._signer = Signer(host=endpoint.authority, region=region, service=service)
        self._options = options or RetryOptions()
        self._sleep = sleep
        self._jitter = jitter
        self._paths: Bounded[tuple[str, str], tuple[str, str]] = Bounded(_MAX_CACHED_PATHS)
        self._now = now
        self._skew = Skew(f"AWS ({service} in {region})")
        self._fixed_headers = f"user-agent: anthropic-bedrock-proxy/{__version__}\r\n"

    def call(self, call: Call) -> Coroutine[Any, Any, Answer]:
        """Makes a call and returns its whole answer. Raises `UpstreamRefusal`."""
        return self._attempts(call, self._call_once)

    def stream(
        self, call: Call, new_decoder: Callable[[], StreamDecoder]
    ) -> Coroutine[Any, Any, AnswerStream]:
        """Opens a stream, with its first events decoded. Raises `UpstreamRefusal`."""
        return self._attempts(
            call, lambda call, deadline: self._stream_once(call, new_decoder(), deadline)
        )

    def retire(self) -> None:
        """See `Upstream.retire`."""
        self._pool.retire()

    async def close(self) -> None:
        """Lets go of every connection."""
        await self._pool.close()

    async def _attempts(self, call: Call, once: Callable[[Call, float], Awaitable[T]]) -> T:
        """Retries `once`, which gets the moment by which it must be done (monotonic clock)."""
        options = self._options
        max_attempts = call.patience.max_attempts if call.patience else options.max_attempts
        started = monotonic()
        attempt = 1
        sent = False
        while True:
            try:
                return await once(call, started + options.total_seconds)
            except UpstreamRefusal as refusal:
                sent = refusal.sent = sent or refusal.sent
                wait = self._backoff(attempt, refusal)
                if (
                    attempt >= max_attempts
                    or isinstance(refusal, _BilledRefusal)
                    or not (rule_for(refusal).retryable or isinstance(refusal, _UntimelyRefusal))
                    or monotonic() + wait - started > options.retry_seconds
                ):
                    raise
                _log.info(
                    "retrying", extra={"attempt": attempt, "code": refusal.code, "wait": wait}
                )
                await self._sleep(wait)
                attempt += 1

    def _backoff(self, attempt: int, refusal: UpstreamRefusal) -> float:
        ceiling: float = min(_BACKOFF_CAP_SECONDS, _BACKOFF_BASE_SECONDS * 2**attempt)
        return max(self._jitter() * ceiling, refusal.retry_after or 0.0)

    async def _call_once(self, call: Call, deadline: float) -> Answer:
        response = await self._send(call, deadline)
        try:
            body = await response.read_all(self._options.idle_seconds, deadline=deadline)
        except TransportError as error:
            raise _broken(error, sent=True, kind=_BilledRefusal) from error
        finally:
            response.close()
        return Answer(body, _request_id(response), _service_tier(response))

    async def _stream_once(
        self, call: Call, decoder: StreamDecoder, deadline: float
    ) -> AnswerStream:
        deadline = min(deadline, monotonic() + self._first_byte_seconds(call))
        response = await self._send(call, deadline)
        stream = _Stream(response, decoder)
        try:
            await stream.begin(deadline)
        except BaseException:
            stream.close()
            raise
        return stream

    async def _send(self, call: Call, deadline: float) -> Response:
        """Sends one request; returns only answers with status 200. Raises `UpstreamRefusal`."""
        begin_by = min(deadline, monotonic() + self._first_byte_seconds(call))
        keys = None
        if self._bearer_token is None:
            source = self._credentials
            keys = (source.current if source is not None else None) or await self._keys(begin_by)
        head = self._head(call, keys)
        began = monotonic()
        patience = begin_by - began
        if patience <= 0:  # AWS would bill a request whose answer nobody waits for
            raise _broken(TransportTimeoutError("no time was left to send it"), sent=False)
        try:
            response = await self._pool.request(head, call.body, patience)
        except TransportError as error:
            raise _broken(error, sent=error.sent) from error
        if response.status == _HTTP_OK:
            if began >= self._skew.look_at:
                self._learn_time(response, began)
            return response
        self._learn_time(response, began)
        try:
            body = await response.read_all(self._options.idle_seconds, deadline=deadline)
        except TransportError as error:
            raise _broken(error, sent=False) from error
        finally:
            response.close()
        raise self._refused(response, body, keys)

    def _learn_time(self, response: Response, began: float) -> None:
        came, now = self._now(), monotonic()
        self._skew.learn(response.headers.get(b"date"), sent=came - (now - began), came=came)
        self._skew.looked(now)

    def _first_byte_seconds(self, call: Call) -> float:
        patience = call.patience
        return self._options.first_byte_seconds if patience is None else patience.first_byte_seconds

    def _refused(
        self, response: Response, body: bytes, keys: Credentials | None
    ) -> UpstreamRefusal:
        refusal = refusal_from_http(response.status, response.headers, body)
        if keys is not None and refusal.code in REFUSALS and self._skew.follow():
            return _UntimelyRefusal(refusal.code, refusal.message, status=refusal.status)
        if self._credentials is not None and rule_for(refusal).credentials:
            self._credentials.invalidate(keys)
        return refusal

    def _head(self, call: Call, keys: Credentials | None) -> bytes:
        wire, canonical = self._path(call)
        if keys is None:
            lines = (
                f"host: {self._endpoint.authority}\r\ncontent-type: application/json\r\n"
                f"authorization: Bearer {self._bearer_token}\r\n"
            ) + "".join(f"{name}: {value}\r\n" for name, value in call.headers)
        else:
            now = self._now() + self._skew.signing
            lines = self._signer.headers(keys, canonical, call.body, extra=call.headers, now=now)
        accept = (
            "x-amzn-bedrock-accept: application/json\r\n"
            if call.operation in _STREAMING
            else "accept: application/json\r\n"
        )
        return (
            f"POST {wire} HTTP/1.1\r\n{lines}{accept}{self._fixed_headers}"
            f"content-length: {len(call.body)}\r\n\r\n"
        ).encode("latin-1")

    async def _keys(self, deadline: float) -> Credentials:
        """Waits for keys. Raises `UpstreamRefusal`."""
        source = self._credentials
        if source is None:
            raise UpstreamRefusal("MissingAuthenticationTokenException", "no AWS credentials")
        try:
            async with asyncio.timeout(deadline - monotonic()):
                return await source.get()
        except (CredentialsError, TimeoutError) as error:
            reason = str(error) or "AWS credentials did not come in time"
            raise UpstreamRefusal("MissingAuthenticationTokenException", reason) from error

    def _path(self, call: Call) -> tuple[str, str]:
        """Returns (path on the wire, path as signed); an ARN's slash and colons must be encoded."""
        key = (call.bedrock_model_id, call.operation)
        paths = self._paths.get(key)
        if paths is None:
            fixed = _FIXED_PATHS.get(call.operation)
            if fixed is None:
                fixed = f"/model/{quote(call.bedrock_model_id, safe='')}/{call.operation}"
            wire = f"{self._endpoint.path}{fixed}"
            paths = self._paths[key] = (wire, canonical_path(wire))
        return paths


class _Stream:
    """An open streamed answer (an `AnswerStream`)."""

    def __init__(self, response: Response, decoder: StreamDecoder) -> None:
        self._response = response
        self._decoder = decoder
        self._first: list[Event] = []
        self.upstream_request_id = _request_id(response)
        self.service_tier = _service_tier(response)

    @property
    def usage_estimated(self) -> bool:
        """Tells, at the end, whether the usage told is an estimate."""
        return self._decoder.usage_estimated

    async def begin(self, deadline: float) -> None:
        """Waits for the first events until a moment of the monotonic clock.

        Raises `UpstreamRefusal`.
        """
        while not self._first:
            left = deadline - monotonic()
            if left <= 0:
                raise _broken(TransportTimeoutError("the model sent no event in time"), sent=True)
            events = await self.read(left)
            if events is None:  # pragma: no cover  # a decoder that ends without an event fails
                raise UpstreamRefusal("ModelStreamErrorException", "The stream was empty.")
            self._first = events

    async def read(self, timeout: float) -> list[Event] | None:  # noqa: ASYNC109  # a deadline of the wire
        if self._first:
            events, self._first = self._first, []
            return events
        decoder = self._decoder
        deadline = monotonic() + timeout
        left = timeout
        while decoder.failure is None:
            try:
                chunk = await self._response.read(left)
            except TransportError as error:
                if decoder.finished or isinstance(error, TransportTimeoutError):
                    if decoder.finished:
                        return None
                    raise _broken(error, sent=True) from error
                decoder.end()
                if decoder.failure is not None:
                    raise _broken(error, sent=True) from error
                return decoder.receive(b"") or None
            if chunk is None:
                decoder.end()
                if decoder.failure is None:
                    return decoder.receive(b"") or None
                decoder.failure.sent = True
                break
            events = decoder.receive(chunk) if chunk else []
            if events or not chunk:
                return events
            left = deadline - monotonic()  # bytes without an event do not prolong the wait
            if left <= 0 and decoder.failure is None:
                return []
        raise _copy(decoder.failure)

    def close(self) -> None:
        if self._decoder.finished:
            # Only the end of the HTTP body is missing: read it, so the connection can be reused.
            self._response.finish(_LINGER_SECONDS)
        else:
            self._response.close()


def refusal_from_http(status: int, headers: dict[bytes, bytes], body: bytes) -> UpstreamRefusal:
    """Reads an answer that is not 200: AWS's JSON errors and Anthropic's envelopes."""
    code = headers.get(b"x-amzn-errortype", b"").decode("latin-1").split(":")[0].split("#")[-1]
    message = ""
    try:
        data = _decode_any(body)
        envelope = data.get("error")
        if isinstance(envelope, dict):
            code = str(envelope.get("type") or code)
            message = str(envelope.get("message") or "")
        else:
            code = code or str(data.get("__type") or "").split("#")[-1]
            message = str(data.get("message") or data.get("Message") or "")
        code = code_for(code, data.get("originalStatusCode"))
    except (msgspec.MsgspecError, AttributeError, ValueError, RecursionError):
        pass  # a front door's HTML; the status says enough
    retry_after = headers.get(b"retry-after", b"")
    return UpstreamRefusal(
        code or f"HTTP{status}",
        message,
        status=status,
        retry_after=float(retry_after) if _SECONDS.fullmatch(retry_after) else None,
    )


def _copy(failure: UpstreamRefusal) -> UpstreamRefusal:
    """Copies a failure that its decoder keeps, to be raised in its place."""
    failure.__traceback__ = None  # of a raise inside the decoder: docs/decisions/0020
    copy = UpstreamRefusal(
        failure.code, failure.message, status=failure.status, retry_after=failure.retry_after
    )
    copy.sent = failure.sent
    return copy


def _broken(
    error: TransportError, *, sent: bool, kind: type[UpstreamRefusal] = UpstreamRefusal
) -> UpstreamRefusal:
    """Words a failure below HTTP in AWS's terms, so that one table decides about it."""
    if isinstance(error, TransportTimeoutError):
        refusal = kind("ModelTimeoutException", "The model did not answer in time.")
    else:
        _log.warning("%s", str(error))
        refusal = kind("ServiceUnavailableException", "The connection to Amazon Bedrock failed.")
    refusal.sent = sent
    return refusal


def _request_id(response: Response) -> str | None:
    value = response.headers.get(b"x-amzn-requestid", b"").decode("latin-1")
    return value if value and value.isascii() and value.isprintable() else None


def _service_tier(response: Response) -> str | None:
    value = response.headers.get(b"x-amzn-bedrock-service-tier")
    return value.decode("latin-1") if value else None
