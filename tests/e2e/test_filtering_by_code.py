"""Web tools that code calls, with the official SDK and a real sandbox: dynamic filtering."""

from __future__ import annotations

import anthropic
import pytest
from sandboxes import MODELS, RunningSandboxd, Talk, code, function, text
from servers import start_proxy
from web_world import (
    FILTER,
    FOUND,
    OTHER,
    PAGE,
    answers,
    fetches,
    history_of,
    said,
    searches,
    shown_to_model,
    web_tools,
    without_chance,
)

VERSIONS = [("web_search_20260209", "web_fetch_20260209"),
            ("web_search_20260318", "web_fetch_20260318")]  # fmt: skip
MIXED = """
import asyncio, json
found, weather = await asyncio.gather(
    web_search({"query": "fox"}), get_weather({"city": "Arles"}))
page = json.loads(await web_fetch({"url": json.loads(found)[0]["url"]}))
print(page["title"], weather, await get_weather({"city": "Oslo"}))
"""
NESTED = [
    ("server_tool_use", "code_execution"),
    ("server_tool_use", "web_search"),
    ("web_search_tool_result", None),
    ("server_tool_use", "web_fetch"),
    ("web_fetch_tool_result", None),
    ("code_execution_tool_result", None),
]
PRINTED = FOUND[FOUND.index("Its owner") :]
ASLEEP = PAGE[PAGE.index("It was seen") :]


@pytest.fixture(scope="module", params=["sandlock", "docker"])
def executor(request, tmp_path_factory):
    with RunningSandboxd(tmp_path_factory.mktemp("executor"), request.param) as server:
        yield server
        assert server.stop() == 0, server.logged()


@pytest.fixture(scope="module")
def filtering(executor, web, simulator, tmp_path_factory):
    """A proxy with sandboxes and the web."""
    settings = {**executor.settings, **web.settings(simulator)}
    with start_proxy(tmp_path_factory.mktemp("proxy"), simulator, **settings) as server:
        yield server
        assert server.stop() == 0, server.logged()


def talk(server, tools, *, dialect="invoke", stream=False):
    return Talk(server.url, server.key, tools, model=MODELS[dialect], stream=stream)


def kinds(message):
    return [(block.type, getattr(block, "name", None)) for block in message.content]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("dialect", MODELS)
