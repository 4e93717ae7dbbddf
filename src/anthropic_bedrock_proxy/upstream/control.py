"""Bedrock's control plane: lists of models and inference profiles, and the model behind one.

Three reads, asked rarely and never in the path of every request. Service model: `bedrock`
(ListFoundationModels, ListInferenceProfiles, GetInferenceProfile); signed for the same name as the
runtime. IAM: bedrock:ListFoundationModels, bedrock:ListInferenceProfiles,
bedrock:GetInferenceProfile.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Final, Literal, TypeVar
from urllib.parse import quote

import msgspec

from .. import __version__
from ..aws.connect import Endpoint
from ..aws.credentials import CredentialsError, CredentialsSource
from ..aws.http import Pool, TransportError
from ..aws.sigv4 import Credentials, Signer, canonical_path, canonical_query
from ..aws_errors import (
    NO_CREDENTIALS,
    NO_MODEL,
    NOT_AN_ANSWER,
    UNREACHABLE,
    UpstreamRefusal,
    rule_for,
)
from .refusals import refusal_from_http

_log = logging.getLogger("anthropic_bedrock_proxy.upstream")
_HTTP_OK: Final = 200
_PAGE_SIZE: Final = "1000"
_MAX_PAGES: Final = 100  # a token that never ends must not keep us for ever
_BACKOFF_SECONDS: Final = 0.25

Kind = Literal["SYSTEM_DEFINED", "APPLICATION"]
T = TypeVar("T")


class _ProfileModel(msgspec.Struct, frozen=True):
    arn: str = msgspec.field(name="modelArn", default="")

    @property
    def base_id(self) -> str:
        return self.arn.rpartition("/")[2]


class InferenceProfile(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One profile as Bedrock describes it."""

    id: str = msgspec.field(name="inferenceProfileId")
    arn: str = msgspec.field(name="inferenceProfileArn")
    name: str = msgspec.field(name="inferenceProfileName", default="")
    type: str = "SYSTEM_DEFINED"
    status: str = "ACTIVE"
    models: tuple[_ProfileModel, ...] = ()  # the same model, once for each region

    @property
    def base_model_id(self) -> str:
        """Returns the id of the foundation model behind it; empty if Bedrock names none."""
        return next((model.base_id for model in self.models), "")


class _Lifecycle(msgspec.Struct, frozen=True):
    status: str = "ACTIVE"


class FoundationModel(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One foundation model as Bedrock describes it."""

    id: str = msgspec.field(name="modelId")
    name: str = msgspec.field(name="modelName", default="")
    provider: str = msgspec.field(name="providerName", default="")
    output_modalities: tuple[str, ...] = ()
    inference_types: tuple[str, ...] = msgspec.field(name="inferenceTypesSupported", default=())
    lifecycle: _Lifecycle = msgspec.field(name="modelLifecycle", default=_Lifecycle())


class _Profiles(msgspec.Struct, frozen=True):
    profiles: tuple[InferenceProfile, ...] = msgspec.field(
        name="inferenceProfileSummaries", default=()
    )
    next_token: str | None = msgspec.field(name="nextToken", default=None)


class _Models(msgspec.Struct, frozen=True):
    models: tuple[FoundationModel, ...] = msgspec.field(name="modelSummaries", default=())


class ControlPlane:
    """The control endpoint of one account and region. Belongs to one event loop."""

    def __init__(
        self,
        pool: Pool,
        endpoint: Endpoint,
        *,
        region: str,
        credentials: CredentialsSource | None,
        bearer_token: str | None = None,
        timeout_seconds: float = 5.0,
        max_attempts: int = 3,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Either `credentials` or `bearer_token`; `timeout_seconds` bounds one attempt."""
        self._pool = pool
        self._endpoint = endpoint
        self._credentials = credentials
        self._bearer_token = bearer_token
        self._signer = Signer(host=endpoint.authority, region=region, service="bedrock")
        self._timeout_seconds = timeout_seconds
        self._max_attempts = max_attempts
        self._sleep = sleep

    async def list_inference_profiles(
        self, kinds: Sequence[Kind] = ("SYSTEM_DEFINED", "APPLICATION")
    ) -> list[InferenceProfile]:
        """Lists every profile of these kinds. Raises `UpstreamRefusal`."""
        found: list[InferenceProfile] = []
        for kind in kinds:
            token: str | None = None
            for _ in range(_MAX_PAGES):
                query = [("maxResults", _PAGE_SIZE), ("type", kind)]
                if token is not None:
                    query.append(("nextToken", token))
                page = await self._get("/inference-profiles", query, _Profiles)
                found += page.profiles
                token = page.next_token
                if not token:
                    break
            else:
                raise UpstreamRefusal(NOT_AN_ANSWER, "The listing does not end.")
        return found

    async def list_foundation_models(self) -> list[FoundationModel]:
        """Lists every model that the region has. Raises `UpstreamRefusal`."""
        return list((await self._get("/foundation-models", [], _Models)).models)

    async def get_inference_profile(self, arn: str) -> str:
        """Returns the base id of the model behind a profile. Raises `UpstreamRefusal`."""
        path = f"/inference-profiles/{quote(arn, safe='')}"
        base = (await self._get(path, [], InferenceProfile)).base_model_id
        if not base:
            raise UpstreamRefusal(NO_MODEL, "The profile names no model.")
        return base

    async def close(self) -> None:
        """Lets go of every connection."""
        await self._pool.close()

    async def _get(self, path: str, query: list[tuple[str, str]], shape: type[T]) -> T:
        attempt = 1
        while True:
            try:
                body = await self._once(f"{self._endpoint.path}{path}", canonical_query(query))
                return msgspec.json.decode(body, type=shape)
            except (msgspec.MsgspecError, ValueError, RecursionError) as error:
                raise UpstreamRefusal(
                    NOT_AN_ANSWER, f"Amazon Bedrock answered in another shape: {error}"
                ) from error
            except UpstreamRefusal as refusal:
                if attempt >= self._max_attempts or not rule_for(refusal).retryable:
                    raise
                wait = max(_BACKOFF_SECONDS * 2**attempt, refusal.retry_after or 0.0)
            await self._sleep(wait)
            attempt += 1

    async def _once(self, path: str, query: str) -> bytes:
        deadline = monotonic() + self._timeout_seconds
        keys = None if self._bearer_token is not None else await self._keys()
        try:
            head = self._head(path, query, keys)
            response = await self._pool.request(head, b"", deadline - monotonic())
            try:
                body = await response.read_all(self._timeout_seconds, deadline=deadline)
            finally:
                response.close()
        except TransportError as error:
            raise UpstreamRefusal(
                UNREACHABLE,
                f"the control plane of Amazon Bedrock cannot be asked: {error}",
            ) from error
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

    def _head(self, path: str, query: str, keys: Credentials | None) -> bytes:
        if keys is None:
            lines = (
                f"host: {self._endpoint.authority}\r\n"
                f"authorization: Bearer {self._bearer_token}\r\n"
            )
        else:
            lines = self._signer.headers(keys, canonical_path(path), b"", method="GET", query=query)
        target = f"{path}?{query}" if query else path
        return (
            f"GET {target} HTTP/1.1\r\n{lines}accept: application/json\r\n"
            f"user-agent: anthropic-bedrock-proxy/{__version__}\r\ncontent-length: 0\r\n\r\n"
        ).encode("latin-1")
