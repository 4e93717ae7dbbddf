"""Anthropic Messages -> the body of Converse and ConverseStream.

The request has been adapted before (protocol/adapt): what is left is Anthropic's language as the
model knows it. What Converse has no place for is named in `dropped` where nothing is lost by it,
else refused with its path.
Source: bedrock-runtime service model (ConverseRequest, ConverseStreamRequest).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from ....errors import InvalidRequestError
from ....models.betas import BetaRules
from ....models.table import Capabilities
from ...raw import MISSHAPEN, UNEXPECTED_FORM, encode
from ...request.messages import MessagesRequest
from ...request.policy import Policy
from .draft import ConverseDraft
from .settings import check_others, convert_inference, convert_policy
from .thinking import convert_thinking
from .tool_choice import settle_tools
from .tools import convert_tools
from .turns import convert_messages, convert_system


class ConverseRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request for Converse or ConverseStream, with what is needed to read its answer.

    `body` is the JSON, for Converse instead of ConverseStream if `whole_only`, `dropped` the paths
    of what was left out, `tool_names` Bedrock's names of tools -> the client's, where they differ.
    """

    body: bytes
    dropped: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    tool_names: Mapping[str, str] = {}
    stop_sequences: tuple[str, ...] = ()
    whole_only: bool = False  # a stream was wanted, and the model has none for such a request


def to_converse(
    request: MessagesRequest,
    flags: Sequence[str],
    capabilities: Capabilities,
    rules: BetaRules,
    policy: Policy,
    *,
    stream: bool,
) -> ConverseRequest:
    """Converts an adapted request; `flags` are the client's beta flags.

    Raises `InvalidRequestError` for what Bedrock cannot do, with the path.
    """
    draft = ConverseDraft(request, flags, capabilities, rules, policy)
    try:
        streams = _convert(draft, stream=stream)
        body = encode(draft.body)
    except MISSHAPEN as error:
        # Whatever the checks on the way did not foresee: the client's doing, with no path known.
        raise InvalidRequestError(UNEXPECTED_FORM) from error
    return ConverseRequest(
        body=body,
        dropped=tuple(draft.dropped),
        warnings=tuple(draft.warnings),
        tool_names=draft.tool_names.renamed(),
        stop_sequences=tuple(draft.stop_sequences),
        whole_only=stream and not streams,
    )


def _convert(draft: ConverseDraft, *, stream: bool) -> bool:
    """Fills the draft; returns whether the answer will be a stream."""
    body = draft.body
    check_others(draft)
    offered = convert_tools(draft)
    system = convert_system(draft)
    if "system" in draft.features:
        if system:
            body["system"] = system
        system = []
    body["messages"] = convert_messages(draft, system)
    settle_tools(draft, offered)
    draft.cache.check()
    convert_inference(draft)
    convert_thinking(draft)
    streams = stream and ("streamed_tools" in draft.features or "toolConfig" not in body)
    convert_policy(draft, stream=streams)
    draft.settle_betas()
    if draft.additional:
        body["additionalModelRequestFields"] = draft.additional
    return streams
