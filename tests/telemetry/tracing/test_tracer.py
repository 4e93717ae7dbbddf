"""Links between the parts of a tool run that several requests have."""

from __future__ import annotations

from types import SimpleNamespace

from anthropic_bedrock_proxy.gateway.exchange import Exchange
from anthropic_bedrock_proxy.telemetry.tracing.span_tree import SpanLink, SpanTree
from anthropic_bedrock_proxy.telemetry.tracing.tracer import Tracer
from anthropic_bedrock_proxy.timeline import ToolRun, TraceContext, TracedContent

REQUEST = SimpleNamespace(headers={})


class Told:
    def __init__(self):
        self.spans = []
        self.offset = None

    def __call__(self, trace, spans, offset):
        self.spans += spans
        self.offset = offset


def ended(outcome, span_id, *, key="key_1", trace="a", call="srvtoolu_1"):
    exchange = Exchange("req_1", started=5.0, at_ms=7_000, ended=9.0, key_id=key)
    exchange.timeline.trace = TraceContext(trace * 32, "b" * 16)
    run = ToolRun("code_execution", call, 6.0, 7.0, outcome, trace * 32, span_id * 16)
    exchange.timeline.tools += (run,)
    return exchange


def links(told):
    return [span.links for span in told.spans if span.name.startswith("execute_tool")]


def test_a_run_is_linked_to_the_one_that_it_goes_on_with():
    told = Told()
    tracer = Tracer(SpanTree(), told)
    tracer(REQUEST, ended("suspended", "1"))
    tracer(REQUEST, ended("suspended", "2", trace="c"))
    tracer(REQUEST, ended("finished", "3", trace="d"))
    tracer(REQUEST, ended("finished", "4"))
    assert links(told) == [
        [],
        [SpanLink("a" * 32, "1" * 16)],
        [SpanLink("c" * 32, "2" * 16)],
        [],
    ]


def test_another_key_gets_no_link():
    told = Told()
    tracer = Tracer(SpanTree(), told)
    tracer(REQUEST, ended("suspended", "1"))
    tracer(REQUEST, ended("finished", "2", key="key_2"))
    assert links(told) == [[], []]


def test_a_body_is_let_go_of_once_it_is_told():
    exchange = ended("finished", "1")
    exchange.timeline.trace.content = TracedContent(b"{}")
    Tracer(SpanTree(), Told())(REQUEST, exchange)
    assert exchange.timeline.trace.content is None


def test_what_is_remembered_is_bounded():
    told = Told()
    tracer = Tracer(SpanTree(), told)
    for number in range(5000):
        tracer(REQUEST, ended("suspended", "1", call=f"srvtoolu_{number}"))
    tracer(REQUEST, ended("suspended", "1", call="x" * 1000))
    assert len(tracer._suspended) == 4096


def test_a_request_that_is_not_traced_is_not_looked_at():
    told = Told()
    exchange = ended("finished", "1")
    exchange.timeline.trace = None
    Tracer(SpanTree(), told)(REQUEST, exchange)
    assert told.spans == []


def test_moments_become_epoch_seconds():
    told = Told()
    Tracer(SpanTree(), told)(REQUEST, ended("finished", "1"))
    assert told.spans[0].began + told.offset == 7.0
