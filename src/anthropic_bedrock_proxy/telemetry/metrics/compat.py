"""Names of older dashboards for what is measured here under newer ones: METRICS_COMPAT.

Each is another family with a name and labels of its own. Where an older metric had more than is
measured (the buckets of tokens, keys as labels), it comes without.
Sources: semantic conventions v1.41 (as Envoy AI Gateway has them); LiteLLM's docs; the predecessor.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from .families import FAMILIES, Family

_KNOWN: Final = {family.name: family for family in FAMILIES}
_LITELLM: Final = {"requested_model": "model", "model": "bedrock_model", "api_provider": "provider"}
_TYPES: Final = {
    "input": ("input", "cache_read", "cache_write"),
    "output": ("output",),
    "cached_input": ("cache_read",),
    "cache_creation_input": ("cache_write",),
}


def _as(known: str, name: str, **changes: Any) -> Family:
    """Returns a known family under another name."""
    text = f"{_KNOWN[known].help} See {known}."
    return msgspec.structs.replace(_KNOWN[known], name=name, help=text, **changes)


def _tokens(name: str, *numbers: str, **changes: Any) -> Family:
    return _as("token_usage", name, numbers={"": numbers}, split="", **changes)


COMPAT: Final = {
    "otel_1_41": (
        _as("gen_ai_client_inference_duration_seconds", "gen_ai_client_operation_duration_seconds"),
        _as(
            "gen_ai_client_inference_time_to_first_chunk_seconds",
            "gen_ai_client_operation_time_to_first_chunk_seconds",
        ),
        _as(
            "gen_ai_client_inference_usage_input_tokens",
            "gen_ai_client_token_usage",
            type="summary",
            numbers=_TYPES,
            split="gen_ai_token_type",
            fixed={"gen_ai_operation_name": "chat", "gen_ai_provider_name": "aws.bedrock"},
        ),
    ),
    "litellm": (
        _as("model_requests", "litellm_proxy_total_requests_metric", labels=_LITELLM),
        _as(
            "gen_ai_server_request_duration_seconds",
            "litellm_request_total_latency_metric",
            labels=_LITELLM,
            fixed={},
        ),
        _as(
            "bedrock_call_duration_seconds",
            "litellm_llm_api_latency_metric",
            labels={"model": "model", "api_provider": "provider"},
        ),
        _as("request_processing_seconds", "litellm_overhead_latency_metric", labels=_LITELLM),
        _as("cost_usd", "litellm_spend_metric", labels=_LITELLM),
        _tokens(
            *("litellm_input_tokens_metric", "input", "cache_read", "cache_write"), labels=_LITELLM
        ),
        _tokens("litellm_output_tokens_metric", "output", labels=_LITELLM),
        _tokens("litellm_input_cached_tokens_metric", "cache_read", labels=_LITELLM),
        _tokens("litellm_input_cache_creation_tokens_metric", "cache_write", labels=_LITELLM),
        _as("http_requests_in_flight", "litellm_in_flight_requests"),
    ),
    "predecessor": (
        _as(
            "http_requests",
            "api_requests",
            labels={"method": "method", "endpoint": "endpoint", "status_code": "status"},
        ),
        _as("http_request_duration_seconds", "api_request_duration_seconds"),
        _as("bedrock_calls", "bedrock_requests", labels={"model": "model", "code": "code"}),
        _as(
            "bedrock_call_duration_seconds",
            "bedrock_request_duration_seconds",
            labels={"model": "model"},
        ),
        _tokens("input_tokens", "input", labels={"model": "model"}),
        _tokens("output_tokens", "output", labels={"model": "model"}),
        _tokens("cached_tokens", "cache_read", labels={"model": "model"}),
        _tokens("cache_write_tokens", "cache_write", labels={"model": "model"}),
        _as("http_requests_in_flight", "active_requests"),
    ),
}
