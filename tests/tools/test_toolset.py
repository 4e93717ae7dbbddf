"""Which tools an installation has, when they are made, and which requests need them."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from probe import PROBE, Probe
from streams import encode
from working import no_pause, search_tools

from anthropic_bedrock_proxy.models.betas import BetaRules
from anthropic_bedrock_proxy.models.table import Capabilities
from anthropic_bedrock_proxy.protocol.request.messages import parse_request
from anthropic_bedrock_proxy.tools.kinds import ToolKind, tool_search, web_fetch
from anthropic_bedrock_proxy.tools.tool_search import BM25, REGEX
from anthropic_bedrock_proxy.tools.toolset import MAX_DOCUMENT, Toolset
from anthropic_bedrock_proxy.tools.web.fetch_options import WebFetchOptions

NOVA = Capabilities(dialect="converse")
CLAUDE = Capabilities(
    dialect="invoke", features=frozenset(("tool_search",)), betas=frozenset(("flag",))
)
RULES = BetaRules(needed_for={"defer_loading": "flag"})
RUN = {"name": "run", "input_schema": {}}
SEARCH = {"type": f"{REGEX}_20251119", "name": REGEX}
HELLO = {"role": "user", "content": "hello"}
CALL = {"type": "server_tool_use", "id": "srvtoolu_A", "name": BM25, "input": {}}


def request(tools=None, messages=(HELLO,)):
    body = {"model": "m", "max_tokens": 100, "messages": list(messages)}
    return parse_request(encode(body | ({"tools": tools} if tools else {})), "2023-06-01")


@pytest.mark.parametrize(
    ("made", "needs"),
    [
        (request([RUN]), False),
        (request(), False),
        (request([RUN, SEARCH]), True),
        (request(messages=[HELLO, {"role": "assistant", "content": [CALL]}]), True),
    ],
    ids=["other tools", "no tools", "a definition", "a history"],
)
def test_a_request_needs_a_turn_unless_the_model_has_the_tool(made, needs):
    tools = search_tools()
    assert (tools.needed(made, NOVA, RULES) is tools) is needs
    assert tools.needed(made, CLAUDE, RULES) is None
    # It could, but its flag is not taken.
    assert (tools.needed(made, CLAUDE, BetaRules()) is tools) is needs


def test_each_kind_is_asked_for_itself():
    both = Toolset([tool_search(no_pause, nullcontext), Probe().kind])
    two = request([PROBE, SEARCH])
    assert both.needed(two, NOVA, RULES) is both
    assert both.needed(request([SEARCH]), CLAUDE, RULES) is None
    assert Toolset([]).needed(two, NOVA, RULES) is None
    for tools, has_search, has_probe in (
        (both.needed(request([SEARCH]), NOVA, RULES), True, False),
        (both.needed(request([PROBE]), CLAUDE, RULES), False, True),
        (both.needed(two, CLAUDE, RULES), False, True),
    ):
        for found, expected in (
            (tools.claiming(REGEX), has_search),
            (tools.called(REGEX), has_search),
            (tools.answering("tool_search_tool_result"), has_search),
            (tools.claiming(PROBE["type"]), has_probe),
        ):
            assert (found is not None) is expected
        assert both.covers(tools)
        assert tools.covers(tools)
        assert not tools.covers(both)


@pytest.mark.parametrize(
    ("dialect", "features", "expected"),
    [
        ("invoke", {"documents", "rich_results"}, MAX_DOCUMENT),
        ("converse", {"documents", "rich_results"}, 4_500_000),
        ("converse", {"documents"}, 0),
        ("converse", set(), 0),
    ],
)
def test_documents_in_results_are_as_large_as_the_model_takes_them(dialect, features, expected):
    able = Capabilities(dialect=dialect, features=frozenset(features))
    fetch = {"type": "web_fetch_20250910", "name": "web_fetch"}
    tools = Toolset([web_fetch(None, WebFetchOptions())]).needed(request([fetch]), able, RULES)
    assert tools.document_bytes == expected
    assert Toolset([Probe().kind]).needed(request([PROBE]), able, RULES).document_bytes == (
        MAX_DOCUMENT
    )


def test_a_turn_does_not_go_on_where_its_documents_do_not_fit():
    kinds = [Probe().kind]
    large, small = Toolset(kinds), Toolset(kinds, document_bytes=5)
    assert small.covers(large)
    assert not large.covers(small)
    assert small.covers(small)


def test_tools_are_made_once_when_a_request_needs_them():
    made = []

    def make():
        made.append(Probe())
        return made[-1]

    tools = Toolset([ToolKind("probe_", b"probe", make)])
    assert tools.needed(request([PROBE]), NOVA, RULES)
    assert not made
    assert tools.claiming(PROBE["type"]) is tools.called("probe") is made[0]
    assert tools.answering("probe_tool_result") is made[0]
    assert len(made) == 1
    more = Toolset([ToolKind("probe_", b"probe", make), tool_search(no_pause, nullcontext)])
    for _ in range(2):
        assert more.needed(request([PROBE]), NOVA, RULES).called("probe") is made[1]
    assert more.called("probe") is made[1]
    assert len(made) == 2


def test_nobody_has_what_is_no_tool_of_ours():
    tools = search_tools()
    assert tools.claiming("custom") is tools.called(None) is tools.answering("text") is None
    assert tools.called(BM25) is tools.claiming(REGEX) is not None
