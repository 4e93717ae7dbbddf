from __future__ import annotations

import re

import pytest

from anthropic_bedrock_proxy.errors import InvalidRequestError
from anthropic_bedrock_proxy.tools.web.url_sources import (
    SourceFilter,
    URLSources,
    read_url_sources,
)

DECLARED = {"crm", "web_search"}


def reference(name):
    return {"type": "tool_reference", "name": name}


def read(given):
    return read_url_sources({"url_sources": given}, "tools.0", DECLARED)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, URLSources()),
        ({}, URLSources()),
        ({"user_input": None, "client_tool_results": {"type": "all"}}, URLSources()),
        ({"user_input": {"type": "none"}}, URLSources(user_input=False)),
        (
            {"client_tool_results": {"type": "none"}},
            URLSources(client_tools=SourceFilter(others=False)),
        ),
        (
            {"client_tool_results": {"type": "only", "tools": [reference("crm")]}},
            URLSources(client_tools=SourceFilter(frozenset(["crm"]), others=False)),
        ),
        (
            {"server_tool_results": {"type": "except", "tools": [reference("web_search")]}},
            URLSources(server_tools=SourceFilter(frozenset(["web_search"]), others=True)),
        ),
    ],
)
def test_sources_are_read(given, expected):
    assert read(given) == expected


@pytest.mark.parametrize(
    ("names", "others", "taken"),
    [((), True, "ab"), ((), False, ""), (("a",), False, "a"), (("a",), True, "b")],
)
def test_filters(names, others, taken):
    chosen = SourceFilter(frozenset(names), others)
    assert "".join(name for name in "ab" if chosen.takes(name)) == taken


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("all", "tools.0.url_sources: an object is required"),
        ({"user_input": "all"}, "tools.0.url_sources.user_input.type: expected one of all, none"),
        ({"user_input": {"type": "only", "tools": []}}, ".user_input.type: expected one of all"),
        ({"client_tool_results": {"type": "x"}}, ".client_tool_results.type: expected one of all"),
        ({"client_tool_results": {"type": "only"}}, ".client_tool_results.tools: a list of tool"),
        (
            {"client_tool_results": {"type": "only", "tools": ["crm"]}},
            ".client_tool_results.tools.0: expected an object",
        ),
        (
            {"server_tool_results": {"type": "except", "tools": [{"name": "crm"}]}},
            ".server_tool_results.tools.0: expected an object",
        ),
        (
            {"client_tool_results": {"type": "only", "tools": [reference("x")]}},
            ".client_tool_results.tools.0.name: no tool of the request has this name",
        ),
    ],
)
def test_sources_that_nobody_can_serve_are_refused(given, message):
    with pytest.raises(InvalidRequestError, match=re.escape(message)):
        read(given)
