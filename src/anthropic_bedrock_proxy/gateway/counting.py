"""POST /v1/messages/count_tokens: Bedrock's CountTokens, or an estimate that says so.

CountTokens knows base model ids only (never inference profiles) and not every model. A model that
turns out to lack it is remembered, so that Claude Code's bursts of counts cost one refusal.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Final

import msgspec

from ..errors import InvalidRequestError, UpstreamRefusal, from_refusal, rule_for
from ..protocol.anthropic_invoke import to_invoke
from ..protocol.messages import parse_request
from ..protocol.tokens import estimate_input
from ..upstream.base import Call, Upstream
from .exchange import Exchange
from .reply import Reply
from .routing import Registry

ESTIMATE_HEADER: Final = (b"x-token-count", b"estimate")
_encode = msgspec.json.Encoder().encode


class _Counted(msgspec.Struct):
    inputTokens: int  # noqa: N815  # Bedrock's name


class Counting:
    """Counts the input tokens of a request that is not made."""

    def __init__(self, upstream: Upstream, registry: Registry) -> None:
        self._upstream = upstream
        self._registry = registry
        self._without: set[str] = set()

    async def handle(self, exchange: Exchange, body: bytes | bytearray) -> Reply:
        """Answers one authenticated request. Raises `ProxyError`."""
        request = parse_request(body, exchange.version, counting=True)
        route = self._registry.route(request.view.model)
        request.fields.setdefault("max_tokens", msgspec.Raw(b"1"))  # Bedrock checks the whole body
        converted = to_invoke(request, exchange.betas, route.generation, self._registry.betas)
        counts = route.model is None or route.model.count_tokens
        if counts and route.base_model_id not in self._without:
            try:
                return _reply(await self._count(route.base_model_id, converted.body))
            except UpstreamRefusal as refusal:
                if rule_for(refusal).error is not InvalidRequestError or not _unsupported(refusal):
                    raise from_refusal(refusal) from refusal
                self._without.add(route.base_model_id)
        return _reply(estimate_input(converted.body), estimated=True)

    async def _count(self, base_model_id: str, body: bytes) -> int:
        answer = await self._upstream.call(
            Call(
                operation="count-tokens",
                bedrock_model_id=base_model_id,
                body=_encode({"input": {"invokeModel": {"body": b64encode(body).decode()}}}),
            )
        )
        return msgspec.json.decode(answer.body, type=_Counted).inputTokens


def _unsupported(refusal: UpstreamRefusal) -> bool:
    """AWS has no code of its own for "this model cannot count"."""
    words = refusal.message.lower()
    return "count" in words and ("support" in words or "not available" in words)


def _reply(tokens: int, *, estimated: bool = False) -> Reply:
    return Reply(_encode({"input_tokens": tokens}), headers=[ESTIMATE_HEADER] if estimated else [])
