"""Authentication of a request: which header carries the key, and from where the client comes.

Which header carries the key is the operator's choice; `Authorization: Bearer` always works beside
it, because newer Anthropic SDKs send nothing else. A request may have both, of which one is for
somebody else (a log-in at claude.ai): the operator's header is tried first, and a valid one counts.
"""

from __future__ import annotations

from ..errors import AuthenticationError, PermissionDeniedError, ProxyError
from ..gateway.admission.authenticator import ANONYMOUS, Authenticator
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
        self._name = key_header
        self._key_header = key_header.lower().encode()
        self._trusted_networks = trusted_networks

    async def authenticate(self, request: Request) -> None:
        """Sets the caller of the request's exchange. Raises `ProxyError`."""
        headers = request.headers
        secret = headers.get(self._key_header)
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        bearer = token.strip() if scheme.lower() == b"bearer" else b""
        if not secret:
            await self._accept(request, bearer, "Authorization")
        elif not bearer or bearer == secret:
            await self._accept(request, secret, self._name)
        else:
            await self._accept_either(request, secret, bearer)

    async def _accept(self, request: Request, secret: bytes, header: str) -> None:
        caller = await self._authenticator.authenticate(
            secret.decode("utf-8", "surrogateescape"), lambda: self._client_of(request), header
        )
        request.exchange.caller = caller
        request.exchange.key_id = caller.key.id
        if caller.key.allowed_networks:
            check_network(caller.key, self._client_of(request))

    async def _accept_either(self, request: Request, secret: bytes, bearer: bytes) -> None:
        refused: ProxyError | None = None
        try:
            await self._accept(request, secret, self._name)
            if request.exchange.caller is not ANONYMOUS:
                return
        except (AuthenticationError, PermissionDeniedError) as error:
            refused = error
        try:
            await self._accept(request, bearer, "Authorization")
        except AuthenticationError as error:
            if isinstance(refused, PermissionDeniedError):
                raise refused from None
            raise AuthenticationError(
                f"The API key in `{self._name}` is not known, and neither is the one in "
                "`Authorization`. Check them for typing errors.",
                cause=error.cause,
            ) from None
        if request.exchange.caller is ANONYMOUS and refused is not None:
            raise refused

    def forget(self) -> None:
        """Forgets the keys that were looked up: they or their owners may have changed."""
        self._authenticator.forget()

    def _client_of(self, request: Request) -> str:
        forwarded = request.headers.get(b"x-forwarded-for", b"").decode("latin-1")
        return client_address(request.client, (forwarded,), self._trusted_networks)
