"""The parts of an application, each made from the settings. Composition code, like app.py."""

from __future__ import annotations

import os
import re
import time
import tomllib
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .aws.credentials import CredentialsError
from .aws.http import PoolOptions
from .aws.resolver.hint import hint
from .aws.resolver.resolver import Resolver
from .config import Settings, SettingsError, secret_names
from .gateway.admission.limiting import LimitOptions, Limits
from .gateway.failover.chains import parse_chains
from .gateway.failover.failover import Failover, FailoverOptions
from .gateway.routing import Link, Registry, RoutingOptions
from .http.cors import CORS
from .http.server.bounds import ConnectionBounds
from .limits.select import check_url as check_limits_url
from .protocol.betas import BetaRules
from .protocol.capabilities import ModelTable, parse_table
from .protocol.terms import Guardrail, Terms
from .store.sealing import ProviderCredentials, Seal, SealingError
from .upstream.bedrock import RetryOptions
from .upstream.place import Place, parse_place
from .upstream.places import Places
from .upstream.wiring import Network, Wiring

if TYPE_CHECKING:
    from .fetch.cache import CachedFetcher
    from .limits.base import Limiter
    from .upstream.control import ControlPlane

# As browsers send it (Fetch standard): anything else would never match.
_ORIGIN: Final = r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?"
_ANY_PAGE: Final = (
    "CORS_ALLOW_CREDENTIALS with CORS_ORIGINS=*: any page could act for whoever visits it. Name "
    "the origins, or set CORS_ALLOW_CREDENTIALS=false (API keys in headers need no credentials in "
    "this sense)"
)
_MODELS: Final = Path(__file__).with_name("models.toml")


def make_limits(settings: Settings, limiter: Limiter) -> Limits:
    """Makes the operator's limits, counted by `limiter`."""
    limits = settings.limits
    return Limits(
        limiter,
        LimitOptions(
            enabled=limits.enabled,
            requests=limits.requests,
            window_seconds=limits.window_seconds,
            output_estimate=limits.output_estimate,
            master_requests=limits.master_requests,
        ),
        now=time.time,
    )


def make_bounds(settings: Settings) -> ConnectionBounds:
    """Makes the bounds of what one client may take of a worker."""
    options = settings.server
    stall = settings.upstream.idle_timeout_seconds
    times = (options.body_timeout_seconds, options.keep_alive_seconds, stall)
    return ConnectionBounds(
        tick_seconds=min(1.0, max(0.05, min(times) / 4)),
        body_seconds=options.body_timeout_seconds,
        idle_seconds=options.keep_alive_seconds,
        stall_seconds=stall,
        connections=options.max_connections,
    )


def make_cors(settings: Settings) -> CORS | None:
    """Makes the rule of pages that may call the proxy; None for none of other origins."""
    cors = settings.cors
    if not cors.origins:
        return None
    return CORS(
        origins=frozenset(cors.origins),
        methods=cors.methods,
        headers=cors.headers,
        credentials=cors.credentials,
    )


def load_model_table() -> ModelTable:
    """Loads the shipped models.toml."""
    return parse_table(tomllib.loads(_MODELS.read_text(encoding="utf-8")))


def make_registry(settings: Settings, regions: Mapping[str, str] | None = None) -> Registry:
    """Makes the registry of the configured region, with the operator's mapping and betas on top.

    `regions` are those of the places beside the default one, now and later; without them, those of
    the settings. Raises `SettingsError`.
    """
    models = settings.models
    configured = read_places(settings)
    if regions is None:
        regions = {name: place.region for name, place in configured.items()}
    return Registry(
        load_model_table(),
        RoutingOptions(
            region=settings.aws.region,
            places=regions,
            chains=read_chains(settings, configured),
            mapping=models.default_model_mapping,
            dialects=models.model_dialects,
            geography=models.inference_geography,
        ),
        BetaRules(
            mapping=models.beta_header_mapping,
            passthrough=frozenset(models.beta_headers_passthrough),
            blocklist=frozenset(models.beta_headers_blocklist),
        ),
    )


