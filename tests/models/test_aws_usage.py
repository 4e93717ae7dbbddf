"""Usage types of AWS's price list: each that is understood, and those that are left alone."""

from __future__ import annotations

import pytest

from anthropic_bedrock_proxy.models.aws_usage import TokenUse, token_use

OPUS = "anthropic.claude-opus-4-8"


@pytest.mark.parametrize(
    ("usage_type", "column", "within", "model_id"),
    [
        ("USE1-MP:USE1_input_tokens_standard-Units", "input", "", ""),
        ("USW2-MP:USW2_output_tokens_global_standard-Units", "output", "global/", ""),
        ("EU-MP:EU_cache_read_tokens_standard-Units", "cache_read", "", ""),
        ("APN2-MP:APN2_cached_input_tokens_standard-Units", "cache_read", "", ""),
        ("USE1-MP:USE1_cache_write_tokens_standard-Units", "cache_write", "", ""),
        (
            "USE1-MP:USE1_cache_write_tokens_1h_global_standard-Units",
            "cache_write_1h",
            "global/",
            "",
        ),
        ("USE1-MP:USE1_input_tokens_long_ctx_global_standard-Units", "long_input", "global/", ""),
        ("USE1-MP:USE1_input_tokens_batch-Units", "batch_input", "", ""),
        ("USE1-MP:USE1_output_tokens_global_flex-Units", "flex_output", "global/", ""),
        ("APN1-MP:APN1_InputTokenCount-Units", "input", "", ""),
        ("APN1-MP:APN1_OutputTokenCount_Global-Units", "output", "global/", ""),
        ("APN1-MP:APN1_CacheReadInputTokenCount_Global-Units", "cache_read", "global/", ""),
        ("APN1-MP:APN1_CacheWriteInputTokenCount-Units", "cache_write", "", ""),
        ("APN1-MP:APN1_CacheWrite1hInputTokenCount-Units", "cache_write_1h", "", ""),
        ("APN1-MP:APN1_InputTokenCount_LCtx_Global-Units", "long_input", "global/", ""),
        ("APN1-MP:APN1_CacheReadInputTokenCount_LCtx-Units", "long_cache_read", "", ""),
        ("APN1-MP:APN1_OutputTokenCount_Global_Batch-Units", "batch_output", "global/", ""),
        ("USE1-NovaPro-input-tokens", "input", "", ""),
        ("U1-N-text-input-tokens-priority-cross-region-global", "priority_input", "global/", ""),
        ("USE1-Nova2.0Lite-input-tokens-cross-region-global-batch", "batch_input", "global/", ""),
        ("USE1-Nova2.0Lite-cache-read-input-token-count", "cache_read", "", ""),
        ("USE1-Llama4-Maverick-17B-output-tokens-batch", "batch_output", "", ""),
        (f"USE1-{OPUS}-mantle-input-tokens-standard", "input", "mantle/", OPUS),
        ("U1-xai.grok-4.7-mantle-output-tokens-flex", "flex_output", "mantle/", "xai.grok-4.7"),
        (f"U1-{OPUS}-mantle-cache-write-1h-tokens-standard", "cache_write_1h", "mantle/", OPUS),
        (f"USE1-{OPUS}-mantle-cache-read-input-tokens-standard", "cache_read", "mantle/", OPUS),
    ],
)
def test_what_is_understood(usage_type, column, within, model_id):
    assert token_use(usage_type) == TokenUse(column, within, model_id)


@pytest.mark.parametrize(
    "usage_type",
    [
        "",
        "input-tokens",
        "USE1-input-tokens",
        "USE1-Guardrail-ContentPolicyUnitsConsumed",
        "USE1-MP:USE1_Reserved_1Month_InputTPM_Geo-Units",
        "USE1-MP:USE1_ProvisionedThroughput_ModelUnits-Units",
        "USE1-MP:USE1_MillionBatchInputTokens-Units",
        "USE1-MP:USE1_OutputTokenCount_Geo-Units",
        "USE1-MP:USE1_cache_write_tokens_30m_standard-Units",
        "USE1-MP:USE1_cache_read_tokens_batch-Units",
        "USE1-MP:USE1_input_tokens_long_ctx_batch-Units",
        "USE1-MP:USE1_cache_write_tokens_1h_long_ctx_standard-Units",
        "USE1-MP:USE1_InputTokenCount_LatencyOptimized-Units",
        "USE1-MP:USE1_InputTokenCount_LCtx_Batch-Units",
        "USE1-NovaPro-output-tokens-latency-optimized",
        "USE1-NovaPro-input-tokens-batch-flex",
        "USE1-NovaCanvas-T2I-1024-Standard",
        "USE1-NovaSonic-speech-input-tokens",
        "USE1-NovaLite-custom-model-input-tokens",
        "USE1-Claude-cache-read-input-tokens",
        f"USE1-{OPUS}-mantle-input-tokens-global-standard",
        f"USE1-{OPUS}-mantle-input-tokens",
    ],
)
def test_what_is_left_alone(usage_type):
    assert token_use(usage_type) is None
