"""POST /v1/messages/count_tokens: Bedrock's own count, or an estimate that says so.

bedrock-mantle counts for the models that it serves; CountTokens knows base model ids only (never
inference profiles) and not every model. Where neither can, that is remembered for a while, so that
Claude Code's bursts of counts cost one refusal. Nobody is asked, and no URL fetched, for a key
whose budget is used up: it gets the estimate.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from ..aws_errors import NO_COUNT, UpstreamRefusal, from_refusal, rule_for
from ..bounded import Bounded
from ..errors import InvalidRequestError
from ..models.registry import Registry, Route, Target
from ..protocol.request.messages import MessagesRequest, parse_request
from ..protocol.request.policy import Policy
from ..protocol.tokens import estimate_input
from ..tools.toolset import Toolset
from ..upstream.base import Deadlines, ModelCall, Upstream
from .admission.admission import Admission
from .admission.permissions import may_run_code
from .conversion import ConversionOptions, convert
from .exchange import Exchange
from .failover.failover import pinned_provider
from .retirement import explained
from .sources import Sources, has_urls

_encode = msgspec.json.Encoder().encode


_POLICY: Final = Policy(drops_sampling=True)  # which changes no count
_ONE: Final = msgspec.Raw(b"1")
# AWS's words; the last is about models that only inference profiles serve.
_UNSUPPORTED: Final = ("counting tokens", "counttokens", "on-demand throughput")
_FORGET_SECONDS: Final = 600.0
_MAX_REMEMBERED: Final = 1024
# A count is a courtesy: nobody waits long for it.
_DEADLINES: Final = Deadlines(max_attempts=1, first_byte_seconds=10.0)
# What a count has no place for on the Messages endpoints.
_NOT_COUNTED: Final = ("max_tokens", "stream", "metadata", "stop_sequences", "temperature")


class _ThinkingBudget(msgspec.Struct):
    type: str = ""
    budget_tokens: int = 0


_decode_thinking = msgspec.json.Decoder(_ThinkingBudget | None).decode


class _Counted(msgspec.Struct):
    input_tokens: int = -1
    inputTokens: int = -1  # noqa: N815  # Bedrock's name


class TokenCount(msgspec.Struct, frozen=True):
    """The input tokens of a request; `estimated` if nobody counted them."""

    input_tokens: int
    estimated: bool = False


class Counting:
    """Counts the input tokens of a request that is not made."""

    def __init__(
        self,
        upstreams: Mapping[str, Upstream],
        registry: Registry,
        sources: Sources,
        admission: Admission,
        toolset: Toolset,
        *,
        monotonic: Callable[[], float],
    ) -> None:
        """`upstreams` by provider."""
        self._upstreams = upstreams
        self._registry = registry
        self._sources = sources
        self._admission = admission
        self._toolset = toolset
        self._monotonic = monotonic
        # (provider, operation, model) -> when to try again
        self._without: Bounded[tuple[str, str, str], float] = Bounded(_MAX_REMEMBERED)

    async def handle(self, exchange: Exchange, body: bytes | bytearray) -> TokenCount:
        """Answers one authenticated request. Raises `ProxyError`."""
        request = parse_request(body, exchange.version, counting=True, drops_sampling=True)
        exchange.model = request.view.model
        provider = pinned_provider(exchange.caller, self._upstreams)
        route = self._registry.route(exchange.model, provider=provider)
        exchange.listed, exchange.retires = route.listed, route.retires
        if not await self._admission.admit_count(exchange, request, route):
            return TokenCount(estimate_input(body), estimated=True)
        if has_urls(request.view):
            request = await self._sources.inline(request, exchange.key_id)
        # Bedrock checks the whole body.
        request.fields.setdefault("max_tokens", _least_max_tokens(request))
        target = route.targets[0]
        provides = may_run_code(exchange.caller)
        if tools := self._toolset.needed(
            request, target.capabilities, self._registry.betas, may_provide_code=provides
        ):
            from ..turn.request import without_running  # noqa: PLC0415  # most never need it

            await tools.ready()
            request = without_running(request, tools, exchange.key_id)
        dialect = "invoke" if "claude" in target.capabilities.features else "converse"
        call = self._convert(exchange, request, self._as(route, target, dialect))
        for counting in self._calls(exchange, request, route, target, call.body):
            key = (target.provider, counting.operation, counting.bedrock_model_id)
            if self._monotonic() < self._without.get(key, 0.0):
                continue
            try:
                return TokenCount(await self._count(target.provider, counting))
            except UpstreamRefusal as refusal:
                if not _cannot_count(counting, refusal):
                    raise explained(from_refusal(refusal), route, self._registry) from refusal
                self._remember_without(key)
        return TokenCount(estimate_input(call.body), estimated=True)

    def _remember_without(self, key: tuple[str, str, str]) -> None:
        self._without[key] = self._monotonic() + _FORGET_SECONDS

    def _calls(
        self,
        exchange: Exchange,
        request: MessagesRequest,
        route: Route,
        target: Target,
        body: bytes,
    ) -> list[ModelCall]:
        """Returns the calls that may count, in the order to try them; none: only estimate."""
        if route.model.count_tokens if route.model else not _is_profile(route.base_model_id):
            return (
                [_count_tokens(exchange, route.base_model_id, body)] if _is_claude(target) else []
            )
        if not _is_claude(target) or route.base_model_id.startswith("arn:"):
            return []
        try:
            mantle = self._as(route, target, "mantle")
        except InvalidRequestError:
            return []  # it counts in the region, which is outside the geography
        call = self._convert(exchange, request, mantle)
        fields = msgspec.json.decode(call.body, type=dict[str, msgspec.Raw])
        counted = {name: raw for name, raw in fields.items() if name not in _NOT_COUNTED}
        return [
            ModelCall(
                operation="mantle-count-tokens",
                bedrock_model_id=mantle.bedrock_model_id,
                body=_encode(counted),
                headers=call.headers,
                deadlines=_DEADLINES,
                timeline=exchange.timeline,
            )
        ]

    def _as(self, route: Route, target: Target, dialect: str) -> Target:
        """Returns the target for the same model in another dialect."""
        return self._registry.target(route, target.provider, dialect)

    def _convert(self, exchange: Exchange, request: MessagesRequest, target: Target) -> ModelCall:
        options = ConversionOptions(
            flags=exchange.betas,
            rules=self._registry.betas,
            policy=_POLICY,
            stream=False,
            request_id="",
            timeline=exchange.timeline,
        )
        return convert(request, target, options).call

    async def _count(self, provider: str, call: ModelCall) -> int:
        answer = await self._upstreams[provider].call(call)
        try:
            counted = msgspec.json.decode(answer.body, type=_Counted)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise _no_count("its answer is none") from error
        tokens = max(counted.input_tokens, counted.inputTokens)
        if tokens < 0:
            raise _no_count("its answer has none")
        return tokens


def _no_count(why: str) -> UpstreamRefusal:
    """Makes the refusal that stands for an answer without a count."""
    return UpstreamRefusal(NO_COUNT, f"Amazon Bedrock did not count the tokens: {why}.")


def _count_tokens(exchange: Exchange, base_model_id: str, body: bytes) -> ModelCall:
    return ModelCall(
        operation="count-tokens",
        bedrock_model_id=base_model_id,
        body=_encode({"input": {"invokeModel": {"body": b64encode(body).decode()}}}),
        timeline=exchange.timeline,
    )


def _is_claude(target: Target) -> bool:
    return "claude" in target.capabilities.features


def _cannot_count(call: ModelCall, refusal: UpstreamRefusal) -> bool:
    """Tells whether the refusal is about counting, not about the request."""
    if refusal.code == NO_COUNT:
        return True
    if call.operation == "mantle-count-tokens":
        # Not offered in this region, not allowed by this role, or not reachable from here.
        return rule_for(refusal).error is not InvalidRequestError
    return rule_for(refusal).error is InvalidRequestError and _unsupported(refusal)


def _unsupported(refusal: UpstreamRefusal) -> bool:
    """Finds "this model cannot count" in a refusal's words: AWS has no code of its own for it."""
    words = refusal.message.lower()
    return any(phrase in words for phrase in _UNSUPPORTED)


def _is_profile(model_id: str) -> bool:
    """Tells whether it is an ARN that cannot be counted with: any but a foundation model's."""
    return model_id.startswith("arn:") and ":foundation-model/" not in model_id


def _least_max_tokens(request: MessagesRequest) -> msgspec.Raw:
    """Returns the smallest value that the rest of the request allows: over a thinking budget."""
    try:
        thinking = _decode_thinking(request.fields.get("thinking", b"null"))
    except (msgspec.MsgspecError, RecursionError):
        thinking = None  # Bedrock says what is wrong with it
    if thinking is None or thinking.type != "enabled":
        return _ONE
    return msgspec.Raw(_encode(max(1, thinking.budget_tokens + 1)))
