"""What the store says reaches the verdicts, in the right order."""

from __future__ import annotations

import asyncio

from anthropic_bedrock_proxy.gateway.routing import Registry, RoutingOptions
from anthropic_bedrock_proxy.live import Live
from anthropic_bedrock_proxy.parts import load_model_table
from anthropic_bedrock_proxy.store.memory.store import MemoryStore
from anthropic_bedrock_proxy.store.records import ANY, CapabilityOverride

FLAG = "interleaved-thinking-2025-05-14"
REGISTRY = Registry(load_model_table(), RoutingOptions(region="us-east-1"))


def test_the_operator_s_word_for_every_model_beats_what_one_model_refused():
    target = REGISTRY.route("claude-haiku-4-5").targets[0]
    model = "anthropic.claude-haiku-4-5-20251001-v1:0"

    async def main():
        store = MemoryStore()
        for model_id, source in ((model, "learned"), (ANY, "operator")):
            await store.catalog.put_override(
                CapabilityOverride(
                    model=model_id,
                    dialect=ANY,
                    kind="beta",
                    name=FLAG,
                    allowed=source == "operator",
                    source=source,
                    updated_at=1,
                )
            )
        live = Live(
            store.catalog,
            REGISTRY,
            interval_seconds=60,
            new_control=None,
            on_providers=lambda _: None,
            on_prices=lambda _: None,
        )
        await live.begin()
        await live.close()
        return live.verdicts.capabilities(target).betas

    assert FLAG in asyncio.run(main())