def read_places(settings: Settings) -> dict[str, Place]:
    """Reads the places of PROVIDERS. Raises `SettingsError`."""
    places: dict[str, Place] = {}
    problems: list[str] = []
    for name, fields in settings.failover.providers.items():
        try:
            places[name] = parse_place(name, fields)
        except ValueError as error:
            problems.append(f"PROVIDERS, {name!r}: {error}")
    if problems:
        raise SettingsError(problems)
    return places


def read_chains(settings: Settings, places: Mapping[str, Place]) -> dict[str, tuple[Link, ...]]:
    """Reads FAILOVER_CHAINS, unless failover is off. Raises `SettingsError`."""
    if not settings.failover.enabled:
        return {}
    try:
        return parse_chains(settings.failover.chains, places)
    except ValueError as error:
        problems = [f"FAILOVER_CHAINS, {line}" for line in str(error).splitlines()]
        raise SettingsError(problems) from error


def check(settings: Settings) -> None:
    """Raises `SettingsError` for settings that cannot be used together, or here."""
    _check_server(settings)
    read_chains(settings, read_places(settings))
    try:
        for network in settings.auth.trusted_proxies:
            ip_network(network)
    except ValueError as error:
        raise SettingsError([f"TRUSTED_PROXIES: {error}"]) from error
    try:
        check_limits_url(settings.limits.url)
    except ValueError as error:
        raise SettingsError([f"LIMITS_URL: {error}"]) from error


def _check_server(settings: Settings) -> None:
    server, cors = settings.server, settings.cors
    if (server.tls_certificate is None) != (server.tls_key is None):
        raise SettingsError(["TLS_CERT_FILE and TLS_KEY_FILE belong together"])
    odd = [one for one in cors.origins if one != "*" and not re.fullmatch(_ORIGIN, one)]
    if odd:
        raise SettingsError(
            [f"CORS_ORIGINS: {one!r} is not scheme://host[:port] in lower case" for one in odd]
        )
    if cors.credentials and "*" in cors.origins:
        raise SettingsError([_ANY_PAGE])


def default_place(settings: Settings) -> Place:
    """Returns the place of the AWS_* settings."""
    aws = settings.aws
    return Place(
        region=aws.region,
        endpoint_url=aws.bedrock_endpoint_url,
        mantle_endpoint_url=aws.bedrock_mantle_endpoint_url,
        profile=aws.profile,
        access_key_id=aws.access_key_id,
        secret_access_key=aws.secret_access_key,
        session_token=aws.session_token,
        bearer_token=aws.bearer_token,
    )


def bedrock_url(settings: Settings) -> str:
    """Returns the runtime endpoint: BEDROCK_ENDPOINT_URL, or the region's own."""
    return make_network(settings).runtime_url(default_place(settings))


def describe_credentials(settings: Settings) -> str | None:
    """Names the place where AWS credentials will come from, without any network; None: nowhere."""
    aws = settings.aws
    if aws.bearer_token:
        return "AWS_BEARER_TOKEN_BEDROCK"
    if aws.access_key_id:
        return "AWS_ACCESS_KEY_ID"
    return hint(aws_environ(settings))


def make_terms(settings: Settings) -> Terms:
    """Makes the terms that the operator lays down for every request."""
    models = settings.models
    guardrail = None
    if models.guardrail_identifier is not None:
        guardrail = Guardrail(
            identifier=models.guardrail_identifier,
            version=models.guardrail_version,
            trace=models.guardrail_trace,
            stream_mode=models.guardrail_stream_mode,
        )
    return Terms(
        cache=models.prompt_caching_enabled,
        default_cache_ttl=models.default_cache_ttl,
        service_tier=models.default_service_tier,
        latency=models.performance_latency,
        guardrail=guardrail,
        request_metadata=models.request_metadata,
    )


