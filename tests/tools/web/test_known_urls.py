"""The URLs that a conversation has brought up, and those that only look like them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anthropic_bedrock_proxy.tools.web.known_urls import (
    MAX_FOREIGN,
    MAX_TEXT,
    MAX_URLS,
    KnownURLs,
    normalized,
)
from anthropic_bedrock_proxy.tools.web.url_sources import SourceFilter, URLSources

A = "https://a.example/x"


def known(*messages, **sources):
    urls = KnownURLs(URLSources(**sources))
    urls.add_messages(list(messages))
    return urls


def user(*blocks):
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks):
    return {"role": "assistant", "content": list(blocks)}


def text(words):
    return {"type": "text", "text": words}


def calls(name, identifier="t"):
    return {
        "type": "tool_use",
        "id": identifier,
        "name": name,
        "input": {"u": "https://in.example/"},
    }


def result(content, identifier="t"):
    return {"type": "tool_result", "tool_use_id": identifier, "content": content}


def searched(*urls):
    hits = [{"type": "web_search_result", "url": url, "encrypted_content": "x"} for url in urls]
    return {"type": "web_search_tool_result", "tool_use_id": "s", "content": hits}


def fetched(url, words):
    source = {"type": "text", "media_type": "text/plain", "data": words}
    document = {"type": "document", "source": source}
    content = {"type": "web_fetch_result", "url": url, "content": document}
    return {"type": "web_fetch_tool_result", "tool_use_id": "f", "content": content}


@pytest.mark.parametrize(
    ("url", "spelled"),
    [
        ("HTTPS://A.Example", "https://a.example/"),
        ("https://a.example:443/b#c", "https://a.example/b"),
        ("http://a.example:443/", "http://a.example:443/"),
        ("http://a.example:80/?q", "http://a.example/?q"),
        ("https://a.example./", "https://a.example/"),
        ("https://ä.example/ü?ß", "https://xn--4ca.example/%C3%BC?%C3%9F"),
        ("https://a.example/%C3%BC", "https://a.example/%C3%BC"),
        ("https://a.example/A/../b", "https://a.example/A/../b"),  # the server's affair
        ("https://[::1]/", "https://[::1]/"),
        (" https://a.example/ ", "https://a.example/"),
        ("https://u@a.example/", None),
        ("ftp://a.example/", None),
        ("a.example", None),
        ("https://", None),
        ("https://a.example:x/", None),
        ("https://[::1/", None),
        ("https://" + "ü" * 300, None),
        ("", None),
    ],
)
def test_spellings(url, spelled):
    assert normalized(url) == spelled


@pytest.mark.parametrize(
    ("words", "url"),
    [
        (A, A),
        (f"see {A}.", A),
        (f"see ({A}), and", A),
        (f"**{A}**", A),
        (f'<a href="{A}">', A),
        (f"'{A}'", A),
        (f"[a]({A})", A),
        (f"[{A}]({A}/other)", f"{A}/other"),
        (f"{A}?q=1&amp;r=2", f"{A}?q=1&r=2"),
        (f"{A}#part", A),
        (f"{A}\u3002\u7136\u540e", A),
        (f"{A}\u8fd9\u4e2a", A),  # where the other script is no part of it
        ("https://a.example/\u8fd9", "https://a.example/%E8%BF%99"),  # where it is
        ("https://a.example/a_(b)", "https://a.example/a_(b)"),
        ("(https://a.example/a_(b))", "https://a.example/a_(b)"),
        ("HTTPS://A.EXAMPLE/x", A),
        ("https://a.example", "https://a.example/"),
        ("look at a.example please", "https://a.example/"),
        ("look at www.a.example/x, please", "http://www.a.example/x"),
    ],
)
def test_urls_of_users(words, url):
    assert url in known(user(text(words)))
    assert url in known({"role": "user", "content": words})


@pytest.mark.parametrize(
    "url",
    [
        f"{A}/more",
        f"{A}?q=secret",
        f"{A}y",
        "https://a.example/",
        "http://a.example/x",
        "https://b.a.example/x",
        "https://a.example.evil.example/x",
        "https://a.example/X",
        "https://a.example:8443/x",
        "https://u@a.example/x",
    ],
)
def test_nothing_is_longer_or_shorter_or_otherwise(url):
    assert url not in known(user(text(f"see {A}")))


def test_hosts_without_a_scheme_are_the_users_alone():
    assert "https://a.example/" not in known(
        assistant(calls("crm")), user(result("see a.example")), user(text("me@a.example"))
    )


def test_what_counts_by_itself():
    urls = known(
        user(text("https://u.example/")),
        assistant(text("https://said.example/"), calls("crm")),
        user(result([text("https://r.example/")])),
        assistant(
            searched("https://s.example/"), fetched("https://f.example/", "https://l.example/")
        ),
        user({"type": "document", "source": {"type": "url", "url": "https://d.example/"}}),
        user({"type": "image", "source": {"type": "base64", "data": "https://data.example/"}}),
        assistant(
            {
                "type": "code_execution_tool_result",
                "tool_use_id": "c",
                "content": {"stdout": "https://code.example/"},
            }
        ),
        {"role": "system", "content": "https://system.example/"},
    )
    found = {
        name
        for name in ["u", "said", "in", "r", "s", "f", "l", "d", "data", "code", "system"]
        if f"https://{name}.example/" in urls
    }
    assert found == {"u", "r", "s", "f", "l", "d"}


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ({"user_input": False}, "crm web s f"),
        ({"client_tools": SourceFilter(others=False)}, "u s f"),
        ({"client_tools": SourceFilter(frozenset(["crm"]), others=False)}, "u crm s f"),
        ({"client_tools": SourceFilter(frozenset(["crm"]))}, "u web s f"),
        ({"server_tools": SourceFilter(others=False)}, "u crm web"),
        ({"server_tools": SourceFilter(frozenset(["web_search"]), others=False)}, "u crm web s"),
        ({"server_tools": SourceFilter(frozenset(["web_search"]))}, "u crm web f"),
    ],
)
def test_sources_that_are_chosen(sources, expected):
    urls = known(
        user(text("https://u.example/")),
        assistant(calls("crm", "1"), calls("web", "2")),
        user(result("https://crm.example/", "1"), result("https://web.example/", "2")),
        assistant(searched("https://s.example/"), fetched("https://f.example/", "")),
        **sources,
    )
    found = {name for name in ["u", "crm", "web", "s", "f"] if f"https://{name}.example/" in urls}
    assert found == set(expected.split())


@pytest.mark.parametrize(
    "block",
    [
        {"type": "web_search_tool_result", "content": {"error_code": "unavailable"}},
        {"type": "web_fetch_tool_result", "content": {"error_code": "unavailable"}},
        {"type": "web_search_tool_result", "content": [{"url": None}]},
    ],
)
def test_failures_bring_up_nothing(block):
    assert "https://none/" not in known(assistant(block))


def test_the_newest_are_looked_at_first():
    filler = "x" * (MAX_TEXT - 100)
    urls = known(user(text("https://old.example/")), user(text(filler)), user(text(f"{A} " * 5)))
    assert A in urls
    assert "https://old.example/" not in urls


def test_their_number_is_bounded():
    many = " ".join(f"https://a.example/{number}" for number in range(2 * MAX_URLS))
    urls = known(user(text(many)))
    assert "https://a.example/1" in urls
    assert f"https://a.example/{2 * MAX_URLS - 1}" not in urls


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "a.",
        "a-",
        "http://",
        "https://a.example/",
        "https://a.example/" + ")" * 900 + " ",
        "https://a.example/?" + "&amp;" * 100 + " ",
        "https://ü.example/ü ",
        "a" * 63 + ".",
    ],
)
def test_hostile_text_takes_no_longer(piece):
    began = time.process_time()
    known(user(text(piece * (MAX_TEXT // len(piece)))))
    assert time.process_time() - began < 3  # a tenth of that, on an idle machine


def ideographs(number, label):
    """A host of 240 characters, another one for each number."""
    written = "".join(chr(0x4E00 + (7 * number + 13 * place) % 9999) for place in range(240))
    return ".".join(written[start : start + label] for start in range(0, 240, label))


@pytest.mark.parametrize("label", [15, 60, 240])
def test_hostile_hosts_take_no_longer(label):
    urls = [f"https://{ideographs(number, label)}/" for number in range(12_000)]
    began = time.process_time()
    known(assistant(searched(*urls)), user(text(" ".join(urls[:8000]))))
    assert time.process_time() - began < 4, "each takes a millisecond, one label five"


def test_hosts_of_other_scripts_are_known_up_to_a_bound():
    hosts = [f"https://{chr(0x4E00 + number)}.example/" for number in range(2 * MAX_FOREIGN)]
    urls = known(user(text(A), text(hosts[-1] + "x"), *map(text, hosts)))
    assert A in urls, "this one is ASCII"
    assert hosts[-1] in urls
    assert hosts[-1] + "x" in urls, "its host is one of those"
    assert hosts[0] not in urls, "the newest are looked at first"


@given(st.text() | st.text().map(lambda words: f"https://{words}"))
def test_whatever_is_written_is_read(words):
    urls = known(user(text(words)))
    assert words not in urls or normalized(words) is not None
