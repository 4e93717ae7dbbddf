"""The searcher: one back end after the other, and the bounds before them."""

from __future__ import annotations

import asyncio
import logging

import pytest
from clocks import Clock

from anthropic_bedrock_proxy.search.base import SearchError, SearchHit, SearchQuery
from anthropic_bedrock_proxy.search.chain import ChainOptions, SearchChain
from anthropic_bedrock_proxy.search.state import BackendState

HIT = SearchHit("https://a.example/", "A", "text")
QUERY = SearchQuery("the private question")


class Scripted:
    """A back end that plays its script, and then finds one page."""

    def __init__(self, name, *script):
        self.name = name
        self.script = list(script)
        self.asked = 0
        self.closed = False
        self.gate = None

    async def search(self, query):
        self.asked += 1
        if self.gate is not None:
            await self.gate.wait()
        outcome = self.script.pop(0) if self.script else [HIT]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def close(self):
        self.closed = True


def down(code="unavailable", reason="it is down"):
    return SearchError(code, reason)


def chain_of(*backends, clock=None, **options):
    usual = {"cache_seconds": 0, "per_minute": 0}
    return SearchChain(backends, ChainOptions(**(usual | options)), clock=clock or Clock())


def outcome(chain, query=QUERY, key="k"):
    async def main():
        try:
            return await chain.search(query, key=key)
        except SearchError as error:
            return error.code, error.reason

    return asyncio.run(main())


@pytest.mark.parametrize("code", ["unavailable", "too_many_requests"])
def test_what_one_cannot_do_the_next_does(code):
    one, two, three = Scripted("one", down(code)), Scripted("two"), Scripted("three")
    assert outcome(chain_of(one, two, three)) == [HIT]
    assert (one.asked, two.asked, three.asked) == (1, 1, 0)


@pytest.mark.parametrize("code", ["invalid_tool_input", "query_too_long", "request_too_large"])
def test_what_is_wrong_with_the_query_is_told_at_once(code):
    one, two = Scripted("one", down(code, "no")), Scripted("two")
    chain = chain_of(one, two)
    assert outcome(chain) == (code, "no")
    assert two.asked == 0
    assert chain.states()[0].status == "unknown", "the back end is as well as before"


def test_nothing_found_is_an_answer():
    one, two = Scripted("one", []), Scripted("two")
    assert outcome(chain_of(one, two)) == []
    assert two.asked == 0


def test_if_all_fail_every_reason_is_told():
    chain = chain_of(Scripted("one", down()), Scripted("two", down("too_many_requests", "busy")))
    assert outcome(chain) == ("unavailable", "one: it is down; two: busy")
    chain = chain_of(Scripted("one", down("too_many_requests", "busy")))
    assert outcome(chain) == ("too_many_requests", "one: busy")


def test_a_back_end_that_hangs_has_its_own_deadline():
    one, two = Scripted("one"), Scripted("two")

    async def main():
        one.gate = asyncio.Event()  # nobody sets it
        chain = chain_of(one, two, timeout_seconds=0.05)
        assert await chain.search(QUERY, key="k") == [HIT]
        assert "no answer in 0.05 s" in chain.states()[0].reason

    asyncio.run(main())


def test_a_bug_is_an_error_of_the_search_and_told_to_the_log(caplog):
    one = Scripted("one", ZeroDivisionError("the private question"))
    code, reason = outcome(chain_of(one))
    assert (code, "ZeroDivisionError" in reason) == ("unavailable", True)
    assert "private" not in reason
    assert "unexpected" in caplog.text
    assert "in search" in caplog.text, "it says where"
    assert "private" not in caplog.text, "the message of a bug may quote what was asked"


def test_who_has_failed_a_moment_ago_is_asked_last():
    clock = Clock()
    one, two = Scripted("one", down()), Scripted("two")
    chain = chain_of(one, two, clock=clock)
    for _ in range(3):
        assert outcome(chain) == [HIT]
    assert (one.asked, two.asked) == (1, 3)
    clock.now = 29.0
    two.script = [down()]
    assert outcome(chain) == [HIT], "better the one that has failed than none"
    assert one.asked == 2
    clock.now = 31.0
    outcome(chain)
    assert (one.asked, two.asked) == (3, 4)


