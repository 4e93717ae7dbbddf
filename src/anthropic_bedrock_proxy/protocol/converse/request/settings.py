"""Everything around the conversation: limits, sampling, the operator's policy, other fields.

Source: bedrock-runtime service model (InferenceConfiguration, GuardrailConfiguration and the
rest of ConverseRequest); names of `top_k` by family from the AWS pages of their parameters.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Raw

from ....errors import InvalidRequestError
from ...native.fields import CONVERTED, UNSUPPORTED, unsupported
from ...request.metadata import request_metadata
from .draft import ConverseDraft
from .reading import read, shown, tree_decoder

_REFUSED: Final = {
    "cache_control": "cache_control: set it on blocks instead",
    "context_management": "context_management: not available on Bedrock's Converse; remove it",
    "output_format": "output_format: send it as output_config.format",
}
_EMPTY: Final = (b"null", b"[]", b"{}")
_AMAZON: Final = "amazon-bedrock-"
_MAX_STOP_SEQUENCES: Final = 2500

_stop_sequences = msgspec.json.Decoder(list[str] | None)
_top_k = msgspec.json.Decoder(int | None)
_probability = msgspec.json.Decoder(float | None)


def convert_inference(draft: ConverseDraft) -> None:
    """Converts max_tokens, sampling and stop sequences.

    Raises `InvalidRequestError` with the path.
    """
    config: dict[str, Any] = {}
    max_tokens = draft.request.view.max_tokens
    if isinstance(max_tokens, int):
        config["maxTokens"] = max(1, max_tokens)  # 0 only warms the cache
    for name, member in (("temperature", "temperature"), ("top_p", "topP")):
        value = _sampling(draft, name)
        if value is not None:
            config[member] = value
    _convert_top_k(draft)
    if stops := _stops(draft):
        config["stopSequences"] = draft.stop_sequences = stops
        if draft.claude:
            draft.body["additionalModelResponseFieldPaths"] = ["/stop_sequence"]
    if config:
        draft.body["inferenceConfig"] = config


def convert_policy(draft: ConverseDraft, *, stream: bool) -> None:
    """Adds the settings of the operator (guardrail, tier, latency) and the client's user id."""
    policy = draft.policy
    if policy.service_tier != "default":
        draft.body["serviceTier"] = {"type": policy.service_tier}
    if policy.latency is not None:
        draft.body["performanceConfig"] = {"latency": policy.latency}
    if (guardrail := policy.guardrail) is not None:
        config = {
            "guardrailIdentifier": guardrail.identifier,
            "guardrailVersion": guardrail.version,
            "trace": guardrail.trace,
        }
        if stream:
            config["streamProcessingMode"] = guardrail.stream_mode
        draft.body["guardrailConfig"] = config
    raw = draft.request.fields.get("metadata")
    if raw is None:
        return
    try:
        metadata = request_metadata(raw)
    except (msgspec.MsgspecError, ValueError):
        raise InvalidRequestError("metadata.user_id: Expected `str`") from None
    if metadata and policy.request_metadata:
        draft.body["requestMetadata"] = metadata
    else:
        draft.dropped.append("metadata")


def check_others(draft: ConverseDraft) -> None:
    """Drops or refuses the fields that Converse has no place for.

    Raises `InvalidRequestError` with the path.
    """
    for name, raw in draft.request.fields.items():
        if name in CONVERTED:
            continue
        reason = _REFUSED.get(name) or UNSUPPORTED.get(name)
        if name.startswith(_AMAZON):
            raise InvalidRequestError(f"{shown(name)}: not a field of the Messages API; remove it")
        if reason is not None and bytes(raw) not in _EMPTY:
            raise unsupported(name, reason)
        draft.dropped.append(shown(name))
        if name not in UNSUPPORTED and name not in _REFUSED:
            draft.warnings.append(f"{shown(name)}: not available on Bedrock's Converse; left out")


def _sampling(draft: ConverseDraft, name: str) -> Any:
    """The number as the client wrote it; None if there is none to send."""
    raw = draft.request.fields.get(name)
    value = None if raw is None else read(raw, _probability, name)
    if raw is None or value is None:
        return None
    if not 0 <= value <= 1:
        raise InvalidRequestError(f"{name}: must be between 0 and 1")
    return read(raw, tree_decoder, name)


def _convert_top_k(draft: ConverseDraft) -> None:
    raw = draft.request.fields.get("top_k")
    value = None if raw is None else read(raw, _top_k, "top_k")
    if value is None:
        return
    features = draft.features
    if value < 0:
        raise InvalidRequestError("top_k: must be greater than or equal to 0")
    if "top_k_none" in features:
        draft.dropped.append("top_k")
        draft.warnings.append("top_k: this model does not have it; left out")
    elif "top_k_nova" in features:
        draft.additional["inferenceConfig"] = {"topK": value}
    else:
        draft.additional["k" if "top_k_k" in features else "top_k"] = value


def _stops(draft: ConverseDraft) -> list[str]:
    raw: Raw | None = draft.request.fields.get("stop_sequences")
    stops = None if raw is None else read(raw, _stop_sequences, "stop_sequences")
    for index, stop in enumerate(stops or ()):
        if not stop:
            raise InvalidRequestError(f"stop_sequences.{index}: must not be empty")
    if stops and len(stops) > _MAX_STOP_SEQUENCES:
        raise InvalidRequestError(f"stop_sequences: at most {_MAX_STOP_SEQUENCES} are allowed")
    return stops or []
