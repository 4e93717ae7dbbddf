from __future__ import annotations

import pytest

from anthropic_bedrock_proxy.telemetry.traceparent import parse_traceparent, trace_id_of

TRACE, SPAN = b"4bf92f3577b34da6a3ce929d0e0e4736", b"00f067aa0ba902b7"


def test_a_header_names_trace_span_and_whether_it_is_sampled():
    parent = parse_traceparent(b" 00-%b-%b-01 " % (TRACE, SPAN))
    assert parent == (TRACE.decode(), SPAN.decode(), True)
    assert parse_traceparent(b"00-%b-%b-02" % (TRACE, SPAN)).sampled is False
    assert parse_traceparent(b"01-%b-%b-03-more" % (TRACE, SPAN)).sampled is True
    assert trace_id_of(b"00-%b-%b-00" % (TRACE, SPAN)) == TRACE.decode()


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"00",
        b"00-%b-%b" % (TRACE, SPAN),
        b"ff-%b-%b-01" % (TRACE, SPAN),
        b"00-%b-%b-01" % (b"0" * 32, SPAN),
        b"00-%b-%b-01" % (TRACE, b"0" * 16),
        b"00-%b-%b-01" % (TRACE.upper(), SPAN),
        b"00-%b-%b-01-more" % (TRACE, SPAN),
        b"00-%b-%b-0x" % (TRACE, SPAN),
    ],
)
def test_a_malformed_header_names_none(header):
    assert parse_traceparent(header) is None
    assert trace_id_of(header) == ""
