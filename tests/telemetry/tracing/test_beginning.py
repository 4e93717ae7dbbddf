"""Which requests are traced, and by which ids."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from anthropic_bedrock_proxy.gateway.exchange import Exchange
from anthropic_bedrock_proxy.telemetry.tracing.beginning import Sampling, TraceBeginning

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def begun(sampling, traceparent=None, *, method="POST", path="/v1/messages"):
    headers = {} if traceparent is None else {b"traceparent": traceparent.encode()}
    exchange = Exchange("req_1", started=0.0, at_ms=0)
    TraceBeginning(sampling)(SimpleNamespace(method=method, path=path, headers=headers), exchange)
    return exchange.timeline.trace


def test_a_callers_trace_goes_on_below_its_span():
    trace = begun(Sampling(), f"00-{TRACE}-{CALLER}-01")
    assert (trace.trace_id, trace.parent_id) == (TRACE, CALLER)
    assert len(trace.span_id) == 16
    assert trace.span_id != CALLER


@pytest.mark.parametrize("ratio", [0.0, 1.0])
@pytest.mark.parametrize("flag", ["00", "01"])
def test_the_callers_decision_counts_before_the_ratio(ratio, flag):
    traced = begun(Sampling(ratio), f"00-{TRACE}-{CALLER}-{flag}") is not None
    assert traced == (flag == "01")


@pytest.mark.parametrize("ratio", [0.0, 1.0])
@pytest.mark.parametrize("flag", ["00", "01"])
def test_a_sampler_that_asks_no_parent_goes_by_the_ratio(ratio, flag):
    trace = begun(Sampling(ratio, parent_based=False), f"00-{TRACE}-{CALLER}-{flag}")
    assert (trace is not None) == (ratio == 1.0)


@pytest.mark.parametrize(
    "header",
    ["", "00", f"00-{'0' * 32}-{CALLER}-01", f"00-{TRACE}-{'0' * 16}-01", f"ff-{TRACE}-{CALLER}-01",
     f"00-{TRACE.upper()}-{CALLER}-01", f"00-{TRACE}-{CALLER}-01-more", "x" * 9000],
)  # fmt: skip
def test_a_malformed_header_begins_a_trace_of_its_own(header):
    trace = begun(Sampling(), header)
    assert trace.parent_id is None
    assert trace.trace_id != TRACE


def test_a_ratio_takes_the_traces_below_it_whoever_decides():
    half = Sampling(0.5)
    assert half.takes("f" * 16 + "7" + "f" * 15)
    assert not half.takes("0" * 16 + "8" + "0" * 15)
    taken = [begun(half) is not None for _ in range(400)]
    assert 100 < sum(taken) < 300  # ten standard deviations


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/messages"), ("POST", "/v1/files"), ("GET", "/metrics")]
)
def test_other_requests_are_not_traced(method, path):
    assert begun(Sampling(), f"00-{TRACE}-{CALLER}-01", method=method, path=path) is None
