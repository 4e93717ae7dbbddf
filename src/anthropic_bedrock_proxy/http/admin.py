"""The admin API on HTTP: a request to an operation, its document to an answer.

Nothing of admin/ is imported before the first request comes: who only sends messages never pays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import msgspec

from ..errors import AuthenticationError, InvalidRequestError
from ..gateway.admission.authenticator import ANONYMOUS, MASTER
from .application import HTTPRoute, Request
from .authentication import Authentication
from .body import read_body
from .reply import Reply, header_lines

if TYPE_CHECKING:
    from ..admin.api import AdminAPI
    from ..admin.scopes import Actor

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_MAX_BODY_BYTES: Final = 1 << 20
# An amount of money is a number of exactly the digits that it has.
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


class AdminRoutes:
    """The paths below /admin/api/."""

    def __init__(
        self,
        *,
        build: Callable[[], AdminAPI],
        authentication: Authentication,
        forget: Callable[[], None],
    ) -> None:
        """`build` makes the API when it is first asked for.

        `authentication` best remembers nothing: a key that was revoked a moment ago must not have
        the time to reactivate itself. `forget` is told that keys or owners may have changed.
        """
        self._build = build
        self._authenticate = authentication.authenticate
        self._forget = forget
        self._api: AdminAPI | None = None

    def routes(self) -> Iterable[HTTPRoute]:
        """Returns one route for all operations: who may know of them is checked first."""
        return (HTTPRoute("/admin/api/{rest:path}", dict.fromkeys(_METHODS, self.handle)),)

    async def handle(self, request: Request, **_: str) -> Reply:
        """Runs one operation. Raises `ProxyError`."""
        await self._authenticate(request)
        actor = _actor(request)
        if self._api is None:
            self._api = self._build()
        # By the path with its escapes: an id may have a slash in it.
        match = self._api.authorise(actor, request.method, request.head.raw_path)
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

    lines = b"cache-control: no-store\r\n"  # some answers hold a secret
    if not isinstance(document, TextDocument):
        return Reply(_encode(document), status=status, lines=lines)
    if document.next is not None:
        lines += header_lines(((b"x-next-after", document.next.encode("latin-1", "replace")),))
    content_type = document.content_type.encode()
    return Reply(document.body, status=status, lines=lines, content_type=content_type)
