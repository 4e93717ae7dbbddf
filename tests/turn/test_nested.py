"""Calls that code makes: run by the turn that they are of, and told to both sides."""

from __future__ import annotations

import asyncio
import gc

import pytest
from probe import CONTAINER, Probe, finished
from turn_support import request, search_tools

from anthropic_bedrock_proxy.tools.base import PreparedTool
from anthropic_bedrock_proxy.tools.calls import Finished, NestedCall, RequestContext, Suspended
from anthropic_bedrock_proxy.turn.loop import Turn
from anthropic_bedrock_proxy.turn.nested import MAX_NESTED, NestedCalls, is_nested, run_one_by_one

CALLER = {"type": "code_execution_20260120", "tool_id": "srvtoolu_A"}
CALLS = [NestedCall(f"srvtoolu_{name}", "probe", {"n": name}, CALLER) for name in "BC"]


class Telling(Probe):
    usage_field = "probe_requests"

    def to_code(self, content, context):
        return content.get("words", "nothing")


class FakeTurn:
    """A `NestingTurn` with one tool, whose calls end as `outcomes` say."""

    context = RequestContext("key_1", {})

    def __init__(self, *outcomes, excludes_nested=False):
        self.outcomes = list(outcomes)
        self.counted = []
        self.tool = Telling()
        self.prepared = PreparedTool(self._run, excludes_nested=excludes_nested)

    async def _run(self, call):
        return self.outcomes.pop(0)

    def for_code(self, name):
        assert name == "probe"
        return self.tool, self.prepared

    def count(self, tool, *, counts):
        self.counted.append(counts)


def ran(turn):
    return asyncio.run(NestedCalls(turn, run_one_by_one)(CALLS))


def test_results_come_in_the_order_of_calls():
    turn = FakeTurn(finished("one"), Finished({}, counts=False))
    first, second = ran(turn)
    assert (first.text, second.text) == ("one", "nothing")
    use, result = first.blocks
    assert use == {
        "type": "server_tool_use",
        "id": "srvtoolu_B",
        "name": "probe",
        "input": {"n": "B"},
        "caller": CALLER,
    }
    assert result == {
        "type": "probe_tool_result",
        "tool_use_id": "srvtoolu_B",
        "content": {"type": "probe_result", "words": "one"},
        "caller": CALLER,
    }
    assert turn.counted == [True, False]


def test_code_that_calls_on_and_on_is_told_so_and_nothing_more_is_kept():
    async def main():
        turn = FakeTurn(*[finished("one")] * MAX_NESTED)
        nested = NestedCalls(turn, run_one_by_one)
        few = CALLS[:1] * (MAX_NESTED - 1)
        assert {result.text for result in await nested(few)} == {"one"}
        last, refused = await nested(CALLS)
        assert last.text == "one"
        assert refused.text.startswith("Error: ")
        assert refused.blocks == []
        assert [result.text for result in await nested(CALLS)] == [refused.text] * 2
        assert len(turn.counted) == MAX_NESTED

    asyncio.run(main())


@pytest.mark.parametrize("excluded", [False, True])
def test_the_client_may_want_none_of_them(excluded):
    """Whether it gets them is not known before the code has ended, or waits."""
    results = ran(FakeTurn(finished("one"), finished("two"), excludes_nested=excluded))
    assert [(result.text, result.excluded) for result in results] == [
        ("one", excluded),
        ("two", excluded),
    ]
    assert [len(result.blocks) for result in results] == [2, 2]


def test_a_call_that_waits_for_the_client_is_none_for_code():
    turn = FakeTurn(Suspended(CONTAINER, "x", ()), finished("two"))
    first, second = ran(turn)
    assert first.blocks[1]["content"] == turn.tool.unavailable("probe")
    assert second.text == "two"
    assert turn.counted == [False, True]


def test_a_turn_that_is_gone_runs_nothing():
    nested = NestedCalls(FakeTurn(finished("one"), finished("two")), run_one_by_one)
    gc.collect()  # it refers to itself
    with pytest.raises(LookupError):
        asyncio.run(nested(CALLS))


def test_where_no_code_runs_nothing_calls():
    with pytest.raises(LookupError):
        asyncio.run(RequestContext("", {}).run_nested(CALLS))
    with pytest.raises(LookupError):
        Probe().to_code({}, RequestContext("", {}))


def test_a_turn_counts_searches_from_nothing():
    assert Turn(request(), search_tools()).searches == 0


@pytest.mark.parametrize(
    ("caller", "nested"), [(None, False), ({"type": "direct"}, False), (CALLER, True)]
)
def test_calls_of_the_model_are_none(caller, nested):
    assert is_nested({"caller": caller}) is nested
    assert not is_nested({})
