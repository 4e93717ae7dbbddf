"""The composition root: settings in, a wired application out. Parts open and close in order."""

from __future__ import annotations

import asyncio
import logging
import os
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from .aws.connect import Endpoint, connector, proxy_for
from .aws.credentials import CredentialsSource, StaticSource, chain_source, credentials_hint
from .aws.http import Pool, PoolOptions
from .aws.sigv4 import Credentials
from .config import Settings
from .gateway.admission import Admission
from .gateway.counting import Counting
from .gateway.failover import Failover
from .gateway.keys import Authenticator, KeyOptions
from .gateway.messages import Messages
from .gateway.pacing import Pacing
from .gateway.routing import DEFAULT_PLACE, Registry, RoutingOptions
from .gateway.verdicts import Verdicts
from .http.asgi import Application
from .http.routes import Routes
from .protocol.betas import BetaRules
from .protocol.capabilities import ModelTable, parse_table
from .protocol.terms import Terms
from .store.base import Store
from .store.journal import Journal
from .telemetry.logs import AccessLog
from .upstream.base import Upstream
from .upstream.bedrock import BedrockUpstream, RetryOptions
from .upstream.region import Region

_log = logging.getLogger("anthropic_bedrock_proxy")
_MODELS: Final = Path(__file__).with_name("models.toml")


class App:
    """A running application; `close` ends it in the reverse order of `build`."""

    def __init__(
        self,
        application: Application,
        *,
        store: Store,
        journal: Journal,
        draining: asyncio.Task[None],
        upstreams: Mapping[str, Upstream],
        access_log: AccessLog | None,
    ) -> None:
        self.application = application
        self._store = store
        self._journal = journal
        self._draining = draining
        self._upstreams = upstreams
        self._access_log = access_log

    async def close(self) -> None:
        """Lets go of AWS, delivers the usage that is left, closes the store."""
        for upstream in self._upstreams.values():
            await upstream.close()
        self._draining.cancel()
        await asyncio.gather(self._draining, return_exceptions=True)
        await self._journal.close(self._store.usage)
        await self._store.close()
        if self._access_log is not None:
            self._access_log.flush()


async def build(settings: Settings, store: Store) -> App:
    """Wires one worker; `store` is not open yet. Raises `StoreError`."""
    await store.open()
    journal = Journal(settings.store.journal_path)
    upstreams = {DEFAULT_PLACE: make_upstream(settings)}
    registry = make_registry(settings)
    routes = Routes(
        messages=Messages(
            upstreams,
            registry,
            Failover(),
            Admission(journal, monotonic=time.monotonic),
            Pacing(
                ping_seconds=settings.streaming.ping_interval_seconds,
                idle_seconds=settings.upstream.idle_timeout_seconds,
                total_seconds=settings.upstream.total_timeout_seconds,
            ),
            Verdicts(registry.betas.needed_for),
            terms=make_terms(settings),
            monotonic=time.monotonic,
        ),
        counting=Counting(upstreams, registry, monotonic=time.monotonic),
        registry=registry,
        authenticator=Authenticator(
            store.keys,
            KeyOptions(
                require_api_key=settings.auth.require_api_key,
                master_api_key=settings.auth.master_api_key,
                header=settings.auth.api_key_header,
                ttl_seconds=settings.auth.key_cache_ttl_seconds,
            ),
            monotonic=time.monotonic,
            now=time.time,
        ),
        max_body_bytes=settings.server.max_body_bytes,
        key_header=settings.auth.api_key_header,
        environment=settings.server.environment,
    )
    access_log = AccessLog(settings.server.log_format) if settings.server.access_log else None
    draining = asyncio.create_task(
        journal.run(store.usage, interval_seconds=settings.store.journal_interval_seconds)
    )
    draining.add_done_callback(_report_end)
    return App(
        routes.application(
            access_log,
            body_timeout_seconds=settings.server.body_timeout_seconds,
            stall_timeout_seconds=settings.upstream.idle_timeout_seconds,
        ),
        store=store,
        journal=journal,
        draining=draining,
        upstreams=upstreams,
        access_log=access_log,
    )


