"""What a request may order of the tools that the proxy runs: counted, never timed."""

from __future__ import annotations

import sys

import msgspec
import pytest
from msgspec import Raw
from working import no_pause, outcome

from anthropic_bedrock_proxy.tools.tool_search import BM25, REGEX, Search
from anthropic_bedrock_proxy.tools.work import SLICE_STEPS, Work, WorkError

STEPS = 600_000
# The calls of functions that a step stands for at most, and the largest piece without a pause:
# a pattern is compiled, a text read, a word looked up in one.
CALLS_PER_STEP = 2
PIECE_CALLS = 2 * SLICE_STEPS
TEXT = "ab" * 1000


def tools(count, description=""):
    return [
        {"name": f"tool{i}", "defer_loading": True, "description": description}
        for i in range(count)
    ]


def properties(count):
    schema = {"properties": {f"p{i}": {"description": "d"} for i in range(count)}}
    return [{"name": "t", "defer_loading": True, "input_schema": schema}]


WORDS = " ".join(f"{a}{b}" for a in "abcdefghijklm" for b in "nopqrstuvwxy")[:500]
ATTACKS = {
    "many queries of many words": (BM25, {"query": WORDS}, tools(200, WORDS)),
    "many long documents": (BM25, {"query": "a"}, tools(500, TEXT)),
    "short texts": (REGEX, {"pattern": "zz"}, properties(2000)),
    "short texts, branching": (REGEX, {"pattern": "z+y"}, properties(2000)),
    "many states": (REGEX, {"pattern": "(.*a){40}c|(a|b).{60}x"}, tools(20, TEXT)),
    "all assertions": (REGEX, {"pattern": r"(\b|\B|\A|\Z|^|$)*x"}, tools(20, TEXT)),
    "wide sets": (REGEX, {"pattern": "[\u4e00-\u9fa5]+x"}, tools(2)),
    "invalid patterns": (REGEX, {"pattern": "(" * 60 + ")" * 59}, tools(2)),
    "long results": (REGEX, {"pattern": "t", "limit": 10_000}, tools(1000)),
    "long queries of nothing": (BM25, {"query": "zz " * 160}, tools(2)),
}


class Counted:
    """Counts the calls of functions, Python's and C's, between pauses."""

    def __init__(self):
        self.calls = self.total = self.largest = self.pauses = 0

    def __call__(self, frame, event, argument):
        if event in ("call", "c_call"):
            self.calls += 1

    async def pause(self):
        self.pauses += 1
        self.end()

    def end(self):
        self.total += self.calls
        self.largest, self.calls = max(self.largest, self.calls), 0


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_request_gets_the_same_work_done_however_many_calls_it_has(attack):
    name, given, definitions = ATTACKS[attack]
    counted = Counted()
    work = Work(STEPS, counted.pause)
    search = Search(Raw(msgspec.json.encode(definitions)), work)
    sys.setprofile(counted)
    try:
        contents = [outcome(search.run(name, given)) for _ in range(200)]
    finally:
        sys.setprofile(None)
    counted.end()
    assert contents[-1]["error_code"] == "execution_time_exceeded"
    assert work.left == 0
    assert counted.total <= CALLS_PER_STEP * STEPS
    assert counted.largest <= PIECE_CALLS
    assert counted.pauses >= STEPS // (8 * SLICE_STEPS)
    found = sum(len(content.get("tool_references", ())) for content in contents)
    assert found <= STEPS // 300


def test_both_searches_spend_of_the_same_work():
    work = Work(20_000, no_pause)
    search = Search(Raw(msgspec.json.encode(tools(2))), work)
    names = [REGEX, BM25] * 20
    codes = [
        outcome(search.run(name, {"pattern": "x", "query": "x"})).get("error_code")
        for name in names
    ]
    assert codes[:2] == [None, None]
    assert codes[-2:] == ["execution_time_exceeded"] * 2


def test_work_ends_at_once_and_stays_ended():
    work = Work(10, no_pause)
    work.spend(10)
    for _ in range(2):
        with pytest.raises(WorkError):
            work.spend(1)
    other = Work(10, no_pause)
    with pytest.raises(WorkError):
        other.spend(11)
    with pytest.raises(WorkError):
        other.spend(1)


def test_the_first_piece_waits_for_its_turn_and_then_each_slice_does():
    work = Work(10 * SLICE_STEPS, no_pause)
    assert work.spend(1)
    outcome(work.pause())
    assert not work.spend(SLICE_STEPS)
    assert work.spend(1)
    assert work.spend(1)
    outcome(work.pause())
    assert not work.spend(1)
