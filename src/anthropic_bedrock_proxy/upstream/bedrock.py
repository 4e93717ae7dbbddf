"""Bedrock's runtime as an `Upstream`: paths, signatures, deadlines, retries before the first byte.

Retried, with exponential backoff and full jitter, until `max_attempts` or `retry_seconds` is used
up: throttling, 5xx, connection failures, and streams whose very first frame is such an exception.
Never retried: 4xx, whole answers of which the 200 had come (AWS has billed them), and anything once
an event has been handed out.

    attempt 1   503                                     wait for 0 to 0.5 s, by chance
    attempt 2   429, retry-after: 3                     wait for 3 s
    attempt 3   200, the first frame is an exception    wait for 0 to 2 s
    attempt 4   200, its first events are handed out    what fails from now on is told

No exception is kept with its traceback (docs/decisions/0020).
Source: bedrock-runtime service model; "Exponential Backoff And Jitter", AWS Architecture Blog.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Awaitable, Callable, Coroutine
from time import monotonic, time
from typing import Any, Final, TypeVar
from urllib.parse import quote

import msgspec

from .. import __version__
from ..aws.bearer import expiry_of
from ..aws.connect import Endpoint
from ..aws.credentials import CredentialsError, CredentialsSource
from ..aws.http import Pool, Response, TransportError, TransportTimeoutError
from ..aws.sigv4 import Credentials, Signer, canonical_path
from ..aws.skew import REFUSALS, Skew
from ..aws_errors import NO_CREDENTIALS, NOT_AN_ANSWER, UpstreamRefusal, rule_for
from ..bounded import Bounded
from ..timeline import OK, UpstreamRequest
from .base import AnswerStream, CredentialsState, ModelAnswer, ModelCall, StreamDecoder
from .bedrock_stream import BedrockStream, request_id_of, service_tier_of
from .provider import DEFAULT_PROVIDER
from .reach import REACH_SECONDS, Reach
from .refusals import (
    BilledRefusal,
    UntimelyRefusal,
    refusal_from_http,
    refusal_from_transport,
    refusal_in_answer,
)

_log = logging.getLogger("anthropic_bedrock_proxy.upstream")
_BACKOFF_BASE_SECONDS: Final = 0.25
_BACKOFF_CAP_SECONDS: Final = 8.0
_HTTP_OK: Final = 200
_STREAMING: Final = frozenset(("invoke-with-response-stream", "converse-stream"))
# Operations that are no `/model/{id}/…`: their model stands in the body.
_FIXED_PATHS: Final = {
    "messages": "/anthropic/v1/messages",
    "messages-stream": "/anthropic/v1/messages",
    "mantle-messages": "/anthropic/v1/messages",
    "mantle-messages-stream": "/anthropic/v1/messages",
    "mantle-count-tokens": "/anthropic/v1/messages/count_tokens",
}
_MAX_CACHED_PATHS: Final = 1024

T = TypeVar("T")


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
        provider: str = DEFAULT_PROVIDER,
        service: str = "bedrock",
        options: RetryOptions | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
        now: Callable[[], float] = time,
    ) -> None:
        """Either `credentials` or `bearer_token`; `service` is the name to sign for.

        `provider` is the name that its requests are noted under.

        `sleep`, `jitter` (0..1) and `now` are for tests.
        """
        self._pool = pool
        self._endpoint = endpoint
        self._credentials = credentials
        self._bearer_token = bearer_token
        self._provider = provider
        self._signer = Signer(host=endpoint.authority, region=region, service=service)
        self._options = options or RetryOptions()
        self._credentials_refused = False
        self._sleep = sleep
        self._jitter = jitter
        self._paths: Bounded[tuple[str, str], tuple[str, str]] = Bounded(_MAX_CACHED_PATHS)
        self._now = now
        self._skew = Skew(f"AWS ({service} in {region})")
        self._fixed_headers = f"user-agent: anthropic-bedrock-proxy/{__version__}\r\n"
        self._reach = Reach(pool, endpoint, self._fixed_headers)

    def call(self, call: ModelCall) -> Coroutine[Any, Any, ModelAnswer]:
        """Makes a call and returns its whole answer. Raises `UpstreamRefusal`."""
        return self._attempts(call, self._call_once)

    def stream(
        self, call: ModelCall, new_decoder: Callable[[], StreamDecoder]
    ) -> Coroutine[Any, Any, AnswerStream]:
        """Opens a stream, with its first events decoded. Raises `UpstreamRefusal`."""
        return self._attempts(
            call,
            lambda call, noted, deadline: self._stream_once(call, noted, new_decoder(), deadline),
        )

    async def reach(self) -> None:
        """See `Upstream.reach`."""
        began = monotonic()
        self._learn_time(await self._reach.once(), began)

    async def look_at_credentials(self) -> CredentialsState:
        """See `Upstream.look_at_credentials`."""
        if self._bearer_token is not None:
            expires_at = expiry_of(self._bearer_token)
        else:
            keys = await self._keys(monotonic() + REACH_SECONDS)
            expires_at = keys.expires_at
        return CredentialsState(expires_at, self._credentials_refused)

    def retire(self) -> None:
        """See `Upstream.retire`."""
        self._pool.retire()
        self._reach.retire()

    async def close(self) -> None:
        """Lets go of every connection."""
        await self._pool.close()
        await self._reach.close()

    async def _attempts(
        self, call: ModelCall, once: Callable[[ModelCall, UpstreamRequest, float], Awaitable[T]]
    ) -> T:
        """Retries `once`, which gets the moment by which it must be done (monotonic clock).

        Each try is noted in the call's timeline; `once` notes the end of one that succeeds.
        """
        options = self._options
        max_attempts = call.deadlines.max_attempts if call.deadlines else options.max_attempts
        started = monotonic()
        attempt = 1
        sent = False
        while True:
            noted = self._note(call)
            try:
                return await once(call, noted, started + options.total_seconds)
            except UpstreamRefusal as refusal:
                noted.fail(monotonic(), refusal)
                sent = refusal.sent = sent or refusal.sent
                wait = self._backoff(attempt, refusal)
                if (
                    attempt >= max_attempts
                    or isinstance(refusal, BilledRefusal)
                    or not (rule_for(refusal).retryable or isinstance(refusal, UntimelyRefusal))
                    or monotonic() + wait - started > options.retry_seconds
                ):
                    raise
                _log.info(
                    "retrying", extra={"attempt": attempt, "code": refusal.code, "wait": wait}
                )
                await self._sleep(wait)
                attempt += 1
            except BaseException as error:
                noted.fail(monotonic(), error)
                raise

    def _note(self, call: ModelCall) -> UpstreamRequest:
        timeline = call.timeline
        noted = UpstreamRequest(
            self._provider, call.bedrock_model_id, call.operation, timeline.step, monotonic()
        )
        if timeline.trace is not None:
            noted.span_id = os.urandom(8).hex()
        timeline.upstream.append(noted)
        return noted

    def _backoff(self, attempt: int, refusal: UpstreamRefusal) -> float:
        ceiling: float = min(_BACKOFF_CAP_SECONDS, _BACKOFF_BASE_SECONDS * 2**attempt)
        return max(self._jitter() * ceiling, refusal.retry_after or 0.0)

    async def _call_once(
        self, call: ModelCall, noted: UpstreamRequest, deadline: float
    ) -> ModelAnswer:
        response = await self._send(call, noted, deadline)
        noted.first = monotonic()
        try:
            body = await response.read_all(self._options.idle_seconds, deadline=deadline)
        except TransportError as error:
            raise refusal_from_transport(error, sent=True, kind=BilledRefusal) from error
        finally:
            response.close()
        if (refusal := refusal_in_answer(body)) is not None:
            raise refusal
        noted.end(monotonic(), OK)
        return ModelAnswer(body, noted.upstream_request_id, service_tier_of(response))

    async def _stream_once(
        self, call: ModelCall, noted: UpstreamRequest, decoder: StreamDecoder, deadline: float
    ) -> AnswerStream:
        deadline = min(deadline, monotonic() + self._first_byte_seconds(call))
        response = await self._send(call, noted, deadline)
        if _is_document(response.headers.get(b"content-type", b"")):
            raise await self._no_stream(response, deadline)
        stream = BedrockStream(response, decoder, noted)
        try:
            await stream.begin(deadline)
        except BaseException as error:
            noted.fail(monotonic(), error)
            stream.close()
            raise
        return stream

    async def _no_stream(self, response: Response, deadline: float) -> UpstreamRefusal:
        """Returns the refusal for a document in the place of a stream."""
        try:
            body = await response.read_all(self._options.idle_seconds, deadline=deadline)
        except TransportError as error:
            return refusal_from_transport(error, sent=True)
        finally:
            response.close()
        return refusal_in_answer(body) or UpstreamRefusal(
            NOT_AN_ANSWER, "The model's answer is not a stream."
        )

    async def _send(self, call: ModelCall, noted: UpstreamRequest, deadline: float) -> Response:
        """Sends one request; returns only answers with status 200. Raises `UpstreamRefusal`."""
        begin_by = min(deadline, monotonic() + self._first_byte_seconds(call))
        keys = None
        if self._bearer_token is None:
            source = self._credentials
            keys = (source.current if source is not None else None) or await self._keys(begin_by)
        head = self._head(call, keys, noted)
        began = monotonic()
        left = begin_by - began
        if left <= 0:  # AWS would bill a request whose answer nobody waits for
            raise refusal_from_transport(
                TransportTimeoutError("no time was left to send it"), sent=False
            )
        noted.sent = began
        try:
            response = await self._pool.request(head, call.body, left)
        except TransportError as error:
            raise refusal_from_transport(error, sent=error.sent) from error
        noted.upstream_request_id = request_id_of(response)
        if response.status == _HTTP_OK:
            self._credentials_refused = False
            if began >= self._skew.look_at:
                self._learn_time(response, began)
            return response
        self._learn_time(response, began)
        try:
            body = await response.read_all(self._options.idle_seconds, deadline=deadline)
        except TransportError as error:
            raise refusal_from_transport(error, sent=False) from error
        finally:
            response.close()
        raise self._refused(response, body, keys)

    def _learn_time(self, response: Response, began: float) -> None:
        came, now = self._now(), monotonic()
        self._skew.learn(response.headers.get(b"date"), sent=came - (now - began), came=came)
        self._skew.looked(now)

    def _first_byte_seconds(self, call: ModelCall) -> float:
        deadlines = call.deadlines
        return (
            self._options.first_byte_seconds if deadlines is None else deadlines.first_byte_seconds
        )

    def _refused(
        self, response: Response, body: bytes, keys: Credentials | None
    ) -> UpstreamRefusal:
        refusal = refusal_from_http(response.status, response.headers, body)
        if keys is not None and refusal.code in REFUSALS and self._skew.follow():
            return UntimelyRefusal(refusal.code, refusal.message, status=refusal.status)
        if rule_for(refusal).credentials:
            self._credentials_refused = True
            if self._credentials is not None:
                self._credentials.invalidate(keys)
        return refusal

    def _head(self, call: ModelCall, keys: Credentials | None, noted: UpstreamRequest) -> bytes:
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
        trace = call.timeline.trace
        if trace is not None:  # unsigned: whatever forwards it may make it its own
            accept += f"traceparent: 00-{trace.trace_id}-{noted.span_id}-01\r\n"
        return (
            f"POST {wire} HTTP/1.1\r\n{lines}{accept}{self._fixed_headers}"
            f"content-length: {len(call.body)}\r\n\r\n"
        ).encode("latin-1")

    async def _keys(self, deadline: float) -> Credentials:
        """Waits for keys. Raises `UpstreamRefusal`."""
        source = self._credentials
        if source is None:
            raise UpstreamRefusal(NO_CREDENTIALS, "no AWS credentials")
        try:
            async with asyncio.timeout(deadline - monotonic()):
                return await source.get()
        except (CredentialsError, TimeoutError) as error:
            reason = str(error) or "AWS credentials did not come in time"
            raise UpstreamRefusal(NO_CREDENTIALS, reason) from error

    def _path(self, call: ModelCall) -> tuple[str, str]:
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


def _is_document(kind: bytes) -> bool:
    """Tells whether a content type is none of a stream: AWS's front door has several for errors."""
    return b"json" in kind or (kind.startswith(b"text/") and kind[5:17] != b"event-stream")
