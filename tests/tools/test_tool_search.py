"""What the searches find, in which order, and what they say when they cannot."""

from __future__ import annotations

from contextlib import nullcontext

import msgspec
import pytest
from anthropic.types import ToolSearchToolResultBlock
from msgspec import Raw
from working import no_pause, outcome

from anthropic_bedrock_proxy.errors import InvalidRequestError
from anthropic_bedrock_proxy.tools.calls import RequestContext, RequestTools, ToolCall
from anthropic_bedrock_proxy.tools.ranking import Ranking, words_of
from anthropic_bedrock_proxy.tools.tool_search import BM25, REGEX, Search, ToolSearch
from anthropic_bedrock_proxy.tools.work import Work

TOOL_SEARCH = ToolSearch(no_pause, nullcontext)


def tool(name, description=None, deferred=True, **arguments):
    properties = {key: {"type": "string", "description": v} for key, v in arguments.items()}
    schema = {"type": "object", "properties": properties}
    made = {"name": name, "input_schema": schema, "defer_loading": deferred}
    return made if description is None else {**made, "description": description}


TOOLS = [
    {"type": "tool_search_tool_regex", "name": REGEX},
    tool("read_file", "Reads a file", deferred=False, path="where"),
    tool("list_channels", "All Slack channels"),
    tool("getWeatherForecast", "The weather of the next days", city="Name of a place"),
    tool("get_customer_data", "Looks a customer up", id="number"),
    tool("slack_send", "Sends a message", channel="Where to send it"),
    tool("send_mail", "Sends an e-mail", recipient="Address", slack_user=None),
    {"type": "custom", "custom": {"name": "wrapped", "defer_loading": True}},
    {"name": "odd", "description": 5, "input_schema": [], "defer_loading": True},
    {"name": "odd_too", "input_schema": {"properties": {"x": 1.5}}, "defer_loading": True},
    {"type": "mcp_toolset", "defer_loading": True},
    {**tool("weather_of_code"), "allowed_callers": ["code_execution_20260120"]},
]


def run(name, given, tools=TOOLS):
    fields = {"tools": Raw(msgspec.json.encode(tools))}
    search = TOOL_SEARCH.prepare(RequestContext("", fields), []).run
    content = outcome(search(ToolCall("srvtoolu_1", name, given))).content
    block = {"type": "tool_search_tool_result", "tool_use_id": "srvtoolu_1", "content": content}
    ToolSearchToolResultBlock.model_validate(block)
    return content


def names(name, given, tools=TOOLS):
    content = run(name, given, tools)
    assert content["type"] == "tool_search_tool_search_result"
    return [reference["tool_name"] for reference in content["tool_references"]]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("weather", ["getWeatherForecast"]),
        ("GET_.*_data", ["get_customer_data"]),
        # By name first, then by what is said about the tool and its arguments.
        ("slack", ["slack_send", "list_channels", "send_mail"]),
        ("(?i)SLACK|weather", ["getWeatherForecast", "slack_send", "list_channels", "send_mail"]),
        ("^number$", ["get_customer_data"]),
        ("^recipient$", ["send_mail"]),
        ("read", []),  # not deferred: the model sees it already
        ("wrapped", ["wrapped"]),
        ("^odd", ["odd", "odd_too"]),
    ],
)
def test_regex(pattern, expected):
    assert names(REGEX, {"pattern": pattern}) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("weather forecast", ["getWeatherForecast"]),
        # Rare words weigh more than frequent ones, short texts more than long ones.
        ("slack message", ["slack_send", "list_channels", "send_mail"]),
        ("customer", ["get_customer_data"]),
        ("send slack", ["slack_send", "send_mail", "list_channels"]),
        ("nothing alike", []),
        ("!?", []),
    ],
)
def test_bm25(query, expected):
    assert names(BM25, {"query": query}) == expected


def test_equal_scores_keep_the_order_of_the_request():
    same = [tool(f"t{number}", "the same words") for number in range(20)]
    assert names(BM25, {"query": "words", "limit": 20}, same) == [t["name"] for t in same]