def _report_end(draining: asyncio.Task[None]) -> None:
    """Usage is safe on disk without its drain, but somebody must hear that it has stopped."""
    if not draining.cancelled() and (error := draining.exception()):
        _log.critical("usage no longer reaches the store until a restart: %r", error)


def load_model_table() -> ModelTable:
    """The shipped models.toml."""
    return parse_table(tomllib.loads(_MODELS.read_text(encoding="utf-8")))


def make_registry(settings: Settings) -> Registry:
    """The models of the configured region, with the operator's mapping and betas on top."""
    models = settings.models
    return Registry(
        load_model_table(),
        RoutingOptions(region=settings.aws.region, mapping=models.default_model_mapping),
        BetaRules(
            mapping=models.beta_header_mapping,
            passthrough=frozenset(models.beta_headers_passthrough),
            blocklist=frozenset(models.beta_headers_blocklist),
        ),
    )


def bedrock_url(settings: Settings) -> str:
    """The runtime endpoint: BEDROCK_ENDPOINT_URL, or the region's own."""
    region = settings.aws.region
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return settings.aws.bedrock_endpoint_url or f"https://bedrock-runtime.{region}.{suffix}"


def describe_credentials(settings: Settings) -> str | None:
    """Where AWS credentials will come from, judged without any network; None: nowhere."""
    aws = settings.aws
    if aws.bearer_token:
        return "AWS_BEARER_TOKEN_BEDROCK"
    if aws.access_key_id:
        return "AWS_ACCESS_KEY_ID"
    return credentials_hint(aws.profile, os.environ)


def mantle_url(settings: Settings) -> str | None:
    """The bedrock-mantle endpoint: BEDROCK_MANTLE_ENDPOINT_URL, or the region's own.

    None if only the runtime endpoint was moved elsewhere: then nothing may leave for AWS unasked.
    """
    aws = settings.aws
    if aws.bedrock_mantle_endpoint_url or aws.bedrock_endpoint_url:
        return aws.bedrock_mantle_endpoint_url
    return f"https://bedrock-mantle.{aws.region}.api.aws"


def make_terms(settings: Settings) -> Terms:
    """What the operator lays down for every request."""
    models = settings.models
    return Terms(
        cache=models.prompt_caching_enabled,
        default_cache_ttl=models.default_cache_ttl,
        service_tier=models.default_service_tier,
    )


def make_upstream(settings: Settings) -> Region:
    """Bedrock in the configured region."""
    credentials = _credentials(settings)
    runtime = _endpoint(settings, bedrock_url(settings), credentials, "bedrock")
    url = mantle_url(settings)
    if url is None:
        return Region(runtime, None)
    return Region(runtime, lambda: _endpoint(settings, url, credentials, "bedrock-mantle"))


def _endpoint(
    settings: Settings, url: str, credentials: CredentialsSource, service: str
) -> BedrockUpstream:
    aws, patience = settings.aws, settings.upstream
    endpoint = Endpoint.from_url(url)
    pool = Pool(
        connector(
            endpoint,
            ca_bundle=str(aws.ca_bundle) if aws.ca_bundle else None,
            proxy=proxy_for(endpoint, aws.https_proxy, aws.no_proxy),
        ),
        PoolOptions(
            max_connections=patience.max_connections,
            max_connecting=patience.max_connecting,
            connect_timeout_seconds=patience.connect_timeout_seconds,
        ),
    )
    return BedrockUpstream(
        pool,
        endpoint,
        region=aws.region,
        credentials=credentials,
        bearer_token=aws.bearer_token,
        service=service,
        options=RetryOptions(
            max_attempts=patience.max_attempts,
            retry_seconds=patience.retry_seconds,
            first_byte_seconds=patience.first_byte_timeout_seconds,
            idle_seconds=patience.idle_timeout_seconds,
            total_seconds=patience.total_timeout_seconds,
        ),
    )


def _credentials(settings: Settings) -> CredentialsSource:
    aws = settings.aws
    if aws.access_key_id and aws.secret_access_key:
        return StaticSource(
            Credentials(aws.access_key_id, aws.secret_access_key, aws.session_token)
        )
    return chain_source(aws.profile, os.environ)
