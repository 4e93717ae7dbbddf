"""Whatever a service answers, a back end returns usable hits or raises a `SearchError`."""

from __future__ import annotations

import asyncio
import json

import pytest
from fake_search import KINDS, TOOL, recorded
from hypothesis import given, settings
from hypothesis import strategies as st

from anthropic_bedrock_proxy.aws.connect import Endpoint
from anthropic_bedrock_proxy.aws.credentials import CredentialsError, StaticSource
from anthropic_bedrock_proxy.aws.sigv4 import Credentials
from anthropic_bedrock_proxy.search.agentcore import AgentCoreSearch
from anthropic_bedrock_proxy.search.agentcore_gateway import (
    AgentCoreGatewaySearch,
    BearerDoor,
    region_of,
)
from anthropic_bedrock_proxy.search.base import SearchError, SearchQuery
from anthropic_bedrock_proxy.search.brave import BraveSearch
from anthropic_bedrock_proxy.search.client import SearchAnswer
from anthropic_bedrock_proxy.search.exa import ExaSearch
from anthropic_bedrock_proxy.search.hits import is_usable
from anthropic_bedrock_proxy.search.searxng import SearXNGSearch
from anthropic_bedrock_proxy.search.signed import SignedClient
from anthropic_bedrock_proxy.search.tavily import TavilySearch

LISTED = {"jsonrpc": "2.0", "id": 1, "result": {"tools": [{"name": TOOL}]}}


class OneAnswer:
    """A client in place of `SearchClient`: every request has this answer, but for MCP's list."""

    endpoint = Endpoint("search.example", 443, tls=True)

    def __init__(self, answer):
        self.answer = answer

    async def get(self, path, headers=()):
        return self.answer

    async def post(self, path, document, headers=()):
        if isinstance(document, dict) and document.get("method") == "tools/list":
            return SearchAnswer(200, {}, json.dumps(LISTED).encode())
        return self.answer

    async def post_signed(self, path, body, signed, headers=()):
        return self.answer

    async def close(self):
        pass


def backend(kind, answer):
    client = OneAnswer(answer)
    if kind == "agentcore-api":
        keys = StaticSource(Credentials("AKIA", "s"))
        signed = SignedClient(client, region="us-east-1", credentials=keys, denied="d")
        return AgentCoreSearch(signed)
    if kind == "agentcore":
        return AgentCoreGatewaySearch(BearerDoor(client, "t"), "/mcp")
    keyed = {"tavily": TavilySearch, "brave": BraveSearch, "exa": ExaSearch}
    return keyed[kind](client, "k") if kind in keyed else SearXNGSearch(client)


def outcome(kind, answer):
    """The hits, or the error's code; anything else that is raised fails the test."""
    try:
        return asyncio.run(backend(kind, answer).search(SearchQuery("q")))
    except SearchError as error:
        return error.code


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
NAMES = st.sampled_from(
    [
        *("results", "web", "type", "url", "title", "text", "content", "description", "age"),
        *("jsonrpc", "result", "error", "code", "message", "isError", "structuredContent"),
        *("publishedAt", "publishedDate", "published_date", "page_age", "extra_snippets"),
        "unresponsive_engines",
    ]
)
WORDS = st.sampled_from(
    ["2.0", "search", "text", "https://a.example/", "unknown", '{"results": 1}']
)
TREES = st.recursive(
    SCALARS | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=20,
)


def check(found):
    assert isinstance(found, str) or all(is_usable(hit.url) and hit.title for hit in found)


@pytest.mark.parametrize("kind", KINDS)
@given(tree=TREES, status=st.sampled_from([200, 200, 200, 400, 403, 500]))
@settings(deadline=None, max_examples=150)
def test_any_json(kind, tree, status):
    check(outcome(kind, SearchAnswer(status, {}, json.dumps(tree).encode())))


@pytest.mark.parametrize("kind", KINDS)
@given(body=st.binary(max_size=300), header=st.binary(max_size=40), status=st.integers(100, 599))
@settings(deadline=None, max_examples=150)
def test_any_bytes(kind, body, header, status):
    headers = {b"content-type": header, b"x-amzn-errortype": header, b"date": header}
    assert isinstance(outcome(kind, SearchAnswer(status, headers, body)), str)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_a_good_answer_that_is_cut_is_an_error(kind, data):
    document = recorded(kind)
    if kind == "agentcore":
        document = {"jsonrpc": "2.0", "id": 1, "result": document}
    whole = json.dumps(document).encode()
    assert len(outcome(kind, SearchAnswer(200, {}, whole))) == 2
    cut = data.draw(st.integers(0, len(whole) - 1))
    assert outcome(kind, SearchAnswer(200, {}, whole[:cut])) == "unavailable"


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_nested_too_deeply_is_an_error(kind):
    body = b'{"results": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert outcome(kind, SearchAnswer(200, {}, body)) == "unavailable"


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("gw-1.gateway.bedrock-agentcore.eu-west-1.amazonaws.com", "eu-west-1"),
        ("gateway.internal", None),
    ],
)
def test_the_region_of_a_gateway(host, region):
    assert region_of(host) == region


def test_without_aws_keys_it_says_what_to_give():
    class NoKeys:
        current = None

        async def get(self):
            raise CredentialsError("none of arn:aws:iam::123456789012:role/x")

    signed = SignedClient(OneAnswer(None), region="us-east-1", credentials=NoKeys(), denied="d")
    with pytest.raises(SearchError, match="AWS_PROFILE") as refused:
        asyncio.run(AgentCoreSearch(signed).search(SearchQuery("q")))
    assert refused.value.code == "unavailable"
    assert "123456789012" not in refused.value.reason


def test_an_event_stream_tells_the_answer_behind_what_tells_of_progress():
    headers = {b"content-type": b"text/event-stream"}
    result = {"jsonrpc": "2.0", "id": 1, "result": recorded("agentcore")}
    progress = b'event: message\ndata: {"jsonrpc":"2.0","method":"notifications/progress"}\n\n'
    whole = progress + b"data: " + json.dumps(result).encode() + b"\n\n"
    assert len(outcome("agentcore", SearchAnswer(200, headers, whole))) == 2
    assert outcome("agentcore", SearchAnswer(200, headers, progress)) == "unavailable"
