"""Requests to AWS's AgentCore, signed with the AWS keys of the proxy; refusals as search errors."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import msgspec

from ..aws.credentials import CredentialsError, CredentialsSource
from ..aws.sigv4 import Credentials, Signer, canonical_path
from ..aws.skew import REFUSALS, Skew
from .base import SearchError
from .client import SearchAnswer, SearchClient, check_status

SERVICE: Final = "bedrock-agentcore"
_REFUSED_KEYS: Final = frozenset(
    ("ExpiredTokenException", "InvalidSignatureException", "UnrecognizedClientException")
)
_NOT_THERE: Final = frozenset(("ResourceNotFoundException", "UnknownOperationException"))
_NO_KEYS: Final = (
    "there are no AWS keys to sign with: give AWS_ACCESS_KEY_ID, AWS_PROFILE or a role (an Amazon "
    "Bedrock API key cannot search)"
)


class _AgentCoreRefusal(msgspec.Struct, frozen=True):
    kind: str = msgspec.field(name="__type", default="")


class SignedClient:
    """A search service of AWS. Belongs to one event loop."""

    def __init__(
        self,
        client: SearchClient,
        *,
        region: str,
        credentials: CredentialsSource,
        denied: str,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`denied` says what mends that AWS does not let the proxy's role in."""
        self._client = client
        self._signer = Signer(host=client.endpoint.authority, region=region, service=SERVICE)
        self._region = region
        self._credentials = credentials
        self._denied = denied
        self._now = now
        self._skew = Skew("AgentCore")

    async def post(
        self, path: str, document: object, headers: tuple[tuple[str, str], ...] = ()
    ) -> SearchAnswer:
        """Sends a document; returns an answer of status 200. Raises `SearchError`.

        Keys or a time that AWS refuses are renewed once: nothing was searched then.
        """
        body = msgspec.json.encode(document)
        answer, keys = await self._send(path, body, headers)
        if self._renewed(answer, keys):
            answer, keys = await self._send(path, body, headers)
        self._check(answer)
        return answer

    async def _send(
        self, path: str, body: bytes, headers: tuple[tuple[str, str], ...]
    ) -> tuple[SearchAnswer, Credentials]:
        try:
            keys = self._credentials.current or await self._credentials.get()
        except CredentialsError as error:
            raise SearchError("unavailable", _NO_KEYS) from error
        sent = self._now()
        signed = self._signer.headers(
            keys, canonical_path(path), body, now=sent + self._skew.signing
        )
        answer = await self._client.post_signed(path, body, signed, headers)
        self._skew.learn(answer.headers.get(b"date"), sent=sent, came=self._now())
        return answer, keys

    def _renewed(self, answer: SearchAnswer, keys: Credentials) -> bool:
        """Tells whether a refused request may be sent again, with another time or other keys."""
        code = error_code(answer)
        if code in REFUSALS and self._skew.follow():
            return True
        if code in _REFUSED_KEYS:
            self._credentials.invalidate(keys)
            return True
        return False

    async def close(self) -> None:
        """Drops the connections."""
        await self._client.close()

    def _check(self, answer: SearchAnswer) -> None:
        code = error_code(answer)
        if code == "ThrottlingException":
            raise SearchError("too_many_requests", "AWS throttles the searches of this account")
        if code in _NOT_THERE:
            raise SearchError(
                "unavailable", f"AWS has it not in {self._region}: set WEB_SEARCH_REGION"
            )
        if code in _REFUSED_KEYS or code in REFUSALS:
            raise SearchError("unavailable", f"AWS refuses the keys of the proxy ({code})")
        check_status(answer, denied=self._denied)


def error_code(answer: SearchAnswer) -> str:
    """Returns AWS's code of a refusal, from the header or the body; empty if there is none."""
    header = answer.headers.get(b"x-amzn-errortype", b"").decode("latin-1")
    if not header and answer.status != 200:  # noqa: PLR2004  # every refusal has another
        try:
            header = msgspec.json.decode(answer.body, type=_AgentCoreRefusal).kind.rpartition("#")[
                2
            ]
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return ""
    return header.partition(":")[0]
