"""The notes of the start: models without a price, and searches that nobody can make."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest
from wired import wired

from anthropic_bedrock_proxy.app.models import load_model_table, load_prices
from anthropic_bedrock_proxy.app.start_note import FirstWorker, note_unpriced
from anthropic_bedrock_proxy.gateway.admission.pricing import Pricing
from anthropic_bedrock_proxy.models.registry import Registry, RoutingOptions


@pytest.fixture
def told(caplog):
    """What the start says of the models of a registry."""
    caplog.set_level(logging.INFO)

    def tell(*, refuses=False, **options):
        registry = Registry(load_model_table(), RoutingOptions(**{"region": "us-east-1"} | options))
        pricing = Pricing(
            registry.names.behind, lambda _: "us-east-1", load_prices(), now=time.time
        )
        asyncio.run(note_unpriced(registry, pricing, refuses=refuses))
        return caplog.messages

    return tell


def test_the_first_worker_that_asks_has_it():
    first = FirstWorker()
    assert [first.claim() for _ in range(3)] == [True, False, False]
    first.close()


@pytest.mark.parametrize(
    ("refuses", "means"), [(False, "no budget counts"), (True, "keys with a budget are refused")]
)
def test_it_names_the_models_and_what_that_means(told, refuses, means):
    (line,) = told(refuses=refuses)
    assert line.startswith("no price is known of claude-fable-5-2, claude-mythos-5-2: ")
    assert means in line


def test_it_is_silent_where_every_model_has_a_price(told):
    assert told(region="eu-west-1") == []


def test_many_are_counted(told):
    mapping = {f"n{number}": "us.anthropic.claude-next" for number in range(40)}
    (line,) = told(mapping=mapping)
    assert "n19 and 22 more: " in line


def test_a_worker_writes_it(caplog):
    caplog.set_level(logging.INFO)

    async def main():
        first = FirstWorker()
        async with wired(first=first, AWS_REGION="us-east-1") as send:
            while "claude-fable-5-2" not in caplog.text:
                await send("GET", "/liveness")
        first.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({}, None),
        ({"ENABLE_WEB_SEARCH": "false", "WEB_SEARCH_PROVIDER": "tavily"}, None),
        ({"WEB_SEARCH_PROVIDER": "tavily", "WEB_SEARCH_API_KEY": "k"}, None),
        ({"WEB_SEARCH_PROVIDER": "tavily"}, "is not served"),
        (
            {"WEB_SEARCH_PROVIDER": "tavily,exa", "WEB_SEARCH_API_KEY": "exa=k"},
            "goes without a provider that was named",
        ),
    ],
)
def test_a_search_that_was_named_and_is_not_there_is_told_at_the_start(caplog, environ, told):
    async def main():
        first = FirstWorker()
        async with wired(first=first, **environ):
            pass
        first.close()

    asyncio.run(main())
    why = "WEB_SEARCH_PROVIDER=tavily needs its key in WEB_SEARCH_API_KEY"
    lines = [line for line in caplog.messages if "web search" in line]
    assert lines == ([] if told is None else [f"web search {told}: {why}"])
