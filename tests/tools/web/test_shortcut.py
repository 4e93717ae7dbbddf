"""Searches of Claude Code: one model call, and all that was found."""

from __future__ import annotations

import pytest
from turn_support import ASKED, assistant, call, text, user
from web_searches import PYTHON, RUST, Searching, searching, tool

from anthropic_bedrock_proxy.tools.web.search_options import WebSearchOptions

ASKS = "Perform a web search for the query: python 3.14"
PLAIN = {"name": "plain", "input_schema": {"type": "object"}}


@pytest.mark.parametrize("content", [ASKS, [text(ASKS)], [text("a reminder"), text(ASKS)]])
def test_the_second_call_is_spared(content):
    talk = Searching([PYTHON, RUST])
    talk.messages = [{"role": "user", "content": content}]
    message = talk.ask([text("I search."), searching()])
    said, made, found, told = message["content"]
    assert (said, made["type"], found["type"]) == (
        text("I search."),
        "server_tool_use",
        "web_search_tool_result",
    )
    assert message["stop_reason"] == "end_turn"
    assert message["usage"]["server_tool_use"]["web_search_requests"] == 1
    for hit in (PYTHON, RUST):
        assert f"{hit.title} ({hit.url})" in told["text"]
        assert hit.text in told["text"]
    assert "2 days ago" in told["text"]


def test_nothing_found_is_said():
    talk = Searching([])
    talk.messages = [user(text(ASKS))]
    assert talk.ask([searching()])["content"][-1] == text("The search found nothing.")


def test_a_failure_is_left_to_the_model():
    talk = Searching("unavailable", [RUST])
    talk.messages = [user(text(ASKS))]
    message = talk.ask([searching()], [searching("again", "t2")])
    assert message["content"][-1]["text"].startswith("1. Rust")


def test_a_model_that_does_not_search_answers():
    talk = Searching()
    talk.messages = [user(text(ASKS))]
    assert talk.ask([text("No.")])["content"] == [text("No.")]


@pytest.mark.parametrize(
    ("messages", "more"),
    [
        ([ASKED], {}),
        ([user(text(ASKS)), assistant(text("a")), user(text(ASKS))], {}),
        ([user({"type": "image", "source": {}}, text("b"))], {}),
        ([user(text(ASKS))], {"tools": [tool(), PLAIN]}),
        ([user(text(ASKS))], {"search": WebSearchOptions(shortcut=False)}),
    ],
)
def test_all_others_get_their_answer_from_the_model(messages, more):
    talk = Searching([RUST], code=False, **more)
    talk.messages = messages
    assert talk.ask([searching()], [text("b")])["content"][-1] == text("b")


def test_a_call_of_another_tool_is_no_search():
    talk = Searching(tools=[tool()])
    talk.messages = [user(text(ASKS))]
    message = talk.ask([call("other", "t")])
    assert message["stop_reason"] == "tool_use"
