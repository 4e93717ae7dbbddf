"""Tool search that the proxy runs for models of other makers: the SDK, the simulator's Converse."""

from __future__ import annotations

import anthropic
import pytest

MODEL = "qwen.qwen3-32b-v1:0"
SEARCH = {"type": "tool_search_tool_bm25_20251119", "name": "tool_search_tool_bm25"}


def tool(name, description, *, deferred=True):
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    late = {"defer_loading": True} if deferred else {}
    return {"name": name, "description": description, "input_schema": schema, **late}


TOOLS = [
    SEARCH,
    tool("add", "Adds two numbers", deferred=False),
    tool("get_weather", "Tells the weather of a city"),
    tool("send_mail", "Sends an e-mail"),
]
ASK = {
    "model": MODEL,
    "max_tokens": 500,
    "tools": TOOLS,
    "messages": [{"role": "user", "content": "What is the weather in Oslo?"}],
}


@pytest.fixture
def client(proxy):
    with anthropic.Anthropic(base_url=proxy.url, api_key=proxy.key, max_retries=0) as sdk:
        yield sdk


def script(sim):
    """The model searches; with the tool in sight it calls it; with the result it answers."""
    call = {"type": "tool_use", "id": "toolu_weather", "name": "get_weather",
            "input": {"city": "Oslo"}}  # fmt: skip
    search = {"type": "tool_use", "id": "call_1", "name": "tool_search_tool_bm25",
              "input": {"query": "weather in a city", "limit": 1}}  # fmt: skip
    steps = [
        ('"toolu_weather"', {"type": "text", "text": "It rains."}),
        ("Tells the weather", call),
        ("tool_search_tool_bm25", search),
    ]
    sim.script([{"match": {"body": body}, "reply": {"content": [block]}} for body, block in steps])


def ask(client, *, stream, **changes):
    if not stream:
        return client.messages.create(**{**ASK, **changes})
    with client.messages.stream(**{**ASK, **changes}) as answer:
        return answer.get_final_message()


def offered(request):
    return {entry["toolSpec"]["name"] for entry in request["body"]["toolConfig"]["tools"]}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_the_proxy_searches_and_the_model_calls_what_was_found(client, sim, stream):
    script(sim)
    message = ask(client, stream=stream)
    kinds = [block.type for block in message.content]
    assert kinds == ["server_tool_use", "tool_search_tool_result", "tool_use"]
    search, found, call = message.content
    assert search.id.startswith("srvtoolu_")
    assert found.tool_use_id == search.id
    assert [ref.tool_name for ref in found.content.tool_references] == ["get_weather"]
    assert (call.name, call.input) == ("get_weather", {"city": "Oslo"})
    assert message.stop_reason == "tool_use"
    first, second = sim.requests()
    assert offered(first) == {"tool_search_tool_bm25", "add"}
    assert offered(second) == {"tool_search_tool_bm25", "add", "get_weather"}
    billed = sim.stats()["billed"]["finished"]
    assert message.usage.input_tokens == billed["input_tokens"]
    assert message.usage.output_tokens == billed["output_tokens"]

    history = [
        *ASK["messages"],
        {"role": "assistant", "content": [block.to_dict() for block in message.content]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": call.id, "content": "rain"}]},
    ]  # fmt: skip
    last = ask(client, stream=stream, messages=history)
    assert [block.text for block in last.content] == ["It rains."]
    assert offered(sim.requests()[-1]) == offered(second)
    assert {request["status"] for request in sim.requests()} == {200}


def test_a_turn_is_one_row_of_usage(start, sim):
    proxy = start()
    script(sim)
    with anthropic.Anthropic(base_url=proxy.url, api_key=proxy.key) as client:
        message = ask(client, stream=True)
    assert len(sim.requests()) == 2
    proxy.stop()
    total = proxy.command("usage")["total"]
    assert total["requests"] == 1
    assert total["input_tokens"] == message.usage.input_tokens


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_turn_that_breaks_after_its_first_call(client, sim, stream):
    search = {"type": "tool_use", "id": "call_1", "name": "tool_search_tool_bm25",
              "input": {"query": "weather"}}  # fmt: skip
    refusal = {"type": "AccessDeniedException", "message": "Not for you"}
    sim.script([{"reply": {"content": [search]}}, {"error": refusal}])
    with pytest.raises(anthropic.APIStatusError, match="Not for you") as caught:
        ask(client, stream=stream)
    assert caught.value.body["error"]["type"] == "permission_error"


def test_counting_a_request_with_deferred_tools(client):
    counted = client.messages.count_tokens(model=MODEL, tools=TOOLS, messages=ASK["messages"])
    assert counted.input_tokens > 10