@pytest.mark.parametrize("versions", VERSIONS, ids=["20260209", "20260318"])
def test_code_searches_and_fetches_and_what_it_prints_is_cited(
    filtering, sim, web, versions, dialect, stream
):
    answers(sim, [code(FILTER)], [text(web.quotes())])
    one = talk(filtering, web_tools(*versions), dialect=dialect, stream=stream)
    message = one.ask()
    assert kinds(message)[:-5] == NESTED
    cell, call, found, fetch, page, ran, *cited = message.content
    caller = {"type": "code_execution_20260120", "tool_id": cell.id}
    for block in (call, found, fetch, page):
        assert block.caller.to_dict() == caller
    assert found.tool_use_id == call.id != fetch.id == page.tool_use_id
    assert [hit.url for hit in found.content] == [web.page, OTHER]
    assert page.content.content.source.data == PAGE
    assert ran.tool_use_id == cell.id
    assert (ran.content.return_code, ran.content.stderr) == (0, "")
    assert ran.content.stdout == (
        f"{web.found_index('reward')} {PRINTED}\n{web.page_index('Arles')} {ASLEEP}\n"
    )
    [reward], [asleep] = cited[1].citations, cited[3].citations
    assert (reward.cited_text, asleep.cited_text) == (PRINTED, ASLEEP)
    counted = message.usage.server_tool_use.to_dict()
    assert (counted["web_search_requests"], counted["web_fetch_requests"]) == (1, 1)
    assert message.stop_reason == "end_turn"
    offered, shown = shown_to_model(sim)
    for name in ("async def web_search", "async def web_fetch"):
        assert name in offered
    assert PRINTED in shown
    assert FOUND[:30] not in shown  # the code has left it out
    assert "quick brown fox" not in shown

    # The next turn: what was printed is there, and can be cited; what was not is not.
    sim.reset()
    answers(sim, [text(web.quotes(" again"))])
    one.say("Are you sure?")
    message = one.ask()
    [reward], [asleep] = message.content[1].citations, message.content[3].citations
    assert (reward.cited_text, asleep.cited_text) == (PRINTED, ASLEEP)
    [shown] = shown_to_model(sim)
    assert PRINTED in shown
    assert FOUND[:30] not in shown


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("dialect", MODELS)
def test_excluded_pairs_are_not_told_and_count_all_the_same(filtering, sim, web, dialect, stream):
    tools = [
        {**tool, "response_inclusion": "excluded"}
        for tool in web_tools("web_search_20260318", "web_fetch_20260318")
    ]
    answers(sim, [code(FILTER)], [text(web.quotes())])
    one = talk(filtering, tools, dialect=dialect, stream=stream)
    message = one.ask()
    assert kinds(message)[:2] == [NESTED[0], NESTED[-1]]
    assert PRINTED in message.content[1].content.stdout
    assert message.content[3].citations[0].cited_text == PRINTED
    counted = message.usage.server_tool_use
    assert (counted.web_search_requests, counted.web_fetch_requests) == (1, 1)
    # The next turn has what the client kept.
    sim.reset()
    answers(sim, [text("Yes.")])
    one.say("Are you sure?")
    assert one.ask().content[0].text == "Yes."
    [shown] = shown_to_model(sim)
    assert PRINTED in shown


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("dialect", ["invoke", "converse"])
def test_code_calls_tools_of_both_sides_at_once(filtering, sim, web, dialect, stream):
    tools = [
        *web_tools("web_search_20260209", "web_fetch_20260209"),
        function("get_weather", "city"),
    ]
    answers(sim, [code(MIXED)], [text("Done.")])
    one = talk(filtering, tools, dialect=dialect, stream=stream)
    last = one.run({"get_weather": lambda city: f"rain in {city}"})
    assert [step.stop_reason for step in one.steps] == ["tool_use", "tool_use", "end_turn"]
    blocks = [block for step in one.steps for block in step.content]
    calls = [block for block in blocks if block.type == "tool_use"]
    assert [call.input for call in calls] == [{"city": "Arles"}, {"city": "Oslo"}]
    cell = blocks[0]
    nested = [block for block in blocks if getattr(block, "caller", None) and block is not cell]
    assert {block.caller.tool_id for block in nested} == {cell.id}
    expected = [*(kind for kind, _ in NESTED[1:-1]), "tool_use", "tool_use"]
    assert sorted(block.type for block in nested) == sorted(expected)
    result = next(block for block in last.content if block.type == "code_execution_tool_result")
    assert result.content.stdout == "Foxes rain in Arles rain in Oslo\n"
    assert last.content[-1].text == "Done."
    counts = [step.usage.server_tool_use for step in one.steps]
    assert sum(each.web_search_requests for each in counts if each) == 1
    assert sum(each.web_fetch_requests for each in counts if each) == 1
    assert len(sim.requests()) == 2


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_code_that_waits_for_the_client_goes_on_with_excluded_pairs(filtering, sim, web, stream):
    """It may fetch then what it has found before."""
    tools = [
        {**tool, "response_inclusion": "excluded"}
        for tool in web_tools("web_search_20260318", "web_fetch_20260318")
    ]
    answers(sim, [code(MIXED)], [text("Done.")])
    one = talk(filtering, [*tools, function("get_weather", "city")], stream=stream)
    last = one.run({"get_weather": lambda city: f"rain in {city}"})
    first, second, end = (kinds(step) for step in one.steps)
    assert first[:3] == NESTED[:3]
    assert second[:2] == NESTED[3:5]
    assert end == [NESTED[-1], ("text", None)]
    assert last.content[0].content.stdout == "Foxes rain in Arles rain in Oslo\n"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_code_behind_code_that_searches_runs_in_the_same_turn(filtering, sim, stream):
    """And in the same container, whose interpreter goes on with the next turn."""
    tools = web_tools("web_search_20260209", "web_fetch_20260209")
    one = talk(filtering, tools, stream=stream)
    for turn in range(2):
        first = f"kept{turn} = len(await web_search({{'query': 'fox {turn}'}}))"
        answers(
            sim,
            [code(first, "t1"), code(f"print(kept{turn} > 0, kept0 > 0)", "t2")],
            [text("Done.")],
        )
        message = one.ask()
        assert message.stop_reason == "end_turn"
        results = [block for block in message.content if "execution_tool" in block.type]
        assert [each.content.stdout for each in results] == ["", "True True\n"]
        one.say("Again.")


