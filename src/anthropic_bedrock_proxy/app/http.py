"""The HTTP side as the settings describe it: routes, bounds of clients, pages of other origins."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final

from ..config import Settings, SettingsError
from ..gateway.admission.brute_force import BruteForceGuard
from ..gateway.counting import Counting
from ..gateway.messages import Messages
from ..gateway.model_list import ModelList
from ..http.admin import AdminRoutes
from ..http.anthropic.content import ContentObserver
from ..http.anthropic.encoder import ANTHROPIC
from ..http.anthropic.files import FilesAPI
from ..http.anthropic.handlers import MessagesAPI
from ..http.application import Application, Observer
from ..http.authentication import Authentication
from ..http.cors import CORS
from ..http.docs_page import DocsPage
from ..http.health import Health
from ..http.metrics import MetricsRoutes, Render
from ..http.sandbox_health import SandboxHealth
from ..http.search_health import SearchHealth
from ..http.server.bounds import ConnectionBounds
from ..models.registry import Registry
from ..store.base.store import Store
from .admission import make_authenticator

if TYPE_CHECKING:
    from ..admin.api import AdminAPI
    from ..sandbox.kept_files import KeptFiles

_ORIGIN: Final = r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?"
_ANY_PAGE: Final = (
    "CORS_ALLOW_CREDENTIALS with CORS_ORIGINS=*: any page could act for whoever visits it. Name "
    "the origins, or set CORS_ALLOW_CREDENTIALS=false (API keys in headers need no credentials in "
    "this sense)"
)


def make_application(
    settings: Settings,
    *,
    store: Store,
    registry: Registry,
    messages: Messages,
    counting: Counting,
    health: Health,
    sandbox_health: SandboxHealth,
    search_health: SearchHealth,
    server_tools: Collection[str],
    files: Callable[[], KeptFiles] | None,
    content: Sequence[ContentObserver],
    render_metrics: Render | None,
    observers: Sequence[Observer],
    begin_trace: Observer | None,
) -> Application:
    """Makes the application: every route that the proxy serves.

    `server_tools` are the kinds that the proxy runs itself. `files` gives the files of executors
    when they are needed; None: code is never run.
    `content` log or trace what some requests ask; `render_metrics` None: no metrics are kept.
    """
    guard = BruteForceGuard()
    authentication = _authentication(settings, store, guard, settings.auth.key_cache_ttl_seconds)
    admin = AdminRoutes(
        build=lambda: _build_admin(settings, store),
        authentication=_authentication(settings, store, guard, 0.0),
        forget=authentication.forget,
    )
    api = MessagesAPI(
        messages,
        counting,
        ModelList(registry, server_tools=server_tools),
        authentication,
        max_body_bytes=settings.server.max_body_bytes,
        content=content,
        budget_status=settings.budgets.exceeded_status,
    )
    files_api = FilesAPI(
        files, authentication, max_file_bytes=settings.sandbox.standalone_max_file_size_bytes
    )
    metrics = MetricsRoutes(render_metrics, token=settings.telemetry.metrics_token)
    routes = (
        *api.routes(),
        *files_api.routes(),
        *health.routes(),
        *sandbox_health.routes(),
        *search_health.routes(),
        *metrics.routes(),
        *admin.routes(),
    )
    docs = DocsPage(
        routes,
        openapi_path=settings.server.openapi_path,
        docs_path=settings.server.docs_path,
        key_header=settings.auth.api_key_header,
    )
    return Application(
        (*routes, *docs.routes()),
        ANTHROPIC,
        observers=observers,
        begin_trace=begin_trace,
        cors=make_cors(settings),
    )


def _authentication(
    settings: Settings, store: Store, guard: BruteForceGuard, ttl_seconds: float
) -> Authentication:
    auth = settings.auth
    return Authentication(
        make_authenticator(settings, store.keys, guard, ttl_seconds=ttl_seconds),
        key_header=auth.api_key_header,
        trusted_networks=auth.trusted_proxies,
    )


def _build_admin(settings: Settings, store: Store) -> AdminAPI:
    from .admin import build_admin  # noqa: PLC0415  # most workers never need it

    return build_admin(settings, store)


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


def check_http(settings: Settings) -> None:
    """Raises `SettingsError` for settings of the HTTP side that cannot be used together."""
    server, cors = settings.server, settings.cors
    if (server.tls_certificate is None) != (server.tls_key is None):
        raise SettingsError(["TLS_CERT_FILE and TLS_KEY_FILE belong together"])
    if server.docs_path is not None and server.docs_path == server.openapi_path:
        raise SettingsError(["DOCS_URL and OPENAPI_URL need different paths"])
    odd = [one for one in cors.origins if one != "*" and not re.fullmatch(_ORIGIN, one)]
    if odd:
        raise SettingsError(
            [f"CORS_ORIGINS: {one!r} is not scheme://host[:port] in lower case" for one in odd]
        )
    if cors.credentials and "*" in cors.origins:
        raise SettingsError([_ANY_PAGE])
    try:
        for network in settings.auth.trusted_proxies:
            ip_network(network)
    except ValueError as error:
        raise SettingsError([f"TRUSTED_PROXIES: {error}"]) from error
