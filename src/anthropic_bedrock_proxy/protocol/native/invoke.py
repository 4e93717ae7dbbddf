"""Anthropic Messages -> InvokeModel. Near pass-through: raw JSON in, raw JSON out.

Bedrock takes Anthropic's own body minus `model` and `stream`, plus `anthropic_version` and
`anthropic_beta`; what the operator lays down goes into headers.
Source: bedrock-runtime service model, InvokeModelRequest.
"""

from __future__ import annotations

from typing import Final

from msgspec import Raw

from ...errors import InvalidRequestError
from ...models.betas import BetaRules
from ...models.table import Capabilities
from ..raw import MISSHAPEN, UNEXPECTED_FORM
from ..request.messages import MessagesRequest
from ..request.metadata import request_metadata
from ..request.policy import DEFAULT_POLICY, Policy
from .draft import Headers, NativeDraft, NativeRequest, encode
from .fields import edit_request

_ANTHROPIC_VERSION: Final = Raw(b'"bedrock-2023-05-31"')  # the one that every Claude takes


def to_invoke(
    request: MessagesRequest,
    flags: list[str],
    capabilities: Capabilities,
    rules: BetaRules,
    policy: Policy = DEFAULT_POLICY,
) -> NativeRequest:
    """Converts an adapted request; `flags` are the client's beta flags.

    Raises `InvalidRequestError` for what Bedrock cannot do, with the path.
    """
    draft = NativeDraft(request, flags, capabilities, rules, policy)
    fields = draft.fields
    try:
        del fields["model"]
        fields.pop("stream", None)
        edit_request(draft)
        if send := draft.betas():
            draft.set("anthropic_beta", send)
        fields["anthropic_version"] = _ANTHROPIC_VERSION
        headers = _headers(draft)
    except MISSHAPEN as error:
        # Whatever the checks on the way did not foresee: the client's doing, with no path known.
        raise InvalidRequestError(UNEXPECTED_FORM) from error
    return NativeRequest(encode(fields), headers, tuple(draft.dropped))


def _headers(draft: NativeDraft) -> Headers:
    policy = draft.policy
    if policy is DEFAULT_POLICY and "metadata" not in draft.fields:
        return ()
    headers: list[tuple[str, str]] = []
    if policy.service_tier != "default":
        headers.append(("x-amzn-bedrock-service-tier", policy.service_tier))
    if policy.latency is not None:
        headers.append(("x-amzn-bedrock-performanceconfig-latency", policy.latency))
    if (guardrail := policy.guardrail) is not None:
        headers += [
            ("x-amzn-bedrock-guardrailidentifier", guardrail.identifier),
            ("x-amzn-bedrock-guardrailversion", guardrail.version),
        ]
        if guardrail.trace != "disabled":
            headers.append(("x-amzn-bedrock-trace", guardrail.trace.upper()))
    if policy.request_metadata and "metadata" in draft.fields:
        metadata = request_metadata(draft.fields["metadata"])
        if metadata:
            headers.append(("x-amzn-bedrock-request-metadata", encode(metadata).decode()))
    return tuple(headers)
