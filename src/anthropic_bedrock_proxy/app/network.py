"""The network: from the description of a provider to an `Upstream` that calls it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from ..aws.connect import Endpoint, connector, proxy_for
from ..aws.credentials import CredentialsSource, StaticSource
from ..aws.endpoints import endpoint_url
from ..aws.http import Pool, PoolOptions
from ..aws.resolver.resolver import Identity
from ..aws.sigv4 import Credentials
from ..redaction import ACCOUNT
from ..upstream.bedrock import BedrockUpstream, RetryOptions
from ..upstream.provider import DEFAULT_PROVIDER, Provider
from ..upstream.provider_upstream import ProviderUpstream

if TYPE_CHECKING:
    from ..aws.dynamodb import DynamoDB
    from ..search.client import SearchClient
    from ..search.signed import SignedClient
    from ..upstream.control import ControlPlane
    from ..upstream.price_list import PriceListAPI


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """The network settings that all providers share."""

    ca_bundle: str | None = None
    https_proxy: str | None = None
    no_proxy: str | None = None
    fips: bool = False
    dualstack: bool = False
    pool: PoolOptions = PoolOptions()
    retry: RetryOptions = RetryOptions()

    def runtime_url(self, provider: Provider) -> str:
        """Returns where a provider's bedrock-runtime is."""
        return provider.endpoint_url or self.url("bedrock-runtime", provider)

    def mantle_url(self, provider: Provider) -> str | None:
        """Returns where a provider's bedrock-mantle is.

        None if only the runtime endpoint was moved: then nothing may leave for AWS unasked. Nor is
        it known to have FIPS endpoints (docs of October 2026).
        """
        if provider.mantle_endpoint_url or provider.endpoint_url or self.fips:
            return provider.mantle_endpoint_url
        return f"https://bedrock-mantle.{provider.region}.api.aws"

    def url(self, service: str, provider: Provider) -> str:
        """Returns where AWS has a service in a provider's region."""
        return endpoint_url(service, provider.region, fips=self.fips, dualstack=self.dualstack)