def test_ranking_by_the_formula():
    # Three documents of mean length 2: the weight is ln(1 + 2.5 / 1.5), and twice the word in a
    # document of length 3 makes 2 * 2.2 / (2 + 1.2 * (0.25 + 0.75 * 1.5)).
    ranking = Ranking(Work(10**6, no_pause))
    assert outcome(ranking.best("a")) == []
    for document in (["a a", "b"], ["b"], ["c", "d"]):
        outcome(ranking.add(document))
    assert outcome(ranking.scores("a x")) == {0: pytest.approx(0.98083 * 4.4 / 3.65, abs=1e-4)}
    assert outcome(ranking.best("B")) == [1, 0]


def test_words():
    assert words_of("getHTTPServer_by-id2 of Müller") == [
        *("get", "http", "server", "by", "id2", "of", "müller")
    ]


def test_limit():
    many = [tool(f"tool_{number}", "x") for number in range(30)]
    assert len(names(REGEX, {"pattern": "tool"}, many)) == 5
    assert len(names(REGEX, {"pattern": "tool", "limit": None}, many)) == 5
    assert len(names(REGEX, {"pattern": "tool", "limit": 10_000}, many)) == 30
    assert len(names(BM25, {"query": "x", "limit": 7.0}, many)) == 7


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        (REGEX, None, "The input must be a JSON object"),
        (REGEX, {}, "pattern: a string is required"),
        (BM25, {"query": " "}, "query: a string is required"),
        (BM25, {"query": 5}, "query: a string is required"),
        (REGEX, {"pattern": "a" * 201}, "pattern: at most 200 characters are allowed"),
        (BM25, {"query": "a" * 501}, "query: at most 500 characters are allowed"),
        (REGEX, {"pattern": "a", "limit": 0}, "limit: must be an integer from 1 to 10000"),
        (REGEX, {"pattern": "a", "limit": 10_001}, "limit: must be an integer from 1 to 10000"),
        (REGEX, {"pattern": "a", "limit": True}, "limit: must be an integer from 1 to 10000"),
        (REGEX, {"pattern": "a", "limit": 1.5}, "limit: must be an integer from 1 to 10000"),
        (REGEX, {"pattern": "("}, "Invalid regular expression: missing ), unterminated subpattern"),
    ],
)
def test_invalid_input(name, given, message):
    content = run(name, given)
    assert content["type"] == "tool_search_tool_result_error"
    assert content["error_code"] == "invalid_tool_input"
    assert content["error_message"].startswith(message)


def test_the_longest_pattern_and_query_are_allowed():
    assert names(REGEX, {"pattern": "a" * 200}) == []
    assert names(BM25, {"query": "a" * 500}) == []


def test_the_index_is_made_once():
    work = Work(10**6, no_pause)
    search = Search(Raw(msgspec.json.encode(TOOLS)), work)
    first = outcome(search.run(BM25, {"query": "customer"}))
    spent = 10**6 - work.left
    assert outcome(search.run(BM25, {"query": "customer"})) == first
    assert 10**6 - work.left - spent < 0.9 * spent


def offered(path="p", **tool):
    [seen] = TOOL_SEARCH.offer(tool, path, RequestTools((), ())).seen
    return seen


def test_definitions():
    for name in (REGEX, BM25):
        for kind in (name, f"{name}_20251119"):
            assert TOOL_SEARCH.claims(kind)
            made = offered(type=kind, name=name, cache_control=1)
            assert made["name"] == name
            assert made["cache_control"] == 1
            assert "cache_control" not in offered(type=kind, name=name)
            assert [*made["input_schema"]["properties"]][1] == "limit"
    assert not TOOL_SEARCH.claims("custom")
    with pytest.raises(InvalidRequestError, match=r"^tools\.3\.name: Input should be 'tool_search"):
        offered("tools.3", type=REGEX, name="mine")