def make_failover(settings: Settings) -> Failover:
    """Makes the failover, which bounds the time of a target while others could serve."""
    failover, upstream = settings.failover, settings.upstream
    patience = upstream.first_byte_timeout_seconds
    return Failover(
        FailoverOptions(
            first_byte_seconds=min(failover.first_byte_timeout_seconds, patience),
            answer_seconds=min(failover.answer_timeout_seconds, patience),
            failures=failover.failures,
            cooldown_seconds=failover.cooldown_seconds,
            sticky_seconds=failover.sticky_seconds,
        ),
        monotonic=time.monotonic,
    )


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


def make_resolver(settings: Settings) -> Resolver:
    """Makes what looks up AWS credentials. Starts nothing; call it before workers are forked."""
    return Resolver(aws_environ(settings))


def make_wiring(settings: Settings, resolver: Resolver) -> Wiring:
    """Makes the wiring by which places are reached. Needs a running loop."""
    return Wiring(default_place(settings), make_network(settings), resolver.source)


def make_network(settings: Settings) -> Network:
    """Makes the way in which AWS is reached."""
    aws, patience = settings.aws, settings.upstream
    return Network(
        ca_bundle=str(aws.ca_bundle) if aws.ca_bundle else None,
        https_proxy=aws.https_proxy,
        no_proxy=aws.no_proxy,
        fips=aws.use_fips_endpoint,
        dualstack=aws.use_dualstack_endpoint,
        pool=PoolOptions(
            max_connections=patience.max_connections,
            max_connecting=patience.max_connecting,
            connect_timeout_seconds=patience.connect_timeout_seconds,
        ),
        retry=RetryOptions(
            max_attempts=patience.max_attempts,
            retry_seconds=patience.retry_seconds,
            first_byte_seconds=patience.first_byte_timeout_seconds,
            idle_seconds=patience.idle_timeout_seconds,
            total_seconds=patience.total_timeout_seconds,
        ),
    )


def make_places(settings: Settings, resolver: Resolver) -> Places:
    """Makes Bedrock in the configured region, and wherever else. Raises `SettingsError`."""
    wiring = make_wiring(settings, resolver)
    seal = Seal(settings.failover.encryption_secret)

    def unseal(token: bytes) -> ProviderCredentials:
        try:
            return seal.open(token)
        except SealingError as error:
            raise CredentialsError(str(error)) from error

    default = wiring.build(wiring.default)
    return Places(default, read_places(settings), build=wiring.build, unseal=unseal)


def make_control(
    settings: Settings, resolver: Resolver, *, timeout_seconds: float = 5.0
) -> ControlPlane:
    """Makes the control endpoint of the configured account and region. Needs a running loop."""
    aws = settings.aws
    url = aws.bedrock_control_endpoint_url or aws.bedrock_endpoint_url
    return make_wiring(settings, resolver).control(url, timeout_seconds=timeout_seconds)


def make_fetcher(settings: Settings) -> CachedFetcher:
    """Makes the fetcher of the URLs in requests. Belongs to one loop."""
    from .fetch.cache import CachedFetcher  # noqa: PLC0415  # seldom needed
    from .fetch.fetcher import FetchOptions, WebFetcher  # noqa: PLC0415  # seldom needed

    fetch, aws = settings.fetch, settings.aws
    web = WebFetcher(
        FetchOptions(
            max_bytes=fetch.max_bytes,
            timeout_seconds=fetch.timeout_seconds,
            connect_timeout_seconds=fetch.connect_timeout_seconds,
            max_redirects=fetch.max_redirects,
            max_concurrent=fetch.max_concurrent,
            allow_http=fetch.allow_http,
            allowed_ports=tuple(int(port) for port in fetch.allowed_ports),
            allowed_hosts=fetch.allowed_hosts,
            blocked_hosts=fetch.blocked_hosts,
            allow_private=fetch.allow_private,
            https_proxy=aws.https_proxy,
            no_proxy=aws.no_proxy,
            trust_proxy=fetch.trust_proxy,
            ca_bundle=str(aws.ca_bundle) if aws.ca_bundle else None,
        )
    )
    return CachedFetcher(web)
