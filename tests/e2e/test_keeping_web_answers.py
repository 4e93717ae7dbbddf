"""Answers with searches and pages, as clients keep them and send them back."""

from __future__ import annotations

from itertools import pairwise

import anthropic
import pytest
from sandboxes import MODELS, text
from web_world import (
    QUESTION,
    answers,
    ask,
    check_citations,
    fetches,
    history_of,
    said,
    script_the_conversation,
    searches,
    shown_to_model,
    web_tools,
)

STREAMS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
WEATHER = {"name": "get_weather", "input_schema": {"type": "object"}}
# How programs append an answer to their history.
FORMS = {
    "objects": lambda message: message.content,
    "with nulls": lambda message: message.model_dump()["content"],
    "as JSON": lambda message: message.model_dump(mode="json", exclude_none=True)["content"],
}


@pytest.fixture
def client(searching):
    with anthropic.Anthropic(base_url=searching.url, api_key=searching.key, max_retries=0) as sdk:
        yield sdk


def answered(client, sim, web, model, *, stream=True):
    """The answer to the question; the simulator has forgotten it."""
    script_the_conversation(sim, web)
    message = ask(client, model, QUESTION, stream=stream)
    sim.reset()
    answers(sim, [text(web.quotes(" again"))])
    return message


@STREAMS
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dialect", MODELS)
def test_in_whatever_form_the_sdk_gives_them(client, sim, web, dialect, form, stream):
    model = MODELS[dialect]
    message = answered(client, sim, web, model, stream=stream)
    kept = {"role": "assistant", "content": FORMS[form](message)}
    more = ask(client, model, QUESTION, kept, said("Are you sure?"), stream=stream)
    check_citations(more.content)
    shown_to_model(sim)


@pytest.mark.parametrize("tools", [[], [WEATHER]], ids=["none", "another"])
@pytest.mark.parametrize("dialect", MODELS)
def test_without_the_tools_that_they_are_of(client, sim, web, dialect, tools):
    model = MODELS[dialect]
    message = answered(client, sim, web, model)
    body = {"model": model, "max_tokens": 500} | ({"tools": tools} if tools else {})
    history = [QUESTION, history_of(message), said("Are you sure?")]
    check_citations(client.messages.create(messages=history, **body).content)
    [shown] = shown_to_model(sim)
    assert "offered a reward" in shown
    assert "quick brown fox" in shown


def test_by_one_model_after_the_other(client, sim, web):
    first, *others = MODELS.values()
    history = [QUESTION, history_of(answered(client, sim, web, first))]
    for model in (*others, first):
        sim.reset()
        answers(sim, [text(web.quotes(" again"))])
        history.append(said("Are you sure?"))
        message = ask(client, model, *history, stream=True)
        check_citations(message.content)
        shown_to_model(sim)
        history.append(history_of(message))


@pytest.mark.parametrize("dialect", MODELS)
def test_what_the_model_was_sent_is_the_beginning_of_what_it_is_sent_next(
    client, sim, web, dialect
):
    """Within a turn and from one to the next: else nothing of it comes from Bedrock's cache."""
    model = MODELS[dialect]
    script_the_conversation(sim, web)
    history = [QUESTION]
    for _ in range(3):
        message = ask(client, model, *history, stream=True)
        history += [history_of(message), said("Are you sure?")]
        answers(sim, [text(web.quotes(" again"))])
    bodies = [entry["body"] for entry in sim.requests()]
    assert len(bodies) == 5
    for before, after in pairwise(bodies):
        assert after["messages"][: len(before["messages"])] == before["messages"]
        assert len(after["messages"]) > len(before["messages"])
        for field in ("tools", "toolConfig", "system"):
            assert after.get(field) == before.get(field)


@STREAMS
@pytest.mark.parametrize("dialect", ["invoke", "messages", "mantle"])
def test_beside_citations_of_a_document_by_the_model_itself(client, sim, web, dialect, stream):
    """Not on Converse: the simulator's has no citations in its answers."""
    model = MODELS[dialect]
    source = {"type": "text", "media_type": "text/plain", "data": "Foxes sleep."}
    mine = {"type": "document", "source": source, "citations": {"enabled": True}}
    place = {"document_index": 0, "start_char_index": 0, "end_char_index": 12}
    own = {"type": "char_location", "cited_text": "Foxes sleep.", "document_title": None} | place
    asked = {"role": "user", "content": [mine, text(f"Compare it with {web.page}.")]}
    told = text("As you say") | {"citations": [own]}
    answers(sim, [fetches(web.page)], [told, text(web.quotes())])
    message = ask(client, model, asked, stream=stream)
    citations = [each for block in message.content for each in getattr(block, "citations", 0) or ()]
    assert [(each.document_index, each.cited_text[:12]) for each in citations] == [
        (0, "Foxes sleep."),
        (1, "It was seen "),
    ]
    # Each goes back as it came: the model's own as citation, the other one as a marker.
    sim.reset()
    answers(sim, [text("Yes.")])
    ask(client, model, asked, history_of(message), said("Are you sure?"), stream=stream)
    [shown] = shown_to_model(sim)
    assert shown.count("Foxes sleep.") == 2
    assert ">it sleeps in Arles<" in shown


@STREAMS
@pytest.mark.parametrize("dialect", MODELS)
def test_by_the_tool_runner_of_the_sdk(client, sim, web, dialect, stream):
    calls = {"type": "tool_use", "id": "toolu_w", "name": "get_weather", "input": {"city": "Arles"}}
    answers(sim, [searches()], [fetches(web.page)], [calls], [text(web.quotes())])

    @anthropic.beta_tool
    def get_weather(city: str) -> str:
        """The weather of a city."""
        return f"rain in {city}"

    runner = client.beta.messages.tool_runner(
        model=MODELS[dialect],
        max_tokens=500,
        tools=[*web_tools(), get_weather],
        messages=[QUESTION],
        stream=stream,
    )
    steps = [events.get_final_message() for events in runner] if stream else list(runner)
    assert [step.stop_reason for step in steps] == ["tool_use", "end_turn"]
    check_citations(steps[-1].content)
    assert "rain in Arles" in shown_to_model(sim)[-1]


@pytest.mark.parametrize("kind", ["any", "tool"])
@pytest.mark.parametrize("dialect", ["invoke", "mantle", "claude-converse", "nova"])
def test_a_search_that_is_forced_is_forced_once(client, sim, dialect, kind):
    """Else the model could never answer. Models of the other dialects cannot be forced."""
    choice = {"type": kind} | ({"name": "web_search"} if kind == "tool" else {})
    on_converse = {"tool": {"name": "web_search"}} if kind == "tool" else {"any": {}}
    answers(sim, [searches()], [text("So.")])
    message = ask(client, MODELS[dialect], QUESTION, stream=True, tool_choice=choice)
    assert message.content[-1].text == "So."
    first, second = (entry["body"] for entry in sim.requests())
    if "toolConfig" in first:
        assert first["toolConfig"]["toolChoice"] == on_converse
        assert second["toolConfig"].get("toolChoice") in (None, {"auto": {}})
    else:
        assert first["tool_choice"] == choice
        assert second["tool_choice"] == {"type": "auto"}
