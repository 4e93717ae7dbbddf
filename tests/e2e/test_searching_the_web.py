"""Searching, fetching and citing with the official SDK, through a real proxy, on every dialect."""

from __future__ import annotations

import anthropic
import pytest
from sandboxes import MODELS, text
from web_world import (
    CALL_COST,
    FOUND,
    OTHER,
    PAGE,
    PRICE,
    QUESTION,
    answers,
    ask,
    check_citations,
    history_of,
    said,
    script_the_conversation,
    searches,
    shown_to_model,
    web_tools,
    without_chance,
)

COUNTS = ("input_tokens", "output_tokens", "server_tool_use")
KINDS = [
    "text",
    "server_tool_use",
    "web_search_tool_result",
    "server_tool_use",
    "web_fetch_tool_result",
    *["text"] * 5,
]


@pytest.fixture
def client(searching):
    with sdk_of(searching) as sdk:
        yield sdk


def sdk_of(server, key=None):
    return anthropic.Anthropic(base_url=server.url, api_key=key or server.key, max_retries=0)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("dialect", MODELS)
def test_a_conversation_that_searches_fetches_and_cites(client, sim, web, dialect, stream):
    model = MODELS[dialect]
    script_the_conversation(sim, web)
    message = ask(client, model, QUESTION, stream=stream)
    assert [block.type for block in message.content] == KINDS
    words, call, found, fetch, page, *cited = message.content
    assert words.text == "I search."
    assert call.id.startswith("srvtoolu_")
    assert (call.name, call.input, found.tool_use_id) == ("web_search", {"query": "fox"}, call.id)
    assert [(hit.url, hit.title) for hit in found.content] == [(web.page, "Foxes"), (OTHER, "Dogs")]
    assert not any("jumped" in hit.encrypted_content for hit in found.content)
    assert (fetch.name, fetch.input) == ("web_fetch", {"url": web.page})
    assert (page.tool_use_id, page.content.url) == (fetch.id, web.page)
    assert page.content.content.source.data == PAGE
    location, _ = check_citations(cited)
    assert location.url == web.page
    assert message.stop_reason == "end_turn"
    counted = message.usage.server_tool_use
    assert (counted.web_search_requests, counted.web_fetch_requests) == (1, 1)
    assert (message.usage.input_tokens, message.usage.output_tokens) == (3000, 300)
    first, second, third = shown_to_model(sim)
    assert FOUND[:30] not in first
    assert FOUND[:30] in second
    assert "quick brown fox" in third
    assert sim.queued() == []

    # The next turn: the model sees the passages and its own markers, and cites them again.
    sim.reset()
    answers(sim, [text(web.quotes(" again"))])
    history = [QUESTION, history_of(message), said("Are you sure?")]
    message = ask(client, model, *history, stream=stream)
    assert message.content[0].text == "Look again: "
    again, _ = check_citations(message.content)
    assert again.url == web.page
    assert message.usage.server_tool_use is None or not (
        message.usage.server_tool_use.web_search_requests
    )
    [shown] = shown_to_model(sim)
    for words in (FOUND[:30], "offered a reward", "quick brown fox", "asleep under the bridge"):
        assert words in shown
    for index, words in (
        (web.found_index("reward"), "there is a reward"),
        (web.page_index("Arles"), "it sleeps in Arles"),
    ):
        assert f'index=\\"{index}\\">{words}' in shown
        assert f"[{index}]" in shown
    assert "encrypted" not in shown


@pytest.mark.parametrize("dialect", MODELS)
def test_streamed_and_whole_answers_are_the_same(client, sim, web, dialect):
    told = []
    for stream in (False, True):
        sim.reset()
        script_the_conversation(sim, web)
        message = ask(client, MODELS[dialect], QUESTION, stream=stream).to_dict()
        # Of the rest of usage the accumulator keeps what Converse tells at the beginning: nothing.
        counts = [message["usage"][name] for name in COUNTS]
        told.append(without_chance([message["content"], message["stop_reason"], counts]))
    whole, streamed = told
    assert streamed == whole


def test_events_of_citations_come_behind_the_text_that_they_support(client, sim, web):
    script_the_conversation(sim, web)
    body = {"model": MODELS["invoke"], "max_tokens": 500, "tools": web_tools()}
    with client.messages.stream(messages=[QUESTION], **body) as stream:
        deltas = [event.delta for event in stream if event.type == "content_block_delta"]
    kinds = [delta.type for delta in deltas]
    assert kinds.count("citations_delta") == 2
    for place in (at for at, kind in enumerate(kinds) if kind == "citations_delta"):
        assert kinds[place - 1] == "text_delta"
    texts = "".join(delta.text for delta in deltas if delta.type == "text_delta")
    assert texts == "I search.Look: there is a reward, and it sleeps in Arles."


@pytest.mark.parametrize("dialect", MODELS)
def test_tokens_of_such_a_history_are_counted(client, sim, web, dialect):
    model = MODELS[dialect]
    script_the_conversation(sim, web)
    message = ask(client, model, QUESTION, stream=True)
    history = [QUESTION, history_of(message), said("Are you sure?")]
    sim.reset()
    web.search.asked.clear()
    tools = web_tools()
    long = client.messages.count_tokens(model=model, tools=tools, messages=history)
    short = client.messages.count_tokens(model=model, tools=tools, messages=[QUESTION])
    read = (len(FOUND) + len(PAGE)) // 8  # at least: a token has about four characters
    assert long.input_tokens > short.input_tokens + read
    assert web.search.asked == []


@pytest.mark.parametrize("code", ["unavailable", "max_uses_exceeded"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_failed_search_is_told_and_not_counted(start, simulator, sim, web, code, stream):
    server = start(**web.settings(simulator))
    answers(sim, [searches()], [searches("fox again", "toolu_2")], [text("I do not know.")])
    if code == "unavailable":
        web.search.replies += [(500, {})] * 2
    tools = web_tools(max_uses=1) if code == "max_uses_exceeded" else None
    with sdk_of(server) as sdk:
        message = ask(sdk, MODELS["converse"], QUESTION, stream=stream, tools=tools)
    assert message.content[3].content.error_code == code
    assert message.content[-1].text == "I do not know."
    done = message.usage.server_tool_use.web_search_requests
    assert done == (1 if code == "max_uses_exceeded" else 0)
    assert web.search.replies == []


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_search_is_paid_for(start, simulator, sim, web, stream):
    server = start(**web.settings(simulator))
    script_the_conversation(sim, web)
    with sdk_of(server) as sdk:
        ask(sdk, MODELS["invoke"], QUESTION, stream=stream)
    server.stop()
    total = server.command("usage")["total"]
    assert total["requests"] == 1
    assert float(total["cost_usd"]) == pytest.approx(3 * CALL_COST + PRICE)
