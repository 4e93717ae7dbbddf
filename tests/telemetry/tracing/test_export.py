"""Spans as OpenTelemetry's SDK is given them, and collectors that fail."""

from __future__ import annotations

import asyncio
import logging
import threading

from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from anthropic_bedrock_proxy.telemetry.tracing.export import (
    ExportOptions,
    SpanExport,
    TellingExporter,
)
from anthropic_bedrock_proxy.telemetry.tracing.span_tree import FinishedSpan, SpanLink
from anthropic_bedrock_proxy.timeline import TraceContext

TRACE = TraceContext("a" * 32, "b" * 16, "c" * 16)


def span(span_id="b", parent="c", **fields):
    parent = parent and parent * 16
    return FinishedSpan("POST", "SERVER", span_id * 16, parent, 1.5, 2.0, {"a": 1}, **fields)


class Gate(SpanExporter):
    """Takes nothing before it is opened."""

    def __init__(self):
        self.opened = threading.Event()
        self.waiting = threading.Event()
        self.taken = 0

    def export(self, spans):
        self.waiting.set()
        self.opened.wait(10)
        self.taken += len(spans)
        return SpanExportResult.SUCCESS

    def shutdown(self):
        """Has nothing to let go of."""


def test_spans_have_the_ids_and_moments_that_they_were_given():
    memory = InMemorySpanExporter()

    async def main():
        export = SpanExport(memory, ExportOptions(service_name="mine", version="1.2"))
        link = SpanLink("d" * 32, "e" * 16)
        export(TRACE, [span(links=[link]), span("f", "b", error="Throttled")], 100.0)
        export(TraceContext("9" * 32, "8" * 16), [span("8", None)], 0.0)
        await export.close()

    asyncio.run(main())
    one, two, own = memory.get_finished_spans()
    assert one.context.trace_id == two.context.trace_id == int("a" * 32, 16)
    assert (one.context.span_id, one.parent.span_id) == (int("b" * 16, 16), int("c" * 16, 16))
    assert (two.context.span_id, two.parent.span_id) == (int("f" * 16, 16), int("b" * 16, 16))
    assert (one.start_time, one.end_time) == (101_500_000_000, 102_000_000_000)
    assert (one.kind, dict(one.attributes)) == (SpanKind.SERVER, {"a": 1})
    assert one.links[0].context.span_id == int("e" * 16, 16)
    assert (one.status.status_code, two.status.status_code) == (StatusCode.UNSET, StatusCode.ERROR)
    assert two.status.description == "Throttled"
    assert (own.parent, own.context.trace_id) == (None, int("9" * 32, 16))
    assert one.resource.attributes["service.name"] == "mine"


def test_a_collector_that_hangs_blocks_nobody_and_what_waits_is_bounded():
    gate = Gate()

    async def main():
        export = SpanExport(gate, ExportOptions(max_queue=10, delay_ms=1))
        export(TRACE, [span()], 0.0)
        await asyncio.to_thread(gate.waiting.wait, 10)
        for _ in range(1000):
            export(TRACE, [span()], 0.0)
        gate.opened.set()
        await export.close()

    asyncio.run(main())
    assert 1 <= gate.taken <= 20  # those of the batch that hung, and a full queue


def test_a_collector_that_fails_is_told_once_and_so_is_its_end(caplog):
    answers = iter([SpanExportResult.FAILURE, OSError("secret"), SpanExportResult.SUCCESS,
                    SpanExportResult.SUCCESS, SpanExportResult.FAILURE])  # fmt: skip

    class Failing(Gate):
        def export(self, spans):
            answer = next(answers)
            if isinstance(answer, Exception):
                raise answer
            return answer

    exporter = TellingExporter(Failing())
    with caplog.at_level(logging.INFO):
        for _ in range(5):
            exporter.export([])
    assert [line.split(":")[0] for line in caplog.messages] == [
        "the collector of traces takes none",
        "the collector of traces takes spans again",
        "the collector of traces takes none",
    ]
    assert "secret" not in caplog.text
