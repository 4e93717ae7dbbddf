"""The handlers of the Messages API: each takes a request to the gateway and encodes its answer.

A handler authenticates before it reads a byte of the body.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from time import monotonic
from urllib.parse import parse_qs

import msgspec

from ...errors import ProxyError
from ...gateway.counting import Counting
from ...gateway.messages import Messages
from ...gateway.model_list import ModelList
from ...models.betas import BETA_HEADER, split_header
from ...protocol.request.messages import check_version
from ..application import HTTPRoute, Request
from ..authentication import Authentication
from ..body import read_body
from ..reply import Reply, StreamReply, encoded, header_lines
from .budget_status import BudgetStatus
from .content import ContentObserver, shown
from .encoder import ANTHROPIC, warning_of

_encode = msgspec.json.Encoder().encode
_BETA_HEADER = BETA_HEADER.encode()
_ESTIMATE = b"x-token-count: estimate\r\n"


class MessagesAPI:
    """Messages, token counts and the list of models."""

    def __init__(
        self,
        messages: Messages,
        counting: Counting,
        models: ModelList,
        authentication: Authentication,
        *,
        max_body_bytes: int,
        content: Sequence[ContentObserver] = (),
        budget_status: str = "auto",
    ) -> None:
        """`content` are shown the requests that they want, and their answers.

        `budget_status` is what a spent budget answers with: see `BudgetStatus`.
        """
        self._messages = messages
        self._counting = counting
        self._models = models
        self._authenticate = authentication.authenticate
        self._max_body_bytes = max_body_bytes
        self._content = content
        self._budget_status = BudgetStatus(budget_status)

    def routes(self) -> Iterable[HTTPRoute]:
        """Returns the routes of this API."""
        list_, get = self.list_models, self.get_model
        return (
            HTTPRoute("/v1/messages", {"POST": self.create_message}, ANTHROPIC),
            HTTPRoute("/v1/messages/count_tokens", {"POST": self.count_tokens}, ANTHROPIC),
            HTTPRoute("/v1/models", {"GET": list_, "HEAD": list_}, ANTHROPIC),
            HTTPRoute("/v1/models/{model_id:path}", {"GET": get, "HEAD": get}, ANTHROPIC),
        )

    async def create_message(self, request: Request) -> Reply | StreamReply:
        """Creates a message, whole or streamed."""
        body = await self._enter(request)
        exchange = request.exchange
        observers = [observer for observer in self._content if observer.wants(exchange)]
        for observer in observers:
            observer.request(exchange, body)
        try:
            answer = await self._messages.handle(exchange, body)
        except ProxyError as error:
            raise self._budget_status.told(error, request) from None
        if observers:
            answer = shown(answer, exchange, observers)
        return encoded(answer, exchange, ANTHROPIC)

    async def count_tokens(self, request: Request) -> Reply:
        """Counts the tokens that a message would take."""
        body = await self._enter(request)
        count = await self._counting.handle(request.exchange, body)
        lines = _ESTIMATE if count.estimated else b""
        if request.exchange.retires:
            lines += header_lines([(b"x-proxy-warning", warning_of(request.exchange))])
        return Reply(_encode({"input_tokens": count.input_tokens}), lines=lines)

    async def list_models(self, request: Request) -> Reply:
        """Lists the models, a page at a time."""
        await self._authenticate(request)
        query = parse_qs(request.head.query.decode("latin-1"))
        return Reply(_encode(self._models.page(query, request.exchange.caller)))

    async def get_model(self, request: Request, *, model_id: str) -> Reply:
        """Returns one model, by any name that messages may ask for."""
        await self._authenticate(request)
        return Reply(_encode(self._models.retrieve(model_id.rstrip("/"), request.exchange.caller)))

    async def _enter(self, request: Request) -> bytes | bytearray:
        """Begins every Messages endpoint: checks key and headers, and returns the body."""
        await self._authenticate(request)
        exchange, headers = request.exchange, request.headers
        version = headers.get(b"anthropic-version")
        exchange.version = check_version(version.decode("latin-1") if version else None)
        if _BETA_HEADER in headers:
            exchange.betas = split_header((headers[_BETA_HEADER].decode("latin-1"),))
        body = await read_body(request, self._max_body_bytes)
        exchange.received = monotonic()
        return body
