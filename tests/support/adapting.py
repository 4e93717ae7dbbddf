"""Adapts a request for a real model on a dialect."""

from __future__ import annotations

from msgspec import structs
from streams import decode, encode

from anthropic_bedrock_proxy.app.models import load_model_table
from anthropic_bedrock_proxy.models.betas import BetaRules
from anthropic_bedrock_proxy.models.registry import DEFAULT_PROVIDER, Registry, RoutingOptions
from anthropic_bedrock_proxy.protocol.adapt.adapt import adapt
from anthropic_bedrock_proxy.protocol.request.messages import parse_request
from anthropic_bedrock_proxy.protocol.request.policy import DEFAULT_POLICY

REGISTRY = Registry(load_model_table(), RoutingOptions(region="us-east-1"))
HELLO = [{"role": "user", "content": "Hello"}]
HAIKU, OPUS, SONNET_4 = "claude-haiku-4-5", "claude-opus-5-5", "claude-sonnet-4"
QWEN = "qwen.qwen3-coder-30b-a3b-v1:0"


class Result:
    """`fields` as they will be sent, and what was said about them."""

    def __init__(self, adapted):
        self.fields = {name: decode(raw) for name, raw in adapted.request.fields.items()}
        self.messages = self.fields["messages"]
        self.view = adapted.request.view
        self.flags = adapted.flags
        self.dropped = adapted.dropped
        self.warnings = adapted.warnings
        self.added = adapted.added
        self.applied_edits = adapted.added.get("context_management", {}).get("applied_edits")

    def __getattr__(self, name):
        return self.fields.get(name)


def adapted(
    model=HAIKU,
    dialect="invoke",
    flags=(),
    rules=REGISTRY.betas,
    output_tokens=None,
    policy=DEFAULT_POLICY,
    **body,
):
    body = {"model": model, "max_tokens": 20_000, "messages": HELLO, **body}
    request = parse_request(encode(body), "2023-06-01")
    target = REGISTRY.target(REGISTRY.route(model), DEFAULT_PROVIDER, dialect)
    capabilities = structs.replace(target.capabilities, output_tokens=output_tokens)
    before = {name: bytes(raw) for name, raw in request.fields.items()}
    result = adapt(request, list(flags), capabilities, rules, policy)
    assert {name: bytes(raw) for name, raw in request.fields.items()} == before
    return Result(result)


def without(*flags):
    """The rules of an operator who blocks these flags."""
    return BetaRules(
        mapping=REGISTRY.betas.mapping,
        blocklist=frozenset(flags),
        needed_for=REGISTRY.betas.needed_for,
    )
