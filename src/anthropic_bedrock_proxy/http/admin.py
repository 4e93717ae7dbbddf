"""The admin API on HTTP: a request to an operation, its document to an answer.

Nothing of admin/ is imported before the first request comes: who only sends messages never pays.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import msgspec

from ..errors import AuthenticationError, InvalidRequestError
from ..gateway.admission.authenticator import ANONYMOUS, MASTER
from ..gateway.answer.reply import Reply
from .application import Handler, Request
from .body import read_body

if TYPE_CHECKING:
    from ..admin.api import AdminAPI
    from ..admin.scopes import Actor

ADMIN_PREFIX: Final = "/admin/api/"
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_MAX_BODY_BYTES: Final = 1 << 20
# An amount of money is a number of exactly the digits that it has.
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


class AdminRoutes:
    """The paths below /admin/api/."""

    def __init__(
        self,
        *,
        build: Callable[[], AdminAPI],
        authenticate: Callable[[Request], Awaitable[None]],
        forget: Callable[[], None],
    ) -> None:
        """`build` makes the API when it is first asked for.

        `authenticate` sets the exchange's caller, or raises; `forget` is told that keys or owners
        may have changed.
        """
        self._build = build
        self._authenticate = authenticate
        self._forget = forget
        self._api: AdminAPI | None = None

    def prefixes(self) -> Mapping[str, Mapping[str, Handler]]:
        """Returns the routes for the route table."""
        return {ADMIN_PREFIX: dict.fromkeys(METHODS, self.handle)}

    async def handle(self, request: Request) -> Reply:
        """Runs one operation. Raises `ProxyError`."""
        await self._authenticate(request)
        actor = _actor(request)
        if self._api is None:
            self._api = self._build()
        # With its escapes: an id may have a slash in it.
        path = request.head.raw_path.decode("latin-1")
        match = self._api.authorise(actor, request.method, path)
        body = await read_body(request, _MAX_BODY_BYTES)
        try:
            status, document = await self._api.run(match, _query(request.head.query), body)
        finally:
            if match.operation.writes:  # it may have been done, whatever came of it
                self._forget()
        return _reply(status, document)


def _actor(request: Request) -> Actor:
    """Returns the actor that asks. Raises `AuthenticationError` if it showed no known key."""
    from ..admin.scopes import MASTER as MASTER_ACTOR  # noqa: PLC0415  # see the top
    from ..admin.scopes import Actor  # noqa: PLC0415

    caller = request.exchange.caller
    if caller is None or caller is ANONYMOUS:  # REQUIRE_API_KEY=false is not for this
        raise AuthenticationError(
            "The admin API needs the master key or a key with admin scopes, as `x-api-key` or as "
            "`Authorization: Bearer <key>`."
        )
    return MASTER_ACTOR if caller is MASTER else Actor.of_key(caller.key)


def _query(raw: bytes) -> dict[str, str]:
    """Returns the parameters. Raises `InvalidRequestError` if one is there twice."""
    pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True)
    query = dict(pairs)
    if len(query) < len(pairs):
        raise InvalidRequestError("A parameter of the query string is given twice.")
    return query


def _reply(status: int, document: Any) -> Reply:
    from ..admin.call import TextDocument  # noqa: PLC0415  # see the top

    headers = [(b"cache-control", b"no-store")]  # some answers hold a secret
    if not isinstance(document, TextDocument):
        return Reply(_encode(document), status=status, headers=headers)
    if document.next is not None:
        headers.append((b"x-next-after", document.next.encode("latin-1", "replace")))
    content_type = document.content_type.encode()
    return Reply(document.body, status=status, headers=headers, content_type=content_type)
