"""A thin client of DynamoDB over our own transport and signatures.

It speaks the JSON 1.0 protocol and knows operations only by name. What is throttled, fails inside
DynamoDB or does not arrive is sent again with exponential pauses and full jitter until
`wait_seconds` are over; so an operation may run twice, and its sender must make that harmless.
Source: DynamoDB developer guide, "Error handling" and the low-level API.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from time import monotonic, time
from typing import Any, Final

import msgspec

from ..redaction import ACCOUNT
from .connect import Endpoint
from .credentials import CredentialsError, CredentialsSource
from .http import Pool, TransportError
from .sigv4 import Credentials, Signer
from .skew import REFUSALS, Skew

_TARGET: Final = "DynamoDB_20120810"
_CONTENT_TYPE: Final = "application/x-amz-json-1.0"
_HTTP_OK: Final = 200
_HTTP_SERVER_ERROR: Final = 500
_FIRST_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 1.0
_ATTEMPT_SECONDS: Final = 5.0
_THROTTLED: Final = frozenset(
    (
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
    )
)
_REFUSED_KEYS: Final = frozenset(
    ("ExpiredTokenException", "InvalidSignatureException", "UnrecognizedClientException")
)


class DynamoDBError(Exception):
    """DynamoDB refused, or could not be asked. `code` is its own, or one of the two below."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.message = message


UNREACHABLE: Final = "Unreachable"
NO_CREDENTIALS: Final = "NoCredentials"


class _ErrorBody(msgspec.Struct, frozen=True):
    kind: str = msgspec.field(name="__type", default="")
    message: str = ""
    capital: str = msgspec.field(name="Message", default="")


class DynamoDB:
    """DynamoDB of one account and region. Belongs to one event loop."""

    def __init__(
        self,
        pool: Pool,
        endpoint: Endpoint,
        *,
        region: str,
        credentials: CredentialsSource,
        wait_seconds: float = 5.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = monotonic,
        now: Callable[[], float] = time,
    ) -> None:
        """`wait_seconds` bounds one call with all its attempts, but for the last answer.

        `now` is this machine's time; `skew` holds by how much DynamoDB's is ahead.
        """
        self._pool = pool
        self._credentials = credentials
        self._signer = Signer(host=endpoint.authority, region=region, service="dynamodb")
        self._path = f"{endpoint.path}/"
        self._wait_seconds = wait_seconds
        self._sleep = sleep
        self._clock = clock
        self._now = now
        self.skew = Skew("DynamoDB")

    async def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Calls one operation by its name, in the shapes of the wire. Raises `DynamoDBError`."""
        body = msgspec.json.encode(request)
        deadline = self._clock() + self._wait_seconds
        attempt = 0
        fresh_keys = right_time = False
        while True:
            keys = self._credentials.current or await self._keys(deadline)
            try:
                return await self._send(operation, body, keys, deadline)
            except DynamoDBError as error:
                if error.code in REFUSALS and not right_time and self.skew.follow():
                    right_time = True
                    continue
                if error.code in _REFUSED_KEYS and not fresh_keys:
                    fresh_keys = True
                    self._credentials.invalidate(keys)
                    continue
                pause = self.pause(attempt)
                if not _passing(error) or self._clock() + pause >= deadline:
                    raise
            await self._sleep(pause)
            attempt += 1

    def pause(self, attempt: int) -> float:
        """Returns the seconds to wait after this attempt (from 0): full jitter."""
        most = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** min(attempt, 10))
        return random.uniform(0, most)  # noqa: S311  # spreads load, guards nothing

    async def wait(self, attempt: int) -> None:
        """Sleeps for `pause(attempt)`."""
        await self._sleep(self.pause(attempt))

    async def close(self) -> None:
        """Drops the connections."""
        await self._pool.close()

    async def _keys(self, deadline: float) -> Credentials:
        try:
            async with asyncio.timeout(deadline - self._clock()):
                return await self._credentials.get()
        except (CredentialsError, TimeoutError) as error:
            reason = str(error) or "AWS credentials did not come in time"
            raise DynamoDBError(NO_CREDENTIALS, reason) from error

    async def _send(
        self, operation: str, body: bytes, keys: Credentials, deadline: float
    ) -> dict[str, Any]:
        signed = self._signer.headers(
            keys,
            self._path,
            body,
            content_type=_CONTENT_TYPE,
            extra=(("x-amz-target", f"{_TARGET}.{operation}"),),
            now=self._now() + self.skew.signing,
        )
        head = (
            f"POST {self._path} HTTP/1.1\r\n{signed}"
            f"accept: */*\r\ncontent-length: {len(body)}\r\n\r\n"
        ).encode("latin-1")
        # The last attempt may take a little longer than what is left, or it could not succeed.
        seconds = max(1.0, min(_ATTEMPT_SECONDS, deadline - self._clock()))
        sent = self._now()
        try:
            response = await self._pool.request(head, body, seconds)
            self.skew.learn(response.headers.get(b"date"), sent=sent, came=self._now())
            try:
                answer = await response.read_all(seconds, deadline=monotonic() + seconds)
            finally:
                response.close()
        except TransportError as error:
            raise DynamoDBError(UNREACHABLE, str(error)) from error
        if response.status != _HTTP_OK:
            raise _refused(response.status, answer)
        try:
            document: dict[str, Any] = msgspec.json.decode(answer, type=dict[str, Any])
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise DynamoDBError(UNREACHABLE, "the answer is not DynamoDB's") from error
        return document


def _refused(status: int, answer: bytes) -> DynamoDBError:
    try:
        refusal = msgspec.json.decode(answer, type=_ErrorBody)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        refusal = _ErrorBody()
    code = refusal.kind.rpartition("#")[2]
    if status >= _HTTP_SERVER_ERROR:
        # Worth another attempt, whatever its code.
        return DynamoDBError("InternalServerError", f"HTTP {status} {code}".rstrip())
    # The message names caller and table by their ARNs: account ids are not for logs and clients.
    message = ACCOUNT.sub("…", refusal.message or refusal.capital)
    return DynamoDBError(code or f"HTTP {status}", message[:500])


def _passing(error: DynamoDBError) -> bool:
    return error.code in _THROTTLED or error.code in {UNREACHABLE, "InternalServerError"}
