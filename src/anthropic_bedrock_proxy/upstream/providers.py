"""Accounts and regions beside the default one, each an `Upstream` that is built at its first use.

Those of the settings stay as they are; those of the store come and go with `replace_stored`. Where
both have a name, the settings' counts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol
from weakref import WeakSet

import msgspec

from ..aws.credentials import CredentialsError
from ..aws_errors import NO_CREDENTIALS, UpstreamRefusal
from .base import AnswerStream, CredentialsState, ModelAnswer, ModelCall, StreamDecoder, Upstream
from .provider import DEFAULT_PROVIDER, NAME, Provider, problem_of

_log = logging.getLogger("anthropic_bedrock_proxy.upstream")


class UnusableProvider:
    """The `Upstream` of a provider whose credentials cannot be had."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    async def call(self, call: ModelCall) -> ModelAnswer:  # noqa: ARG002  # whatever it is
        """Raises `UpstreamRefusal`."""
        raise self._refusal()

    async def stream(
        self,
        call: ModelCall,  # noqa: ARG002  # as above
        new_decoder: Callable[[], StreamDecoder],  # noqa: ARG002
    ) -> AnswerStream:
        """Raises `UpstreamRefusal`."""
        raise self._refusal()

    # Whoever only looks logs what it finds, once.

    async def reach(self) -> None:
        """Raises `UpstreamRefusal`."""
        raise UpstreamRefusal(NO_CREDENTIALS, self._reason)

    async def look_at_credentials(self) -> CredentialsState:
        """Raises `UpstreamRefusal`."""
        raise UpstreamRefusal(NO_CREDENTIALS, self._reason)

    def retire(self) -> None:
        """Does nothing: nothing is open."""

    async def close(self) -> None:
        """Does nothing: nothing is open."""

    def _refusal(self) -> UpstreamRefusal:
        _log.error("%s", self._reason)
        return UpstreamRefusal(NO_CREDENTIALS, self._reason)


class StoredProvider(Protocol):
    """A provider as the store keeps it (see `store.base.catalog.ProviderRecord`)."""

    @property
    def name(self) -> str: ...  # noqa: D102  # as the attributes of `Provider`
    @property
    def region(self) -> str: ...  # noqa: D102
    @property
    def endpoint_url(self) -> str | None: ...  # noqa: D102
    @property
    def mantle_endpoint_url(self) -> str | None: ...  # noqa: D102
    @property
    def role_arn(self) -> str | None: ...  # noqa: D102
    @property
    def external_id(self) -> str | None: ...  # noqa: D102
    @property
    def profile(self) -> str | None: ...  # noqa: D102
    @property
    def encrypted_credentials(self) -> bytes | None: ...  # noqa: D102
    @property
    def is_enabled(self) -> bool: ...  # noqa: D102


class Providers(Mapping[str, Upstream]):
    """Every provider by name, the default one included. One that has gone refuses every call."""

    def __init__(
        self,
        default: Upstream,
        configured: Mapping[str, Provider],
        *,
        build: Callable[[Provider, str], Upstream],
        unseal: Callable[[bytes], Any],
    ) -> None:
        """`build` makes the upstream of a provider with this name.

        `unseal` opens the credentials of a stored provider: an object with the attributes of
        `Provider` that are secret. It raises `CredentialsError`.
        """
        self._configured = configured
        self._stored: dict[str, StoredProvider] = {}
        self._build = build
        self._unseal = unseal
        self._built: dict[str, Upstream] = {DEFAULT_PROVIDER: default}
        self._retired: WeakSet[Upstream] = WeakSet()  # whoever is still served by one, holds it
        self.regions: dict[str, str] = {
            name: provider.region for name, provider in configured.items()
        }

    def __getitem__(self, name: str) -> Upstream:
        built = self._built.get(name)
        if built is None:
            if name not in self:  # it went while a request was on its way there
                return UnusableProvider(f"provider {name}: it was removed or disabled")
            try:
                built = self._built[name] = self._make(name)
            except Exception as error:  # noqa: BLE001  # other providers can still serve
                return UnusableProvider(f"provider {name} cannot be used: {type(error).__name__}")
        return built

    def __contains__(self, name: object) -> bool:
        return name == DEFAULT_PROVIDER or name in self.regions

    def __iter__(self) -> Iterator[str]:
        yield DEFAULT_PROVIDER
        yield from self.regions

    def __len__(self) -> int:
        return 1 + len(self.regions)

    def replace_stored(self, records: Iterable[StoredProvider]) -> None:
        """Takes over the enabled providers of the store. Answers in progress go on."""
        stored = {record.name: record for record in records if self._is_usable(record)}
        for name, record in self._stored.items():
            if stored.get(name) != record and (built := self._built.pop(name, None)):
                built.retire()
                self._retired.add(built)
        self._stored = stored
        configured = self._configured.items()
        regions = {name: record.region for name, record in stored.items()}
        # In place: routing looks at the same object.
        self.regions.clear()
        self.regions.update({**regions, **{name: provider.region for name, provider in configured}})

    async def close(self) -> None:
        """Lets go of every connection of every provider."""
        for upstream in (*self._built.values(), *self._retired):
            await upstream.close()

    def _is_usable(self, record: StoredProvider) -> bool:
        if not record.is_enabled:
            return False
        if record.name == DEFAULT_PROVIDER or record.name in self._configured:
            _log.warning("the provider %s of the store is one of the settings too", record.name)
            return False
        if not NAME.fullmatch(record.name) or problem_of(_without_credentials(record)):
            _log.warning("the provider %.64r of the store cannot be used", record.name)
            return False
        return True

    def _make(self, name: str) -> Upstream:
        if name in self._configured:
            return self._build(self._configured[name], name)
        record = self._stored[name]
        provider = _without_credentials(record)
        if record.encrypted_credentials is None:
            return self._build(provider, name)
        try:
            secret = self._unseal(record.encrypted_credentials)
        except CredentialsError as error:
            return UnusableProvider(f"provider {name}: {error}")
        return self._build(
            msgspec.structs.replace(
                provider,
                access_key_id=secret.access_key_id,
                secret_access_key=secret.secret_access_key,
                session_token=secret.session_token,
                bearer_token=secret.bearer_token,
            ),
            name,
        )


def _without_credentials(record: StoredProvider) -> Provider:
    return Provider(
        region=record.region,
        endpoint_url=record.endpoint_url,
        mantle_endpoint_url=record.mantle_endpoint_url,
        profile=record.profile,
        role_arn=record.role_arn,
        external_id=record.external_id,
    )
