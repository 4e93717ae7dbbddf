"""Histories with web searches at other processes, other proxies, and with other keys."""

from __future__ import annotations

import asyncio

import anthropic
import pytest
from sandboxes import MODELS, descendants, text
from servers import wait_for
from web_world import (
    FOUND,
    answers,
    fetches,
    history_of,
    said,
    searches,
    shown_to_model,
    web_tools,
)

QUESTION = said("Who jumped, and where is it now?")
ROUNDS = 16  # conversations at once, so that both workers of a proxy have some


async def ask(server, key, *messages, stream=False):
    """The answer; on a connection of its own, which any worker may get."""
    body = {"model": MODELS["invoke"], "max_tokens": 500, "tools": web_tools()}
    async with anthropic.AsyncAnthropic(base_url=server.url, api_key=key, max_retries=0) as client:
        if not stream:
            return await client.messages.create(messages=messages, **body)
        async with client.messages.stream(messages=messages, **body) as events:
            return await events.get_final_message()


def conversation(sim, server, web):
    """The messages of a conversation that has searched and fetched, up to the next question."""
    answers(sim, [searches()], [fetches(web.page)], [text(web.quotes())])
    message = asyncio.run(ask(server, server.key, QUESTION, stream=True))
    sim.reset()
    return [QUESTION, history_of(message), said("And now?")]


def test_proxies_with_one_store_read_what_each_other_has_sealed(
    start, simulator, sim, web, tmp_path
):
    shared = {
        **web.settings(simulator),
        "WORKERS": "2",
        "STORE_URL": f"sqlite:///{tmp_path}/shared.db",
    }
    one = start(**shared)
    other = start(make_key=False, **shared)
    for server in (one, other):
        wait_for(lambda pid=server.process.pid: len(descendants(pid)) == 2, "two workers")
    history = conversation(sim, one, web)

    async def both():
        return await asyncio.gather(
            *(
                ask(server, one.key, *history, stream=bool(number % 2))
                for number in range(ROUNDS)
                for server in (one, other)
            )
        )

    sim.script([{"times": "forever", "reply": {"content": [text(web.quotes(" again"))]}}])
    told = asyncio.run(both())
    for message in told:
        assert message.content[0].text == "Look again: "
        kinds = [each.type for block in message.content for each in block.citations or ()]
        assert kinds == ["web_search_result_location", "char_location"]
    assert all(FOUND[:30] in shown for shown in shown_to_model(sim))
    # What the other one has sealed, in its turn, is read by the first.
    sim.reset()
    answers(sim, [text("Yes.")])
    history += [history_of(told[1]), said("Really?")]
    assert asyncio.run(ask(one, one.key, *history)).content[0].text == "Yes."


def refused(server, key, history):
    with pytest.raises(anthropic.BadRequestError) as caught:
        asyncio.run(ask(server, key, *history))
    return caught.value.body["error"]["message"]


def test_what_another_proxy_or_key_has_sealed_is_refused_with_its_path(start, simulator, sim, web):
    one, stranger = start(**web.settings(simulator)), start(**web.settings(simulator))
    history = conversation(sim, one, web)
    at = "messages.1.content.1.content.0.encrypted_content: "
    mend = "; remove this search and its result from the history, or begin a new conversation"
    assert refused(stranger, stranger.key, history) == f"{at}its key is no longer known{mend}"
    _, second = one.create_key("second")
    assert refused(one, second, history) == (
        f"{at}it was not made by this proxy for this API key, or was changed{mend}"
    )
    # Also where the search is left out, and only what was cited of it is sent.
    cited = [block for block in history[1]["content"] if block["type"] == "text"]
    history[1] = {"role": "assistant", "content": cited}
    assert refused(one, second, history).startswith(
        "messages.1.content.1.citations.0.encrypted_index: "
    )
    assert sim.requests() == []


def test_a_key_of_seals_is_replaced_while_histories_live(start, simulator, sim, web, tmp_path):
    old, new = "o" * 32, "n" * 32
    settings = {
        **web.settings(simulator),
        "STORE_URL": f"sqlite:///{tmp_path}/shared.db",
        "WEB_SEAL_KEYS": old,
    }
    before = start(**settings)
    history = conversation(sim, before, web)
    between = start(make_key=False, **settings | {"WEB_SEAL_KEYS": f"{new},{old}"})
    answers(sim, [searches("fox again")], [text(web.quotes(" again"))])
    message = asyncio.run(ask(between, before.key, *history))
    assert message.content[-2].citations[0].type == "char_location"
    after = start(make_key=False, **settings | {"WEB_SEAL_KEYS": new})
    assert "its key is no longer known" in refused(after, before.key, history)
    answers(sim, [text("Yes.")])
    asked = [QUESTION, history_of(message), said("Really?")]
    assert asyncio.run(ask(after, before.key, *asked)).content[0].text == "Yes."
