"""The route table and the handlers that are one step above the gateway.

A handler authenticates before it reads a byte of the body. Which header carries the key is the
operator's choice; `Authorization: Bearer` always works beside it, because newer Anthropic SDKs
send nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import msgspec

from .. import __version__
from ..errors import UnavailableError
from ..gateway.admission.authenticator import Authenticator
from ..gateway.admission.permissions import check_network, client_address
from ..gateway.answer.reply import Reply, StreamReply
from ..gateway.counting import Counting
from ..gateway.messages import Messages
from ..gateway.model_list import list_models, retrieve
from ..models.betas import split_header
from ..models.registry import Registry
from ..protocol.request.messages import check_version
from .admin import AdminRoutes
from .application import AccessLog, Application, Handler, Request
from .body import read_body, skip_body
from .cors import CORS

if TYPE_CHECKING:
    from ..admin.api import AdminAPI

_encode = msgspec.json.Encoder().encode
_MODELS = "/v1/models/"
_MAX_EVENTS_BYTES = 64 * 1024  # of a batch of events that nobody reads


class Routes:
    """Every path the proxy serves."""

    def __init__(
        self,
        *,
        messages: Messages,
        counting: Counting,
        registry: Registry,
        authenticator: Authenticator,
        max_body_bytes: int,
        key_header: str,
        environment: str,
        trusted_networks: tuple[str, ...] = (),
        build_admin: Callable[[], AdminAPI] | None = None,
        admin_authenticator: Authenticator | None = None,
    ) -> None:
        """`trusted_networks` (CIDR) are those of load balancers: see `client_address`.

        `build_admin` makes the admin API when it is first asked for; None: there is none.
        `admin_authenticator` is for that alone, and best remembers nothing: a key that was revoked
        a moment ago must not have the time to reactivate itself.
        """
        self._messages = messages
        self._counting = counting
        self._registry = registry
        self._authenticator = authenticator
        self._max_body_bytes = max_body_bytes
        self._key_header = key_header.lower().encode()
        self._environment = environment
        self._trusted_networks = trusted_networks
        self._build_admin = build_admin
        self._admin_authenticator = admin_authenticator or authenticator
        self._application: Application | None = None

    def application(self, access_log: AccessLog | None, *, cors: CORS | None = None) -> Application:
        """Makes the application over these routes."""
        self._application = Application(
            self.table(), self.prefixes(), access_log=access_log, cors=cors
        )
        return self._application

    def table(self) -> Mapping[str, Mapping[str, Handler]]:
        """Returns the handlers by exact path and method."""
        return {
            "/v1/messages": {"POST": self.post_messages},
            "/v1/messages/count_tokens": {"POST": self.post_count_tokens},
            "/v1/models": {"GET": self.get_models, "HEAD": self.get_models},
            "/": {"GET": self.get_root, "HEAD": self.get_root},
            # Probes of Claude Code: any 200 will do.
            "/api/hello": {"GET": self.get_root, "HEAD": self.get_root},
            "/api/event_logging/batch": {"POST": self.post_event_logging},
            "/health": {"GET": self.get_health, "HEAD": self.get_health},
            "/ready": {"GET": self.get_ready, "HEAD": self.get_ready},
            "/liveness": {"GET": self.get_liveness, "HEAD": self.get_liveness},
        }

    def prefixes(self) -> Mapping[str, Mapping[str, Handler]]:
        """Paths that end in an id."""
        prefixes: dict[str, Mapping[str, Handler]] = {
            _MODELS: {"GET": self.get_model, "HEAD": self.get_model}
        }
        if self._build_admin is not None:
            admin = AdminRoutes(
                build=self._build_admin,
                authenticate=partial(self._authenticate, authenticator=self._admin_authenticator),
                forget=self._authenticator.forget,
            )
            prefixes |= admin.prefixes()
        return prefixes

    async def post_messages(self, request: Request) -> Reply | StreamReply:
        """Creates a message."""
        body = await self._enter(request)
        return await self._messages.handle(request.exchange, body)

    async def post_count_tokens(self, request: Request) -> Reply:
        """Counts the tokens a message would take."""
        body = await self._enter(request)
        return await self._counting.handle(request.exchange, body)

    async def get_models(self, request: Request) -> Reply:
        """Lists the models."""
        await self._authenticate(request)
        query = parse_qs(request.head.query.decode("latin-1"))
        return list_models(self._registry, query)

    async def get_model(self, request: Request) -> Reply:
        """Returns one model."""
        await self._authenticate(request)
        return retrieve(self._registry, request.path.removeprefix(_MODELS))

    async def get_root(self, _: Request) -> Reply:
        """Says what this is."""
        return Reply(_encode({"name": "anthropic-bedrock-proxy", "version": __version__}))

    async def post_event_logging(self, request: Request) -> Reply:
        """Takes a client's telemetry and forgets it: nothing of it is decoded, or kept."""
        await skip_body(request, _MAX_EVENTS_BYTES)
        return Reply(b'{"status":"ok"}')

    async def get_health(self, _: Request) -> Reply:
        """Answers that the process is healthy."""
        body = {"status": "healthy", "version": __version__, "environment": self._environment}
        return Reply(_encode(body))

    async def get_liveness(self, _: Request) -> Reply:
        """Answers that the process is alive."""
        return Reply(b'{"status":"alive"}')

    async def get_ready(self, _: Request) -> Reply:
        """Answers that new requests are welcome. 503 from SIGTERM on."""
        if self._application is not None and self._application.draining:
            raise UnavailableError("The proxy is shutting down.")
        return Reply(b'{"status":"ready"}')

    async def _enter(self, request: Request) -> bytes | bytearray:
        """Begins every Messages endpoint: checks key and headers, and returns the body."""
        await self._authenticate(request)
        exchange, headers = request.exchange, request.headers
        version = headers.get(b"anthropic-version")
        exchange.version = check_version(version.decode("latin-1") if version else None)
        if b"anthropic-beta" in headers:
            exchange.betas = split_header((headers[b"anthropic-beta"].decode("latin-1"),))
        return await read_body(request, self._max_body_bytes)

    async def _authenticate(
        self, request: Request, *, authenticator: Authenticator | None = None
    ) -> None:
        authenticator = authenticator or self._authenticator
        headers = request.headers
        secret = headers.get(self._key_header)
        if not secret:
            scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
            secret = token.strip() if scheme.lower() == b"bearer" else b""
        caller = await authenticator.authenticate(
            secret.decode("utf-8", "surrogateescape"), lambda: self._client_of(request)
        )
        request.exchange.caller = caller
        request.exchange.key_id = caller.key.id
        if caller.key.allowed_networks:
            check_network(caller.key, self._client_of(request))

    def _client_of(self, request: Request) -> str:
        forwarded = request.headers.get(b"x-forwarded-for", b"").decode("latin-1")
        return client_address(request.client, (forwarded,), self._trusted_networks)
