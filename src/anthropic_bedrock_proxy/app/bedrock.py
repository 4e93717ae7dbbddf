"""Amazon Bedrock as the settings describe it: providers, credentials, the control plane."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..aws.credentials import CredentialsError
from ..aws.http import PoolOptions
from ..aws.resolver.hint import hint
from ..aws.resolver.resolver import Resolver
from ..config import Settings, SettingsError, secret_names
from ..config.aws_profile import (
    check_profile,
    default_profile_gives_keys,
    describe_profile,
    until,
)
from ..store.sealing import ProviderCredentials, Seal, SealingError
from ..upstream.bedrock import RetryOptions
from ..upstream.provider import Provider, parse_provider
from ..upstream.providers import Providers
from .network import Network, Wiring

if TYPE_CHECKING:
    from ..upstream.control import ControlPlane


def default_provider(settings: Settings) -> Provider:
    """Returns the provider of the AWS_* settings."""
    aws = settings.aws
    return Provider(
        region=aws.region,
        endpoint_url=aws.bedrock_endpoint_url,
        mantle_endpoint_url=aws.bedrock_mantle_endpoint_url,
        profile=aws.profile,
        access_key_id=aws.access_key_id,
        secret_access_key=aws.secret_access_key,
        session_token=aws.session_token,
        bearer_token=aws.bearer_token,
    )


def read_providers(settings: Settings) -> dict[str, Provider]:
    """Reads the providers of PROVIDERS. Raises `SettingsError`."""
    providers: dict[str, Provider] = {}
    problems: list[str] = []
    for name, fields in settings.failover.providers.items():
        try:
            providers[name] = parse_provider(name, fields)
        except ValueError as error:
            problems.append(f"PROVIDERS, {name!r}: {error}")
    if problems:
        raise SettingsError(problems)
    return providers


def make_providers(settings: Settings, resolver: Resolver) -> Providers:
    """Makes Bedrock in the configured region, and wherever else. Raises `SettingsError`."""
    wiring = make_wiring(settings, resolver)
    seal = Seal(settings.failover.encryption_secret)

    def unseal(token: bytes) -> ProviderCredentials:
        try:
            return seal.open(token)
        except SealingError as error:
            raise CredentialsError(str(error)) from error

    default = wiring.build(wiring.default)
    return Providers(default, read_providers(settings), build=wiring.build, unseal=unseal)


def make_control(
    settings: Settings, resolver: Resolver, *, timeout_seconds: float = 5.0
) -> ControlPlane:
    """Makes the control endpoint of the configured account and region. Needs a running loop."""
    aws = settings.aws
    url = aws.bedrock_control_endpoint_url or aws.bedrock_endpoint_url
    return make_wiring(settings, resolver).control(url, timeout_seconds=timeout_seconds)


def make_wiring(settings: Settings, resolver: Resolver) -> Wiring:
    """Makes the wiring by which providers are reached. Needs a running loop."""
    return Wiring(default_provider(settings), make_network(settings), resolver.source)


def make_network(settings: Settings) -> Network:
    """Makes the way in which AWS is reached."""
    aws, upstream = settings.aws, settings.upstream
    return Network(
        ca_bundle=str(aws.ca_bundle) if aws.ca_bundle else None,
        https_proxy=aws.https_proxy,
        no_proxy=aws.no_proxy,
        fips=aws.use_fips_endpoint,
        dualstack=aws.use_dualstack_endpoint,
        pool=PoolOptions(
            max_connections=upstream.max_connections,
            max_connecting=upstream.max_connecting,
            connect_timeout_seconds=upstream.connect_timeout_seconds,
        ),
        retry=RetryOptions(
            max_attempts=upstream.max_attempts,
            retry_seconds=upstream.retry_seconds,
            first_byte_seconds=upstream.first_byte_timeout_seconds,
            idle_seconds=upstream.idle_timeout_seconds,
            total_seconds=upstream.total_timeout_seconds,
        ),
    )


def bedrock_url(settings: Settings) -> str:
    """Returns the runtime endpoint: BEDROCK_ENDPOINT_URL, or the region's own."""
    return make_network(settings).runtime_url(default_provider(settings))


def make_resolver(settings: Settings) -> Resolver:
    """Makes what looks up AWS credentials. Starts nothing; call it before workers are forked."""
    return Resolver(aws_environ(settings))


def describe_credentials(settings: Settings) -> str | None:
    """Names the place where AWS credentials will come from, without any network; None: nowhere."""
    if settings.aws.bearer_token:
        return "AWS_BEARER_TOKEN_BEDROCK"
    return describe_aws_keys(settings)


def describe_aws_keys(settings: Settings) -> str | None:
    """Names the place where AWS keys to sign with will come from, likewise."""
    aws = settings.aws
    environ = aws_environ(settings)
    if aws.access_key_id:
        if not aws.session_token:
            return "AWS_ACCESS_KEY_ID"
        # As `aws configure export-credentials --format env` writes it.
        ends = until(environ.get("AWS_CREDENTIAL_EXPIRATION", ""))
        return f"AWS_ACCESS_KEY_ID (temporary{ends})"
    if (described := describe_profile(environ)) is not None:
        return described
    return hint(environ, default_profile=default_profile_gives_keys(environ))


def check_profile_of(settings: Settings) -> None:
    """Raises `ProfileError` if keys would come from a profile that cannot give any."""
    if not (settings.aws.bearer_token or settings.aws.access_key_id):
        check_profile(aws_environ(settings))


def aws_environ(settings: Settings) -> dict[str, str]:
    """Returns the environment in which AWS credentials are looked up.

    That of this process without the proxy's own secrets, with what .env and the settings say of
    AWS.
    """
    own = secret_names() - {"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}
    environ = {**settings.sdk_environ, **os.environ}
    aws = settings.aws
    given = {
        "AWS_REGION": aws.region,
        "AWS_DEFAULT_REGION": aws.region,
        "AWS_PROFILE": aws.profile,
        "AWS_CA_BUNDLE": str(aws.ca_bundle) if aws.ca_bundle else None,
        "HTTPS_PROXY": aws.https_proxy,
        "NO_PROXY": aws.no_proxy,
        "AWS_USE_FIPS_ENDPOINT": "true" if aws.use_fips_endpoint else None,
        "AWS_USE_DUALSTACK_ENDPOINT": "true" if aws.use_dualstack_endpoint else None,
    }
    kept = {
        name: value for name, value in environ.items() if name.upper() not in own | given.keys()
    }
    return kept | {name: value for name, value in given.items() if value}
