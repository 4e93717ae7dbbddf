"""Web search in longer turns: paused, beside tools of the client and tool search, with thinking."""

from __future__ import annotations

import json

import anthropic
import pytest
from pydantic import BaseModel
from sandboxes import MODELS, text
from servers import start_proxy
from web_world import (
    FOUND,
    answers,
    ask,
    fetches,
    history_of,
    said,
    searches,
    shown_to_model,
    web_tools,
)

QUESTION = said("Who jumped, and what is the weather there?")
CALLS = 3  # model calls of one turn
WEATHER = {
    "name": "get_weather",
    "description": "Tells the weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
REGEX = "tool_search_tool_regex"
TOOL_SEARCH = {"type": f"{REGEX}_20251119", "name": REGEX}
PASSAGE = FOUND[:30]
STREAMS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@pytest.fixture(scope="module")
def pausing(web, simulator, tmp_path_factory):
    """A proxy whose turns pause after a few model calls."""
    settings = web.settings(simulator, STANDALONE_MAX_ITERATIONS=str(CALLS))
    with start_proxy(tmp_path_factory.mktemp("proxy"), simulator, **settings) as server:
        yield server
        assert server.stop() == 0, server.logged()


@pytest.fixture
def client(pausing):
    with anthropic.Anthropic(base_url=pausing.url, api_key=pausing.key, max_retries=0) as sdk:
        yield sdk


def kinds(message):
    return [block.type for block in message.content]


def calls_weather(identifier="toolu_weather"):
    return {"type": "tool_use", "id": identifier, "name": "get_weather", "input": {"city": "Nîmes"}}


def results_for(message, words="rain"):
    return {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": block.id, "content": words}
            for block in message.content
            if block.type == "tool_use"
        ],
    }


@STREAMS
@pytest.mark.parametrize("dialect", MODELS)
def test_a_turn_that_pauses_is_continued(client, sim, web, dialect, stream):
    model = MODELS[dialect]
    answers(sim, *([searches(f"fox {n}", f"toolu_{n}")] for n in range(CALLS)))
    message = ask(client, model, QUESTION, stream=stream)
    assert message.stop_reason == "pause_turn"
    assert kinds(message) == ["server_tool_use", "web_search_tool_result"] * CALLS
    assert message.usage.server_tool_use.web_search_requests == CALLS
    assert len(sim.requests()) == CALLS

    sim.reset()
    answers(sim, [fetches(web.page)], [text(web.quotes())])
    more = ask(client, model, QUESTION, history_of(message), stream=stream)
    assert more.stop_reason == "end_turn"
    assert kinds(more)[:2] == ["server_tool_use", "web_fetch_tool_result"]
    assert [each.type for block in more.content[2:] for each in block.citations or ()] == [
        "web_search_result_location",
        "char_location",
    ]
    assert more.usage.server_tool_use.web_search_requests == 0
    first, _ = shown_to_model(sim)
    assert first.count(PASSAGE) == CALLS

    # Both parts are one answer in the turn that follows.
    sim.reset()
    answers(sim, [text("Yes.")])
    whole = {"role": "assistant", "content": [
        *history_of(message)["content"], *history_of(more)["content"]]}  # fmt: skip
    last = ask(client, model, QUESTION, whole, said("Are you sure?"), stream=stream)
    assert kinds(last) == ["text"]
    shown_to_model(sim)


@STREAMS
@pytest.mark.parametrize("dialect", MODELS)
def test_a_tool_of_the_client_beside_a_search(client, sim, web, dialect, stream):
    model, tools = MODELS[dialect], [*web_tools(), WEATHER]
    answers(sim, [text("Both."), searches(), calls_weather()])
    message = ask(client, model, QUESTION, stream=stream, tools=tools)
    assert kinds(message) == ["text", "server_tool_use", "web_search_tool_result", "tool_use"]
    assert message.stop_reason == "tool_use"
    assert message.content[-1].input == {"city": "Nîmes"}
    assert len(sim.requests()) == 1

    sim.reset()
    answers(sim, [fetches(web.page)], [text(web.quotes())])
    history = [QUESTION, history_of(message), results_for(message)]
    more = ask(client, model, *history, stream=stream, tools=tools)
    assert kinds(more)[:2] == ["server_tool_use", "web_fetch_tool_result"]
    assert more.content[3].citations[0].type == "web_search_result_location"
    first, _ = shown_to_model(sim)
    assert PASSAGE in first
    assert '"rain"' in first


@STREAMS
def test_tool_search_that_the_proxy_runs_beside_web_search(client, sim, stream):
    model = MODELS["converse"]
    tools = [TOOL_SEARCH, *web_tools(), WEATHER | {"defer_loading": True}]
    looks = {"type": "tool_use", "id": "toolu_look", "name": REGEX, "input": {"pattern": "weather"}}
    answers(sim, [looks, searches()], [calls_weather()])
    message = ask(client, model, QUESTION, stream=stream, tools=tools)
    assert kinds(message) == [
        "server_tool_use",
        "tool_search_tool_result",
        "server_tool_use",
        "web_search_tool_result",
        "tool_use",
    ]
    assert message.usage.server_tool_use.web_search_requests == 1
    check_the_next_turn(client, sim, model, message, stream=stream, tools=tools)


