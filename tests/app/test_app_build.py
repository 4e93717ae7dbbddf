"""The end of a worker: whatever fails, the last requests are told of."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from anthropic_bedrock_proxy.app.build import App

PARTS = ("bounds", "store", "journal", "resolver", "providers", "updates", "fetcher", "pages",
         "sandbox", "searcher", "budgets", "limiter")  # fmt: skip


def test_a_part_that_cannot_be_closed_costs_no_log_line():
    done = []

    def fails():
        raise OSError("odd")

    async def sends():
        done.append("spans")

    app = App(
        None,
        None,
        None,
        **dict.fromkeys(PARTS),
        tasks=(),
        watchdog=SimpleNamespace(stop=fails),
        ended=SimpleNamespace(flush=lambda: done.append("requests")),
        metrics=SimpleNamespace(close=lambda: done.append("states")),
        access_log=SimpleNamespace(close=lambda: done.append("lines")),
        request_log=SimpleNamespace(close=lambda: done.append("records")),
        tracing=SimpleNamespace(close=sends),
    )
    with pytest.raises(OSError, match="odd"):
        asyncio.run(app.close())
    assert done == ["requests", "states", "lines", "records", "spans"]