class Wiring:
    """Builds the upstreams of providers; needs a running loop."""

    def __init__(
        self,
        default: Provider,
        network: Network,
        resolve: Callable[[Identity], CredentialsSource],
    ) -> None:
        """`default` lends its credentials; `resolve` gives those that have to be looked up."""
        self.default = default
        self._network = network
        self._resolve = resolve

    def build(self, provider: Provider, name: str = DEFAULT_PROVIDER) -> ProviderUpstream:
        """Builds the two endpoints of a provider; bedrock-mantle only when it is needed."""
        runtime = self._endpoint(provider, name, self._network.runtime_url(provider), "bedrock")
        url = self._network.mantle_url(provider)
        if url is None:
            return ProviderUpstream(runtime, None)
        return ProviderUpstream(
            runtime, lambda: self._endpoint(provider, name, url, "bedrock-mantle")
        )

    def control(self, url: str | None, *, timeout_seconds: float = 5.0) -> ControlPlane:
        """Builds the control plane of the default provider; `url` instead of the region's own."""
        from ..upstream.control import ControlPlane  # noqa: PLC0415  # seldom needed

        endpoint = Endpoint.from_url(url or self._network.url("bedrock", self.default))
        return ControlPlane(
            self._pool(endpoint, PoolOptions()),
            endpoint,
            region=self.default.region,
            credentials=None if self.default.bearer_token else self._default_credentials(),
            bearer_token=self.default.bearer_token,
            timeout_seconds=timeout_seconds,
        )

    def dynamodb(self, url: str | None) -> DynamoDB:
        """Builds the client of DynamoDB, as the default provider; `url`, or the region's own."""
        from ..aws.dynamodb import DynamoDB  # noqa: PLC0415  # seldom needed

        endpoint = Endpoint.from_url(url or self._network.url("dynamodb", self.default))
        return DynamoDB(
            self._pool(endpoint, PoolOptions()),
            endpoint,
            region=self.default.region,
            credentials=self._default_credentials(),
        )

    def search_client(self, url: str, *, timeout_seconds: float) -> SearchClient:
        """Builds connections to a search service at a URL."""
        from ..search.client import SearchClient  # noqa: PLC0415  # seldom needed

        endpoint = Endpoint.from_url(url)
        options = PoolOptions(max_connections=64, connect_timeout_seconds=min(5.0, timeout_seconds))
        return SearchClient(
            self._pool(endpoint, options), endpoint, timeout_seconds=timeout_seconds
        )

    def signed_search_client(
        self, client: SearchClient, *, region: str, denied: str
    ) -> SignedClient:
        """Builds a search service of AWS, asked with the default provider's AWS keys."""
        from ..search.signed import SignedClient  # noqa: PLC0415  # seldom needed

        return SignedClient(
            client, region=region, credentials=self._default_credentials(), denied=denied
        )

    def agentcore_url(self, region: str) -> str:
        """Returns where AWS's AgentCore is in a region."""
        network = self._network
        return endpoint_url(
            "bedrock-agentcore", region, fips=network.fips, dualstack=network.dualstack
        )

    def price_list(self, url: str | None) -> PriceListAPI:
        """Builds the client of the AWS Price List API, with the default provider's AWS keys."""
        from ..upstream.price_list import PRICE_LIST_REGION, PriceListAPI  # noqa: PLC0415  # seldom

        # It has no FIPS and no dualstack endpoints.
        home = endpoint_url("api.pricing", PRICE_LIST_REGION)
        endpoint = Endpoint.from_url(url or home)
        return PriceListAPI(
            self._pool(endpoint, PoolOptions()), endpoint, credentials=self._default_credentials()
        )

    def _endpoint(self, provider: Provider, name: str, url: str, service: str) -> BedrockUpstream:
        endpoint = Endpoint.from_url(url)
        token = provider.bearer_token
        if token is None and not (provider.access_key_id or provider.profile or provider.role_arn):
            token = self.default.bearer_token
        return BedrockUpstream(
            self._pool(endpoint, self._network.pool),
            endpoint,
            region=provider.region,
            credentials=None if token else self._credentials(provider, name),
            bearer_token=token,
            provider=name,
            service=service,
            options=self._network.retry,
        )

    def _default_credentials(self) -> CredentialsSource:
        return self._credentials(self.default, DEFAULT_PROVIDER)

    def _credentials(self, provider: Provider, name: str) -> CredentialsSource:
        """Returns the keys that are given, as they are; everything else is looked up."""
        own = provider if provider.access_key_id or provider.profile else self.default
        if own.access_key_id and own.secret_access_key and provider.role_arn is None:
            return StaticSource(
                Credentials(own.access_key_id, own.secret_access_key, own.session_token)
            )
        return self._resolve(
            Identity(
                name=_name(provider, own, name),
                region=provider.region if provider.role_arn else self.default.region,
                profile=None if own.access_key_id else own.profile,
                access_key_id=own.access_key_id,
                secret_access_key=own.secret_access_key,
                session_token=own.session_token,
                role_arn=provider.role_arn,
                external_id=provider.external_id,
            )
        )

    def _pool(self, endpoint: Endpoint, options: PoolOptions) -> Pool:
        network = self._network
        proxy = proxy_for(endpoint, network.https_proxy, network.no_proxy)
        return Pool(connector(endpoint, ca_bundle=network.ca_bundle, proxy=proxy), options)


def _name(provider: Provider, own: Provider, name: str) -> str:
    """Returns what the log calls an identity, without its account (SSO names profiles by it)."""
    if provider.role_arn is not None:
        return f"the role {provider.role_arn.rpartition(':')[2].removeprefix('role/')} of {name}"
    if own.profile is not None:
        return f"the profile {ACCOUNT.sub('…', own.profile)}"
    return "the default chain"
