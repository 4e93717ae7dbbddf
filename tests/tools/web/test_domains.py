"""Domains that clients allow and block."""

from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anthropic_bedrock_proxy.errors import InvalidRequestError
from anthropic_bedrock_proxy.tools.web.domains import MAX_DOMAINS, read_domains


def rules(**lists):
    return read_domains(lists, "tools.0")


@pytest.mark.parametrize(
    ("domain", "inside", "outside"),
    [
        (
            "example.com",
            ["https://example.com", "http://EXAMPLE.com./a", "https://a.b.example.com:8443/x?y#z"],
            [
                "https://notexample.com/",
                "https://example.com.evil.example/",
                "https://example.org/",
            ],
        ),
        ("docs.example.com", ["https://docs.example.com/"], ["https://example.com/"]),
        (
            "Example.com/blog",
            [
                "https://example.com/blog",
                "https://example.com/blog/1",
                "https://a.example.com/blog/",
            ],
            [
                "https://example.com/blogs",
                "https://example.com/",
                "https://example.com/Blog",
                "https://example.com/blog/../other",
                "https://example.com/blog/%2e%2e/other",
                "https://example.com//blog/..//other",
            ],
        ),
        (
            "example.com/*/articles",
            ["https://example.com/news/articles", "https://example.com/a/b/articles/7"],
            ["https://example.com/articles", "https://example.com/news/article"],
        ),
        ("example.com/*", ["https://example.com/x"], ["https://other.example/x"]),
        ("example.com/", ["https://example.com/x"], ["https://other.example/x"]),
        ("münchen.example", ["https://xn--mnchen-3ya.example/", "https://münchen.example/a"], []),
    ],
)
def test_a_domain_is_a_host_with_all_below_it(domain, inside, outside):
    allowed, blocked = rules(allowed_domains=[domain]), rules(blocked_domains=[domain])
    for url in inside:
        assert allowed.allows(url), url
        assert not blocked.allows(url), url
    for url in outside:
        assert not allowed.allows(url), url
        assert blocked.allows(url), url


@pytest.mark.parametrize("url", ["http://[", "https://" + "a" * 300 + ".example/", "https://a..b/"])
def test_what_is_no_url_is_not_allowed(url):
    assert not rules(allowed_domains=["example.com"]).allows(url)
    assert not rules(blocked_domains=["example.com"]).allows(url)
    assert rules().allows(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://bad.example./",
        "https://bad.example\u3002/",  # other dots of other scripts
        "https://bad\uff0eexample\uff61/",
        "https://BAD.EXAMPLE:8443/",
        "https://\uff42ad.example/",
        "https://bad%2eexample/",
        "https://good.example@bad.example/",
    ],
)
def test_other_spellings_of_a_blocked_domain_are_blocked(url):
    assert not rules(blocked_domains=["bad.example"]).allows(url)


def test_other_spellings_of_an_allowed_domain_are_allowed():
    for domain in ("bad.example.", "bad\u3002example\u3002", "BAD.example"):
        assert rules(allowed_domains=[domain]).allows("https://a.bad.example\u3002/x")
    assert rules(blocked_domains=["bad.example"]).allows("https://[2001:4860::1]/")


def test_a_list_of_hosts_that_are_no_names_takes_no_time():
    hosts = [
        "".join(chr(0x4E00 + 13 * place + number) for place in range(250)) for number in range(100)
    ]
    began = process_time()
    for host in hosts:
        with pytest.raises(InvalidRequestError):
            rules(allowed_domains=[host])
    assert process_time() - began < 0.3, "each took five milliseconds"


def test_none_and_empty_lists_allow_everything():
    assert rules(allowed_domains=None, blocked_domains=[]).allows("https://example.com/")
    assert rules(allowed_domains=["a.example"], blocked_domains=[]).allowed == ("a.example",)


@pytest.mark.parametrize(
    ("lists", "words"),
    [
        (
            {"allowed_domains": ["a.example"], "blocked_domains": ["b.example"]},
            "tools.0: only one of allowed_domains and blocked_domains can be given",
        ),
        ({"allowed_domains": "a.example"}, "tools.0.allowed_domains: Expected a list"),
        ({"blocked_domains": ["a.example"] * (MAX_DOMAINS + 1)}, "tools.0.blocked_domains: "),
        ({"allowed_domains": ["a.example", 7]}, "tools.0.allowed_domains.1: no domain"),
        ({"allowed_domains": [""]}, "tools.0.allowed_domains.0: no domain"),
        (
            {"allowed_domains": ["https://a.example"]},
            "tools.0.allowed_domains.0: no domain, or one",
        ),
        ({"allowed_domains": ["*.a.example"]}, "tools.0.allowed_domains.0: not a valid domain"),
        ({"allowed_domains": ["a b.example"]}, "tools.0.allowed_domains.0: not a valid domain"),
        ({"allowed_domains": ["a..example"]}, "tools.0.allowed_domains.0: not a valid domain"),
        ({"allowed_domains": ["a.example/*/b/*"]}, "tools.0.allowed_domains.0: only one *"),
    ],
)
def test_what_is_no_domain_is_refused_with_its_place(lists, words):
    with pytest.raises(InvalidRequestError) as refused:
        rules(**lists)
    assert refused.value.message.startswith(words)


@given(st.text(max_size=40), st.text(max_size=60))
def test_whatever_is_written_is_judged_or_refused(domain, url):
    try:
        found = rules(blocked_domains=[domain])
    except InvalidRequestError:
        return
    assert found.allows(url) in (True, False)
