"""The one spelling of hosts and paths."""

from __future__ import annotations

import pytest

from anthropic_bedrock_proxy.fetch.guard import check_url
from anthropic_bedrock_proxy.fetch.spelling import ascii_host, percent_encoded
from anthropic_bedrock_proxy.tools.web.known_urls import normalized


@pytest.mark.parametrize(
    ("host", "spelled"),
    [
        ("A.Example", "a.example"),
        ("a.example.", "a.example"),
        ("Ä.example", "xn--4ca.example"),
        ("a\u3002example\uff61", "a.example"),
        ("\u212a.example", "k.example"),  # the sign of Kelvin
        (f"{'a.' * 126}b", f"{'a.' * 126}b"),  # 253 characters
        ("::1", "::1"),
    ],
)
def test_a_host_has_one_spelling(host, spelled):
    assert ascii_host(host) == spelled


@pytest.mark.parametrize("host", ["", ".", f"{'a.' * 127}b", "ä" * 64, "ä." * 127, "a..ä"])
def test_what_can_be_no_name_is_refused(host):
    with pytest.raises(UnicodeError):
        ascii_host(host)


def test_what_is_encoded_already_stays():
    assert percent_encoded("/ü%C3%BC b?q='ß'&[1]") == "/%C3%BC%C3%BC%20b?q='%C3%9F'&%5B1%5D"
    with pytest.raises(UnicodeError):
        percent_encoded("/\ud800")


@pytest.mark.parametrize(
    "url",
    [
        "HTTPS://Ä.Example./b c?ü",
        "https://a.example:443",
        "https://a.example/A/../b?%2f",
        "https://[0:0::1]/",
    ],
)
def test_what_is_compared_is_what_is_fetched(url):
    assert check_url(normalized(url)).url == check_url(url).url
