"""A request in the dialect of a target: what to call, and how to read what comes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import msgspec

from ..models.betas import BetaRules
from ..models.registry import Target
from ..protocol.adapt.adapt import Adapted, adapt
from ..protocol.answer.edits import without_content
from ..protocol.native.answer import (
    EndpointStream,
    GuardedInvokeStream,
    InvokeStream,
    finish_message,
)
from ..protocol.native.endpoints import to_messages
from ..protocol.native.invoke import to_invoke
from ..protocol.request.messages import MessagesRequest
from ..protocol.request.policy import Policy
from ..protocol.tokens import estimate_input
from ..store.base.callers import Caller
from ..timeline import Timeline
from ..upstream.base import ModelCall, StreamDecoder
from .overrides.known import OverrideView
from .overrides.raw_paths import strip

# (whole, streamed) operation of each dialect.
_OPERATIONS: Final = {
    "invoke": ("invoke", "invoke-with-response-stream"),
    "messages": ("messages", "messages-stream"),
    "mantle": ("mantle-messages", "mantle-messages-stream"),
    "converse": ("converse", "converse-stream"),
}


class Conversion(msgspec.Struct, frozen=True, kw_only=True):
    """One request for one target."""

    call: ModelCall
    new_decoder: Callable[[], StreamDecoder]
    finish: Callable[[bytes], bytes]  # a whole answer as the client expects it
    dropped: list[str]
    warnings: list[str]
    added: Mapping[str, Any]  # fields that the answer gets: the model does not write them
    whole_only: bool = False  # the model streams no such request: call it whole, then stream that


class ConversionOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The wishes that are the same for every target of a request."""

    flags: list[str]  # the client's beta flags
    rules: BetaRules
    policy: Policy
    stream: bool
    request_id: str  # names an answer that comes without an id
    key_id: str = ""  # whose request it is
    timeline: Timeline = msgspec.field(default_factory=Timeline)  # of the request


def policy_for(policy: Policy, caller: Caller | None) -> Policy:
    """Returns the operator's policy with the choices of the caller's key on top.

    It is the operator's own object for a key that asks for nothing special.
    """
    if caller is None:
        return policy
    key = caller.key
    if key.service_tier is None and key.cache_ttl is None:
        return policy
    return msgspec.structs.replace(
        policy,
        service_tier=key.service_tier or policy.service_tier,
        cache_ttl=key.cache_ttl or policy.cache_ttl,
    )


def convert(
    request: MessagesRequest,
    target: Target,
    options: ConversionOptions,
    view: OverrideView | None = None,
) -> Conversion:
    """Converts for a target with what is known of it: `view` stands over the table.

    Raises `InvalidRequestError` for what the target cannot do, with the path.
    """
    if view is None:
        return _convert(request, target, options)
    if options.policy.service_tier in view.refused["tier"]:
        policy = msgspec.structs.replace(options.policy, service_tier="default")
        options = msgspec.structs.replace(options, policy=policy)
    capabilities = view.capabilities(target.capabilities)
    target = msgspec.structs.replace(target, capabilities=capabilities)
    conversion = _convert(request, target, options)
    if not view.refused["field"]:
        return conversion
    body, removed = strip(conversion.call.body, sorted(view.refused["field"]))
    if not removed:
        return conversion
    call = msgspec.structs.replace(conversion.call, body=body)
    dropped = [*conversion.dropped, *removed]
    return msgspec.structs.replace(conversion, call=call, dropped=dropped)


def _convert(request: MessagesRequest, target: Target, options: ConversionOptions) -> Conversion:
    adapted = adapt(request, options.flags, target.capabilities, options.rules, options.policy)
    made = _converse if target.dialect == "converse" else _native
    conversion = made(adapted, target, options)
    if request.view.max_tokens == 0:
        finish = conversion.finish
        return msgspec.structs.replace(
            conversion, finish=lambda body: without_content(finish(body))
        )
    return conversion


def _native(adapted: Adapted, target: Target, options: ConversionOptions) -> Conversion:
    request, model = adapted.request, adapted.request.view.model
    capabilities, rules, policy = target.capabilities, options.rules, options.policy
    new_decoder: Callable[[], StreamDecoder]
    if target.dialect == "invoke":
        made = to_invoke(request, adapted.flags, capabilities, rules, policy)
        decoder = InvokeStream if policy.guardrail is None else GuardedInvokeStream
        new_decoder = partial(decoder, model)
    else:
        made = to_messages(
            request,
            adapted.flags,
            capabilities,
            rules,
            policy,
            model_id=target.bedrock_model_id,
            stream=options.stream,
        )
        new_decoder = partial(EndpointStream, model)
    return Conversion(
        call=ModelCall(
            operation=_OPERATIONS[target.dialect][options.stream],
            bedrock_model_id=target.bedrock_model_id,
            body=made.body,
            headers=made.headers,
            timeline=options.timeline,
        ),
        new_decoder=new_decoder,
        finish=lambda body: finish_message(body, model),
        dropped=[*adapted.dropped, *made.dropped],
        warnings=adapted.warnings,
        added=adapted.added,
    )


def _converse(adapted: Adapted, target: Target, options: ConversionOptions) -> Conversion:
    # Imported at its first use: a proxy that serves only Claude never needs it.
    from ..protocol.converse.answer.stream import ConverseStream  # noqa: PLC0415
    from ..protocol.converse.answer.whole import finish_converse  # noqa: PLC0415
    from ..protocol.converse.request.request import to_converse  # noqa: PLC0415

    made = to_converse(
        adapted.request,
        adapted.flags,
        target.capabilities,
        options.rules,
        options.policy,
        stream=options.stream,
    )
    model = adapted.request.view.model
    message_id = f"msg_{options.request_id.removeprefix('req_')}"
    return Conversion(
        call=ModelCall(
            operation=_OPERATIONS[target.dialect][options.stream and not made.whole_only],
            bedrock_model_id=target.bedrock_model_id,
            body=made.body,
            timeline=options.timeline,
        ),
        new_decoder=lambda: ConverseStream(
            model,
            message_id=message_id,
            tool_names=made.tool_names,
            stop_sequences=made.stop_sequences,
            estimate_input=partial(estimate_input, made.body),
        ),
        finish=lambda body: finish_converse(
            body,
            model,
            message_id=message_id,
            tool_names=made.tool_names,
            stop_sequences=made.stop_sequences,
        ),
        dropped=[*adapted.dropped, *made.dropped],
        warnings=[*adapted.warnings, *made.warnings],
        added=adapted.added,
        whole_only=made.whole_only,
    )