@STREAMS
@pytest.mark.parametrize("dialect", ["invoke", "messages"])
def test_tool_search_of_the_model_beside_web_search(client, sim, dialect, stream):
    model = MODELS[dialect]
    tools = [TOOL_SEARCH, *web_tools(), WEATHER | {"defer_loading": True}]
    found = {"type": "tool_reference", "tool_name": "get_weather"}
    looked = [
        {"type": "server_tool_use", "name": REGEX, "input": {"pattern": "weather"}},
        {
            "type": "tool_search_tool_result",
            "content": {"type": "tool_search_tool_search_result", "tool_references": [found]},
        },
    ]
    answers(sim, [*looked, searches()], [calls_weather()])
    message = ask(client, model, QUESTION, stream=stream, tools=tools)
    assert kinds(message) == [
        "server_tool_use",
        "tool_search_tool_result",
        "server_tool_use",
        "web_search_tool_result",
        "tool_use",
    ]
    _, second = shown_to_model(sim)
    assert '"tool_search_tool_result"' in second  # the model's own goes back to it as it was
    check_the_next_turn(client, sim, model, message, stream=stream, tools=tools)


def check_the_next_turn(client, sim, model, message, *, stream, tools):
    sim.reset()
    answers(sim, [text("Rain.")])
    history = [QUESTION, history_of(message), results_for(message)]
    last = ask(client, model, *history, stream=stream, tools=tools)
    assert [block.text for block in last.content] == ["Rain."]
    [shown] = shown_to_model(sim)
    assert PASSAGE in shown
    assert '"rain"' in shown


@STREAMS
@pytest.mark.parametrize("dialect", ["invoke", "converse"])
def test_web_search_is_itself_found_by_tool_search(client, sim, dialect, stream):
    """A deferred one, which the model sees no definition of before."""
    search, fetch = web_tools()
    tools = [TOOL_SEARCH, search | {"defer_loading": True}, fetch]
    if dialect == "invoke":
        found = {"type": "tool_reference", "tool_name": "web_search"}
        looks = [
            {"type": "server_tool_use", "name": REGEX, "input": {"pattern": "web"}},
            {
                "type": "tool_search_tool_result",
                "content": {"type": "tool_search_tool_search_result", "tool_references": [found]},
            },
        ]
        answers(sim, [*looks, searches()], [text("So.")])
    else:
        looks = {"type": "tool_use", "id": "t", "name": REGEX, "input": {"pattern": "web"}}
        answers(sim, [looks], [searches()], [text("So.")])
    message = ask(client, MODELS[dialect], QUESTION, stream=stream, tools=tools)
    assert kinds(message) == [
        "server_tool_use",
        "tool_search_tool_result",
        "server_tool_use",
        "web_search_tool_result",
        "text",
    ]
    [reference] = message.content[1].content.tool_references
    assert reference.tool_name == "web_search"
    assert PASSAGE in shown_to_model(sim)[-1]


class Told(BaseModel):
    """What the model is to answer with."""

    reward: str


@pytest.mark.parametrize("quote", ['"', "'", ""])
@pytest.mark.parametrize("dialect", ["invoke", "messages", "claude-converse", "converse"])
def test_json_of_a_schema_stays_whole(client, sim, web, dialect, quote):
    """A marker would make several blocks of it, each of which the SDK takes for a document."""
    index = web.found_index("reward")
    marked = f"There <cited index={quote}{index}{quote}>is one</cited>."
    body = {
        "model": MODELS[dialect],
        "max_tokens": 500,
        "tools": web_tools(),
        "messages": [QUESTION],
        "output_format": Told,
    }
    answers(sim, [searches()], [text(json.dumps({"reward": marked}))])
    message = client.messages.parse(**body)
    assert message.parsed_output == Told(reward="There is one.")
    answers(sim, [searches()], [text(json.dumps({"reward": marked}))])
    with client.messages.stream(**body) as stream:
        streamed = stream.get_final_message()
    assert streamed.parsed_output == message.parsed_output
    assert kinds(streamed) == ["server_tool_use", "web_search_tool_result", "text"]
    assert not streamed.content[-1].citations


@STREAMS
@pytest.mark.parametrize("dialect", ["invoke", "messages", "mantle", "claude-converse"])
def test_signed_thinking_before_a_search_survives(client, sim, web, dialect, stream):
    model = MODELS[dialect]
    old = dialect == "mantle"
    kind = {"type": "enabled", "budget_tokens": 1024} if old else {"type": "adaptive"}
    thoughts = ["I had better look.", "The page says more."]
    first, second = ({"type": "thinking", "thinking": words} for words in thoughts)
    answers(sim, [first, searches()], [second, fetches(web.page)], [text(web.quotes())])
    message = ask(client, model, QUESTION, stream=stream, thinking=kind)
    assert kinds(message)[:6] == [
        "thinking",
        "server_tool_use",
        "web_search_tool_result",
        "thinking",
        "server_tool_use",
        "web_fetch_tool_result",
    ]
    thinking = [block for block in message.content if block.type == "thinking"]
    signatures = [block.signature for block in thinking]
    assert [block.thinking for block in thinking] == thoughts
    assert len({*signatures, ""}) == 3
    third = shown_to_model(sim)[2]
    for signature in signatures:
        assert signature in third  # and the simulator has compared it with the thought

    sim.reset()
    answers(sim, [text("Yes.")])
    history = [QUESTION, history_of(message), said("Are you sure?")]
    last = ask(client, model, *history, stream=stream, thinking=kind)
    assert last.content[0].text == "Yes."
    [shown] = shown_to_model(sim)
    for signature, words in zip(signatures, thoughts, strict=True):
        assert signature in shown
        assert words in shown
    assert PASSAGE in shown
