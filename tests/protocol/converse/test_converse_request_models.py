"""The models that the tests of Converse requests convert for, and who judges the bodies.

botocore's validator knows the shapes, the simulator the rules in prose and those of each family.
"""

from __future__ import annotations

from functools import cache

import msgspec
import pytest
from converse_shapes import check_shapes

from anthropic_bedrock_proxy.models.betas import BetaRules
from anthropic_bedrock_proxy.models.table import FEATURES, Capabilities
from anthropic_bedrock_proxy.protocol.adapt.adapt import adapt
from anthropic_bedrock_proxy.protocol.converse.request.request import to_converse
from anthropic_bedrock_proxy.protocol.request.messages import parse_request
from anthropic_bedrock_proxy.protocol.request.policy import Policy
from anthropic_bedrock_proxy.sim.converse.validation import validate
from anthropic_bedrock_proxy.sim.models.lookup import resolve

RULES = BetaRules(
    mapping={"advanced-tool-use-2025-11-20": ("tool-search-tool-2025-10-19",)},
    needed_for={
        "computer_20250124": "computer-use-2025-01-24",
        "computer_20251124": "computer-use-2025-11-24",
        "effort": "effort-2025-11-24",
        "input_examples": "tool-examples-2025-10-29",
        "tool_changes": "mid-conversation-tool-changes-2026-07-01",
    },
)
_FLAGS = "computer-use-2025-01-24 computer-use-2025-11-24 fine-grained-tool-streaming-2025-05-14"
_PLAIN = "sampling prefill documents"
_CLAUDE = (
    "claude cache citations documents forced_tools images mixed_results rich_results "
    "search_results system tool_result_status tools"
)
_NOVA = (
    "cache documents forced_tools images mixed_results prefill rich_results sampling system "
    "tool_result_status tools top_k_nova"
)
_NOVA_MICRO = (
    "cache forced_tools mixed_results prefill sampling system tool_result_status tools top_k_nova"
)
# name -> id on Bedrock (None: the simulator has no such model), features, betas, betas on use
MODELS = {
    "claude-3-haiku": (
        "anthropic.claude-3-haiku-20240307-v1:0",
        _CLAUDE.replace("cache ", "") + " sampling prefill",
        "",
        "",
    ),
    "claude-haiku-4-5": (
        "anthropic.claude-haiku-4-5-20251001-v1:0",
        _CLAUDE + " cache_1h sampling prefill structured_output thinking_enabled thinking_disabled",
        _FLAGS,
        "",
    ),
    "claude-opus-4-5": (
        "anthropic.claude-opus-4-5-20251101-v1:0",
        _CLAUDE
        + " cache_1h effort_beta sampling prefill structured_output thinking_enabled"
        + " thinking_disabled",
        _FLAGS + " effort-2025-11-24",
        "",
    ),
    "claude-opus-4-8": (
        "anthropic.claude-opus-4-8",
        _CLAUDE
        + " cache_1h effort effort_max effort_xhigh structured_output system_role"
        + " thinking_adaptive thinking_disabled thinking_display",
        _FLAGS,
        "",
    ),
    "claude-fable-5": (
        "anthropic.claude-fable-5",
        _CLAUDE.replace("forced_tools ", "")
        + " cache_1h effort structured_output system_role thinking_adaptive thinking_display",
        _FLAGS,
        "",
    ),
    # What Converse might take one day: examples and tool changes.
    "claude-next": (
        None,
        _CLAUDE + " effort structured_output system_role tool_changes",
        "tool-examples-2025-10-29",
        "mid-conversation-tool-changes-2026-07-01",
    ),
    "nova-lite": ("amazon.nova-lite-v1:0", _NOVA, "", ""),
    "nova-2-lite": ("amazon.nova-2-lite-v1:0", _NOVA + " reasoning_nova", "", ""),
    "nova-micro": (
        "amazon.nova-micro-v1:0",
        _NOVA_MICRO,
        "",
        "",
    ),
    "mistral-large": (
        "mistral.mistral-large-2402-v1:0",
        _PLAIN + " forced_tools system tools",
        "",
        "",
    ),
    "llama-3-3": (
        "meta.llama3-3-70b-instruct-v1:0",
        _PLAIN + " system tools top_k_none",
        "",
        "",
    ),
    "gpt-oss": (
        "openai.gpt-oss-120b-1:0",
        "sampling prefill system tools reasoning_effort structured_output top_k_none",
        "",
        "",
    ),
    "qwen-vl": (
        "qwen.qwen3-vl-235b-a22b",
        "sampling prefill system tools images structured_output",
        "",
        "",
    ),
    "command-r": ("cohere.command-r-v1:0", _PLAIN + " system tools top_k_k", "", ""),
    "titan": ("amazon.titan-text-express-v1", _PLAIN, "", ""),
    # Combinations that nobody has yet: cached and cited, but with text only beside tool results.
    "other": (
        None,
        _NOVA.replace("mixed_results ", "").replace("tool_result_status ", "")
        + " cache_1h cache_tools search_results citations structured_output",
        "",
        "",
    ),
}
NEW_FEATURES = {
    "cache_tools",
    "mixed_results",
    "rich_results",
    "top_k_k",
    "top_k_none",
    "top_k_nova",
}


@cache
def capabilities(name: str) -> Capabilities:
    _, features, betas, on_use = MODELS[name]
    return Capabilities(
        dialect="converse",
        betas=frozenset(betas.split()),
        on_use=frozenset(on_use.split()),
        features=frozenset(features.split()),
    )


def convert(
    name, request, *, betas=(), policy=None, stream=False, counting=False, rules=RULES, judge=True
):
    """What `request` becomes for the model; every body is judged before anybody looks at it."""
    body = {"model": name, "messages": [{"role": "user", "content": "hi"}], **request}
    if not counting:
        body.setdefault("max_tokens", 10)
    return convert_bytes(
        name,
        msgspec.json.encode(body),
        betas=betas,
        policy=policy,
        stream=stream,
        counting=counting,
        rules=rules,
        judge=judge,
    )


def convert_bytes(
    name, body, *, betas=(), policy=None, stream=False, counting=False, rules=RULES, judge=True
):
    parsed = parse_request(body, "2023-06-01", counting=counting)
    adapted = adapt(parsed, list(betas), capabilities(name), rules)
    converted = to_converse(
        adapted.request, adapted.flags, capabilities(name), rules, policy or Policy(), stream=stream
    )
    converted = msgspec.structs.replace(
        converted,
        dropped=(*adapted.dropped, *converted.dropped),
        warnings=(*adapted.warnings, *converted.warnings),
    )
    check_shapes(converted.body, stream=stream)
    if judge and MODELS[name][0] is not None:
        validate(resolve(MODELS[name][0]).model, converted.body, streams=stream)
    return converted


@pytest.mark.parametrize("name", MODELS)
def test_the_features_are_those_that_models_may_have(name):
    assert capabilities(name).features <= FEATURES.keys() | NEW_FEATURES
