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
from anthropic_bedrock_proxy.tools.tool_search import BM25, REGEX
from anthropic_bedrock_proxy.tools.toolset import ToolKind, Toolset, tool_search

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
    assert tools.needs_turn(made, NOVA, RULES) is needs
    assert tools.needs_turn(made, CLAUDE, RULES) is False
    # It could, but its flag is not taken.
    assert tools.needs_turn(made, CLAUDE, BetaRules()) is needs


def test_each_kind_is_asked_for_itself():
    both = Toolset([tool_search(no_pause, nullcontext), Probe().kind])
    assert both.needs_turn(request([PROBE]), CLAUDE, RULES)
    assert both.needs_turn(request([SEARCH]), NOVA, RULES)
    assert not both.needs_turn(request([SEARCH]), CLAUDE, RULES)
    assert not Toolset([]).needs_turn(request([SEARCH]), NOVA, RULES)


def test_tools_are_made_once_when_a_request_needs_them():
    made = []

    def make():
        made.append(Probe())
        return made[-1]

    tools = Toolset([ToolKind("probe_", b"probe", make)])
    assert tools.needs_turn(request([PROBE]), NOVA, RULES)
    assert not made
    assert tools.claiming(PROBE["type"]) is tools.called("probe") is made[0]
    assert tools.answering("probe_tool_result") is made[0]
    assert len(made) == 1


def test_nobody_has_what_is_no_tool_of_ours():
    tools = search_tools()
    assert tools.claiming("custom") is tools.called(None) is tools.answering("text") is None
    assert tools.called(BM25) is tools.claiming(REGEX) is not None
