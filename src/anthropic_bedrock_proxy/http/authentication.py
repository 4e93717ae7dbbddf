"""Authentication of a request: which header carries the key, and from where the client comes.

Which header carries the key is the operator's choice; `Authorization: Bearer` always works beside
it, because newer Anthropic SDKs send nothing else.
"""

from __future__ import annotations

from ..gateway.admission.authenticator import Authenticator
from ..gateway.admission.permissions import check_network, client_address
from .application import Request


class Authentication:
    """Finds the caller of a request by the key in its headers."""

    def __init__(
        self,
        authenticator: Authenticator,
        *,
        key_header: str,
        trusted_networks: tuple[str, ...] = (),
    ) -> None:
        """`trusted_networks` (CIDR) are those of load balancers: see `client_address`."""
        self._authenticator = authenticator
        self._key_header = key_header.lower().encode()
        self._trusted_networks = trusted_networks

    async def authenticate(self, request: Request) -> None:
        """Sets the caller of the request's exchange. Raises `ProxyError`."""
        headers = request.headers
        secret = headers.get(self._key_header)
        if not secret:
            scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
            secret = token.strip() if scheme.lower() == b"bearer" else b""
        caller = await self._authenticator.authenticate(
            secret.decode("utf-8", "surrogateescape"), lambda: self._client_of(request)
        )
        request.exchange.caller = caller
        request.exchange.key_id = caller.key.id
        if caller.key.allowed_networks:
            check_network(caller.key, self._client_of(request))

    def forget(self) -> None:
        """Forgets the keys that were looked up: they or their owners may have changed."""
        self._authenticator.forget()

    def _client_of(self, request: Request) -> str:
        forwarded = request.headers.get(b"x-forwarded-for", b"").decode("latin-1")
        return client_address(request.client, (forwarded,), self._trusted_networks)
