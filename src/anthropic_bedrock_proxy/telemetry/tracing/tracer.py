"""Makes the spans of each traced request, once it has ended, and hands them on.

A tool run that a later request goes on with is another span, in another trace perhaps; it is linked
to the one before it, if that was of this worker:

    request 1   execute_tool code_execution   suspended   remembered as (key, srvtoolu_1)
    request 2   execute_tool code_execution   finished    link -> the span of request 1
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from ...bounded import Bounded
from ...gateway.exchange import Exchange
from ...timeline import TraceContext
from .span_tree import FinishedSpan, SpanLink, SpanTree

_MOST_SUSPENDED: Final = 4096
_LONGEST_ID: Final = 200
_NONE: Final[Mapping[bytes, bytes]] = {}


class SpanSink(Protocol):
    """The taker of the spans of a request. Must not block."""

    def __call__(self, trace: TraceContext, spans: Sequence[FinishedSpan], offset: float) -> None:
        """Takes spans; `offset` is what makes epoch seconds of their moments."""
        ...


class Tracer:
    """An observer of requests that have ended."""

    def __init__(self, tree: SpanTree, sink: SpanSink) -> None:
        self._tree = tree
        self._sink = sink
        self._suspended: Bounded[tuple[str, str], SpanLink] = Bounded(_MOST_SUSPENDED)

    def __call__(self, request: Any, exchange: Exchange) -> None:
        """Hands on the spans of a request, if it is traced."""
        trace = exchange.timeline.trace
        if trace is None:
            return
        headers = getattr(request, "headers", _NONE)
        spans = self._tree.spans(exchange, trace, headers)
        trace.content = None  # a request waits to be counted, its body does not
        self._link(exchange, spans)
        self._sink(trace, spans, exchange.at_ms / 1000 - exchange.started)

    def _link(self, exchange: Exchange, spans: Sequence[FinishedSpan]) -> None:
        runs = {run.span_id: run for run in exchange.timeline.tools}
        for span in spans:
            run = runs.get(span.span_id)
            if run is None or len(run.call_id) > _LONGEST_ID:
                continue
            place = (exchange.key_id, run.call_id)
            if (earlier := self._suspended.pop(place, None)) is not None:
                span.links = [*span.links, earlier]
            if run.outcome == "suspended":
                self._suspended[place] = SpanLink(run.trace_id, run.span_id)
