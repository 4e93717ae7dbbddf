"""From what is said about a place to an `Upstream` that calls it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from ..aws.connect import Endpoint, connector, proxy_for
from ..aws.credentials import CredentialsSource, StaticSource, chain_source
from ..aws.http import Pool, PoolOptions
from ..aws.sigv4 import Credentials
from .bedrock import BedrockUpstream, RetryOptions
from .place import Place
from .region import Region

if TYPE_CHECKING:
    from ..aws.dynamodb import DynamoDB
    from .control import ControlPlane


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """How every place is reached."""

    ca_bundle: str | None = None
    https_proxy: str | None = None
    no_proxy: str | None = None
    pool: PoolOptions = PoolOptions()
    retry: RetryOptions = RetryOptions()


class Wiring:
    """Builds the upstreams of places; needs a running loop."""

    def __init__(self, default: Place, network: Network, environ: Mapping[str, str]) -> None:
        """`default` lends its credentials; AWS_ENDPOINT_URL_STS of `environ` is AWS's own name."""
        self.default = default
        self._network = network
        self._environ = environ
        self._default_credentials: CredentialsSource | None = None

    def build(self, place: Place) -> Region:
        """The two endpoints of a place; bedrock-mantle only when it is needed."""
        credentials = self._credentials(place)
        runtime = self._endpoint(place, place.runtime_url, credentials, "bedrock")
        url = place.mantle_url
        if url is None:
            return Region(runtime, None)
        return Region(runtime, lambda: self._endpoint(place, url, credentials, "bedrock-mantle"))

    def control(self, url: str, *, timeout_seconds: float = 5.0) -> ControlPlane:
        """The control endpoint of the default place."""
        from .control import ControlPlane  # noqa: PLC0415  # seldom needed

        endpoint = Endpoint.from_url(url)
        return ControlPlane(
            self._pool(endpoint, PoolOptions()),
            endpoint,
            region=self.default.region,
            credentials=self._credentials(self.default),
            bearer_token=self.default.bearer_token,
            timeout_seconds=timeout_seconds,
        )

    def dynamodb(self, endpoint_url: str | None) -> DynamoDB:
        """DynamoDB of the default place; `endpoint_url` instead of the region's own."""
        from ..aws.dynamodb import DynamoDB, dynamodb_url  # noqa: PLC0415  # seldom needed

        endpoint = Endpoint.from_url(dynamodb_url(self.default.region, endpoint_url))
        return DynamoDB(
            self._pool(endpoint, PoolOptions()),
            endpoint,
            region=self.default.region,
            credentials=self._credentials(self.default),
        )

    def _endpoint(
        self, place: Place, url: str, credentials: CredentialsSource, service: str
    ) -> BedrockUpstream:
        endpoint = Endpoint.from_url(url)
        token = place.bearer_token
        if token is None and not (place.access_key_id or place.profile or place.role_arn):
            token = self.default.bearer_token
        return BedrockUpstream(
            self._pool(endpoint, self._network.pool),
            endpoint,
            region=place.region,
            credentials=credentials,
            bearer_token=token,
            service=service,
            options=self._network.retry,
        )

    def _credentials(self, place: Place) -> CredentialsSource:
        if self._default_credentials is None:
            self._default_credentials = self._own(self.default) or chain_source(None, self._environ)
        if place is self.default:
            return self._default_credentials
        return self._with_role(place, self._own(place) or self._default_credentials)

    def _own(self, place: Place) -> CredentialsSource | None:
        if place.access_key_id and place.secret_access_key:
            return StaticSource(
                Credentials(place.access_key_id, place.secret_access_key, place.session_token)
            )
        return chain_source(place.profile, self._environ) if place.profile else None

    def _with_role(self, place: Place, base: CredentialsSource) -> CredentialsSource:
        if place.role_arn is None:
            return base
        from ..aws.assume_role import Role, assumed_role_source, sts_url  # noqa: PLC0415  # seldom

        url = self._environ.get("AWS_ENDPOINT_URL_STS") or sts_url(place.region)
        endpoint = Endpoint.from_url(url)
        return assumed_role_source(
            Role(arn=place.role_arn, external_id=place.external_id),
            base,
            endpoint,
            region=place.region,
            new_pool=lambda: self._pool(endpoint, PoolOptions()),
        )

    def _pool(self, endpoint: Endpoint, options: PoolOptions) -> Pool:
        network = self._network
        proxy = proxy_for(endpoint, network.https_proxy, network.no_proxy)
        return Pool(connector(endpoint, ca_bundle=network.ca_bundle, proxy=proxy), options)
