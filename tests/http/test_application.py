"""Whoever observes requests may fail: no client has to know, nor has another observer."""

from __future__ import annotations

import asyncio

from http_client import Client

from anthropic_bedrock_proxy.http.anthropic.encoder import ANTHROPIC
from anthropic_bedrock_proxy.http.application import Application, HTTPRoute
from anthropic_bedrock_proxy.http.reply import Reply


async def hello(_):
    return Reply(b"hello")


def fails(_, __):
    raise ValueError("odd")


def test_an_observer_that_fails_costs_neither_the_answer_nor_the_others(caplog):
    seen = []
    app = Application(
        [HTTPRoute("/", {"GET": hello})],
        ANTHROPIC,
        observers=[fails, lambda _, exchange: seen.append(exchange.request_id)],
        begin_trace=fails,
    )
    answer = asyncio.run(Client(app, "GET", "/").send())
    assert (answer.status, answer.body, answer.complete) == (200, b"hello", True)
    assert seen == [answer.headers["request-id"]]
    assert app.in_flight == 0
    assert [record.request_id for record in caplog.records] == seen * 2
