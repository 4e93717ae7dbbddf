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
from ..protocol.messages import MessagesRequest, parse_request
from ..protocol.tokens import estimate_input
from ..upstream.base import Call, Upstream
from .exchange import Exchange
from .reply import Reply
from .routing import Registry

ESTIMATE_HEADER: Final = (b"x-token-count", b"estimate")
_encode = msgspec.json.Encoder().encode


_ONE: Final = msgspec.Raw(b"1")
# AWS's words; the last is about models that only inference profiles serve.
_UNSUPPORTED: Final = ("counting tokens", "counttokens", "on-demand throughput")


class _Thinking(msgspec.Struct):
    type: str = ""
    budget_tokens: int = 0


_decode_thinking = msgspec.json.Decoder(_Thinking | None).decode


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
        # Bedrock checks the whole body.
        request.fields.setdefault("max_tokens", _least_max_tokens(request))
        converted = to_invoke(request, exchange.betas, route.generation, self._registry.betas)
        counts = route.model.count_tokens if route.model else not _is_profile(route.base_model_id)
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
    return any(phrase in words for phrase in _UNSUPPORTED)


def _is_profile(model_id: str) -> bool:
    """ARNs of inference profiles and the like: only those of foundation models can be counted."""
    return model_id.startswith("arn:") and ":foundation-model/" not in model_id


def _least_max_tokens(request: MessagesRequest) -> msgspec.Raw:
    """The smallest value that the rest of the request allows: over a budget for thinking."""
    try:
        thinking = _decode_thinking(request.fields.get("thinking", b"null"))
    except (msgspec.MsgspecError, RecursionError):
        thinking = None  # Bedrock says what is wrong with it
    if thinking is None or thinking.type != "enabled":
        return _ONE
    return msgspec.Raw(_encode(max(1, thinking.budget_tokens + 1)))


def _reply(tokens: int, *, estimated: bool = False) -> Reply:
    return Reply(_encode({"input_tokens": tokens}), headers=[ESTIMATE_HEADER] if estimated else [])