def test_what_is_known_of_each():
    clock = Clock(5.0)
    chain = chain_of(Scripted("one", down(), down()), Scripted("two"), clock=clock)
    assert chain.states() == [BackendState(name="one"), BackendState(name="two")]
    outcome(chain)
    clock.now = 8.0
    assert chain.states() == [
        BackendState(
            name="one", status="failed", reason="it is down", age_seconds=3.0, succeeded=0, failed=1
        ),
        BackendState(name="two", status="ok", age_seconds=3.0, succeeded=1, failed=0),
    ]


def test_the_log_tells_changes_once_and_no_query(caplog):
    caplog.set_level(logging.INFO)
    clock = Clock()
    chain = chain_of(Scripted("one", down(), down(), down(reason="other")), clock=clock)
    for _ in range(5):
        outcome(chain)
    lines = [record.getMessage() for record in caplog.records if record.name.endswith(".search")]
    assert lines == [
        "web search by one failed: it is down",
        "web search by one failed: other",
        "web search by one works again",
    ]


def test_the_same_search_of_a_key_is_not_made_twice():
    clock = Clock()
    one = Scripted("one")
    chain = chain_of(one, clock=clock, cache_seconds=300, per_minute=1)
    assert outcome(chain) == outcome(chain) == [HIT]
    assert one.asked == 1
    assert outcome(chain, key="other") == [HIT], "what was found for another key is not told"
    clock.now = 300.0
    outcome(chain)
    assert one.asked == 3


def test_failures_are_not_kept():
    one = Scripted("one", down())
    chain = chain_of(one, cache_seconds=300)
    assert outcome(chain)[0] == "unavailable"
    assert outcome(chain) == [HIT]


def test_a_key_has_a_limit_per_minute():
    clock = Clock()
    one = Scripted("one")
    chain = chain_of(one, clock=clock, per_minute=2)
    queries = [SearchQuery(text) for text in "abc"]
    assert [outcome(chain, query) for query in queries[:2]] == [[HIT], [HIT]]
    code, reason = outcome(chain, queries[2])
    assert (code, "in 30 s" in reason, one.asked) == ("too_many_requests", True, 2)
    assert outcome(chain, queries[2], key="other") == [HIT]
    clock.now = 30.0
    assert outcome(chain, queries[2]) == [HIT]


def test_searches_at_once_are_shared_by_keys_and_bounded():
    one = Scripted("one")

    async def main():
        one.gate = asyncio.Event()
        chain = chain_of(one, slots=4, waiting=3, timeout_seconds=30)
        greedy = [asyncio.create_task(chain.search(QUERY, key="a")) for _ in range(9)]
        await asyncio.sleep(0)
        other = asyncio.create_task(chain.search(QUERY, key="b"))
        await asyncio.sleep(0)
        assert one.asked == 3, "two of the one, and one of the other at once"
        one.gate.set()
        found = await asyncio.gather(*greedy, other, return_exceptions=True)
        codes = [each.code for each in found if isinstance(each, SearchError)]
        assert codes == ["too_many_requests"] * 4, "two ran, three waited"
        assert await chain.search(QUERY, key="a") == [HIT]

    asyncio.run(main())


def test_who_waits_too_long_for_a_slot_is_told_so():
    one = Scripted("one")

    async def main():
        one.gate = asyncio.Event()
        chain = chain_of(one, slots=2, timeout_seconds=0.05)
        slots = chain._slots
        await slots.take("a")  # as a search that lasts
        with pytest.raises(SearchError) as late:
            await chain.search(QUERY, key="a")
        assert (late.value.code, one.asked) == ("too_many_requests", 0)
        slots.give_back("a")
        one.gate.set()
        assert await chain.search(QUERY, key="a") == [HIT]

    asyncio.run(main())


def test_a_client_that_leaves_gives_its_slot_back():
    one = Scripted("one")

    async def main():
        one.gate = asyncio.Event()
        chain = chain_of(one, slots=2)
        task = asyncio.create_task(chain.search(QUERY, key="a"))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        one.gate.set()
        assert await chain.search(QUERY, key="a") == [HIT]
        assert chain.states()[0].failed == 0

    asyncio.run(main())


def test_close_lets_go_of_all():
    backends = Scripted("one"), Scripted("two")
    asyncio.run(chain_of(*backends).close())
    assert all(each.closed for each in backends)
