"""Anthropic Messages -> the Messages endpoints of bedrock-runtime and bedrock-mantle.

They speak Anthropic's own API: model and stream stay in the body, version and beta flags are
headers, and the answer is Anthropic's JSON or SSE.
Source: AWS documentation of the Messages API on bedrock-runtime and bedrock-mantle; the official
SDKs' Bedrock clients.
"""

from __future__ import annotations

from ...errors import InvalidRequestError
from ...models.betas import BETA_HEADER, BetaRules
from ...models.table import Capabilities
from ..raw import MISSHAPEN, UNEXPECTED_FORM
from ..request.messages import VERSIONS, MessagesRequest
from ..request.policy import DEFAULT_POLICY, Policy
from .draft import Headers, NativeDraft, NativeRequest, encode
from .fields import edit_request

# Every model takes it; what a newer version refuses has been refused while parsing.
_VERSION: Headers = (("anthropic-version", VERSIONS[0]),)


def to_messages(
    request: MessagesRequest,
    flags: list[str],
    capabilities: Capabilities,
    rules: BetaRules,
    policy: Policy = DEFAULT_POLICY,
    *,
    model_id: str,
    stream: bool = False,
) -> NativeRequest:
    """Converts an adapted request; `model_id` is the endpoint's name of the model.

    `stream`: events are asked for, though the client may have asked for a whole answer.
    Raises `InvalidRequestError` for what Bedrock cannot do there, with the path.
    """
    _check_policy(policy)
    draft = NativeDraft(request, flags, capabilities, rules, policy)
    try:
        draft.set("model", model_id)
        if stream and not request.view.stream:  # the calls of a turn
            draft.set("stream", True)
        edit_request(draft)
        send = draft.betas()
    except MISSHAPEN as error:
        raise InvalidRequestError(UNEXPECTED_FORM) from error
    headers: Headers = _VERSION
    if send:
        headers = (*headers, (BETA_HEADER, ",".join(send)))
    return NativeRequest(encode(draft.fields), headers, tuple(draft.dropped))


def _check_policy(policy: Policy) -> None:
    """Raises `InvalidRequestError` for a setting of the operator's that these endpoints lack.

    It must never be left out silently: another dialect has to do it.
    """
    for asked, name in (
        (policy.guardrail is not None, "a guardrail"),
        (policy.service_tier != "default", f"the service tier {policy.service_tier}"),
        (policy.latency is not None, "a latency"),
    ):
        if asked:
            raise InvalidRequestError(
                f"The operator has set {name}, which this model's endpoint does not offer"
            )
