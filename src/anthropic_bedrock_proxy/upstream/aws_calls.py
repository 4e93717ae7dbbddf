"""Single requests to one of AWS's APIs, signed and tried again: for listings, never for models."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final, TypeVar

import msgspec

from .. import __version__
from ..aws.connect import Endpoint
from ..aws.credentials import CredentialsError, CredentialsSource
from ..aws.http import Pool, TransportError
from ..aws.sigv4 import Credentials, Signer, canonical_path
from ..aws_errors import NO_CREDENTIALS, NOT_AN_ANSWER, UNREACHABLE, UpstreamRefusal, rule_for
from .refusals import refusal_from_http

_HTTP_OK: Final = 200
_BACKOFF_SECONDS: Final = 0.25
_JSON: Final = "application/json"
T = TypeVar("T")


class AWSRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request; `path` follows that of the endpoint, `query` is canonical."""

    method: str
    path: str
    query: str = ""
    body: bytes = b""
    content_type: str = _JSON
    headers: tuple[tuple[str, str], ...] = ()  # lower-case names; signed too


class AWSCalls:
    """One of AWS's APIs in one account and region. Belongs to one event loop."""

    def __init__(
        self,
        pool: Pool,
        endpoint: Endpoint,
        *,
        name: str,
        service: str,
        region: str,
        credentials: CredentialsSource | None,
        bearer_token: str | None = None,
        timeout_seconds: float,
        max_attempts: int,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`name` for messages, `service` for signatures; either `credentials` or `bearer_token`.

        `timeout_seconds` bounds one attempt.
        """
        self._pool = pool
        self._endpoint = endpoint
        self._name = name
        self._credentials = credentials
        self._bearer_token = bearer_token
        self._signer = Signer(host=endpoint.authority, region=region, service=service)
        self._timeout_seconds = timeout_seconds
        self._max_attempts = max_attempts
        self._sleep = sleep

    async def call(self, request: AWSRequest, shape: type[T]) -> T:
        """Returns the answer to a request, sent until it has one. Raises `UpstreamRefusal`."""
        attempt = 1
        while True:
            try:
                return msgspec.json.decode(await self._once(request), type=shape)
            except (msgspec.MsgspecError, ValueError, RecursionError) as error:
                raise UpstreamRefusal(
                    NOT_AN_ANSWER, f"{self._name} answered in another shape: {error}"
                ) from error
            except UpstreamRefusal as refusal:
                if attempt >= self._max_attempts or not rule_for(refusal).retryable:
                    raise
                wait = max(_BACKOFF_SECONDS * 2**attempt, refusal.retry_after or 0.0)
            await self._sleep(wait)
            attempt += 1

    async def close(self) -> None:
        """Lets go of every connection."""
        await self._pool.close()

    async def _once(self, request: AWSRequest) -> bytes:
        deadline = monotonic() + self._timeout_seconds
        keys = None if self._bearer_token is not None else await self._keys()
        try:
            head = self._head(request, keys)
            response = await self._pool.request(head, request.body, deadline - monotonic())
            try:
                body = await response.read_all(self._timeout_seconds, deadline=deadline)
            finally:
                response.close()
        except TransportError as error:
            raise UpstreamRefusal(UNREACHABLE, f"{self._name} cannot be asked: {error}") from error
        if response.status == _HTTP_OK:
            return body
        refusal = refusal_from_http(response.status, response.headers, body)
        if self._credentials is not None and rule_for(refusal).credentials:
            self._credentials.invalidate(keys)
        raise refusal

    async def _keys(self) -> Credentials:
        source = self._credentials
        if source is None:
            raise UpstreamRefusal(NO_CREDENTIALS, "no AWS credentials")
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return source.current or await source.get()
        except (CredentialsError, TimeoutError) as error:
            reason = str(error) or "AWS credentials did not come in time"
            raise UpstreamRefusal(NO_CREDENTIALS, reason) from error

    def _head(self, request: AWSRequest, keys: Credentials | None) -> bytes:
        path = f"{self._endpoint.path}{request.path}"
        if keys is None:
            lines = (
                f"host: {self._endpoint.authority}\r\ncontent-type: {request.content_type}\r\n"
                f"authorization: Bearer {self._bearer_token}\r\n"
            )
        else:
            lines = self._signer.headers(
                keys,
                canonical_path(path),
                request.body,
                content_type=request.content_type,
                extra=request.headers,
                method=request.method,
                query=request.query,
            )
        target = f"{path}?{request.query}" if request.query else path
        return (
            f"{request.method} {target} HTTP/1.1\r\n{lines}accept: {_JSON}\r\n"
            f"user-agent: anthropic-bedrock-proxy/{__version__}\r\n"
            f"content-length: {len(request.body)}\r\n\r\n"
        ).encode("latin-1")