def test_code_that_waits_goes_on_at_another_proxy(filtering, executor, start, simulator, sim, web):
    """Which knows from the history alone what may be fetched and cited."""
    shared = {**executor.settings, **web.settings(simulator), "STORE_URL": filtering.store_url}
    other = start(make_key=False, **shared)
    tools = web_tools("web_search_20260209", "web_fetch_20260209")
    answers(sim, [code(MIXED)], [text(web.quotes())])
    one = talk(filtering, [*tools, function("get_weather", "city")], stream=True)
    one.ask()
    weather = {"get_weather": lambda city: f"rain in {city}"}
    one.use(other.url)
    one.answer(weather)
    one.use(filtering.url)
    last = one.answer(weather)
    assert last.content[0].content.stdout == "Foxes rain in Arles rain in Oslo\n"
    [reward], [asleep] = last.content[2].citations, last.content[4].citations
    assert (reward.cited_text, asleep.cited_text) == (PRINTED, ASLEEP)


def test_streamed_and_whole_answers_are_the_same(filtering, sim, web):
    told = []
    for stream in (False, True):
        sim.reset()
        answers(sim, [code(FILTER)], [text(web.quotes())])
        tools = web_tools("web_search_20260209", "web_fetch_20260209")
        message = talk(filtering, tools, stream=stream).ask().to_dict()
        told.append(without_chance([message["content"], message["stop_reason"]]))
    assert told[0] == told[1]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("dialect", ["invoke", "converse"])
def test_where_no_code_runs_the_model_calls_them_and_a_header_says_so(
    start, executor, simulator, sim, web, dialect, stream
):
    server = start(
        **executor.settings,
        **web.settings(simulator),
        ENABLE_PROGRAMMATIC_TOOL_CALLING="false",
        ENABLE_STANDALONE_CODE_EXECUTION="false",
    )
    answers(sim, [searches()], [fetches(web.page)], [text(web.quotes())])
    body = {
        "model": MODELS[dialect],
        "max_tokens": 500,
        "tools": web_tools("web_search_20260209", "web_fetch_20260209"),
        "messages": [said("Who jumped?")],
    }
    with anthropic.Anthropic(base_url=server.url, api_key=server.key, max_retries=0) as sdk:
        if stream:
            with sdk.messages.stream(**body) as events:
                headers = events.response.headers
                message = events.get_final_message()
        else:
            answer = sdk.messages.with_raw_response.create(**body)
            headers, message = answer.headers, answer.parse()
        warning = headers["x-proxy-warning"]
        for number, name in enumerate(("web_search", "web_fetch")):
            assert f"tools.{number}: code cannot be run for this request" in warning
            assert f"the model calls {name} itself" in warning
        assert [kind for kind, _ in kinds(message)[:4]] == [kind for kind, _ in NESTED[1:-1]]
        assert message.content[5].citations[0].cited_text == PRINTED
        answers(sim, [text("Yes.")])
        body["messages"] += [history_of(message), said("Are you sure?")]
        assert sdk.messages.create(**body).content[0].text == "Yes."
