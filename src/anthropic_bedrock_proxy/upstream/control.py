"""Bedrock's control plane: lists of models and inference profiles, and the model behind one.

Three reads, asked rarely and never in the path of every request. Service model: `bedrock`
(ListFoundationModels, ListInferenceProfiles, GetInferenceProfile); signed for the same name as the
runtime. IAM: bedrock:ListFoundationModels, bedrock:ListInferenceProfiles,
bedrock:GetInferenceProfile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Literal, TypeVar
from urllib.parse import quote

import msgspec

from ..aws.connect import Endpoint
from ..aws.credentials import CredentialsSource
from ..aws.http import Pool
from ..aws.sigv4 import canonical_query
from ..aws_errors import NO_MODEL, NOT_AN_ANSWER, UpstreamRefusal
from .aws_calls import AWSCalls, AWSRequest

_PAGE_SIZE: Final = "1000"
_MAX_PAGES: Final = 100  # a token that never ends must not keep us for ever

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
        self._calls = AWSCalls(
            pool,
            endpoint,
            name="the control plane of Amazon Bedrock",
            service="bedrock",
            region=region,
            credentials=credentials,
            bearer_token=bearer_token,
            timeout_seconds=timeout_seconds,
            max_attempts=max_attempts,
            sleep=sleep,
        )

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
        await self._calls.close()

    async def _get(self, path: str, query: list[tuple[str, str]], shape: type[T]) -> T:
        request = AWSRequest(method="GET", path=path, query=canonical_query(query))
        return await self._calls.call(request, shape)
