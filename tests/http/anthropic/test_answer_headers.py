"""Headers of an answer that hold a client's own words."""

from __future__ import annotations

import pytest

from anthropic_bedrock_proxy.gateway.exchange import Exchange
from anthropic_bedrock_proxy.http.anthropic.encoder import ANTHROPIC


def warned(*warnings):
    exchange = Exchange("req_1", started=0.0, at_ms=0)
    exchange.warnings = list(warnings)
    name, _, value = ANTHROPIC.lines(exchange).partition(b": ")
    assert name == b"x-proxy-warning"
    return value.decode("ascii").removesuffix("\r\n")


def test_few_warnings_are_told_as_they_are():
    assert warned("a: left out", "b: became c") == "a: left out; b: became c"
    assert ANTHROPIC.lines(Exchange("req_1", started=0.0, at_ms=0)) == b""


@pytest.mark.parametrize("length", [1, 100, 5000])
@pytest.mark.parametrize("count", [33, 100_000])
def test_many_or_long_warnings_are_cut_and_the_rest_is_counted(count, length):
    text = warned(*("w" * length for _ in range(count)))
    assert len(text) < 2100
    *shown, rest = text.split("; ")
    assert 8 < len(shown) <= 32
    assert all(len(warning) <= 200 for warning in shown)
    assert rest == f"and {count - len(shown)} more"


def test_a_warning_is_one_line_of_printable_ascii_without_keys():
    text = warned("a\r\nset-cookie: b\x00", "ü\u2028: left out", "sk-abcdefgh: left out")
    assert text == "a??set-cookie: b?; ??: left out; sk-(hidden) left out"
