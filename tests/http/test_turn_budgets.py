"""What turns of several model calls hold, cost and record (BUDGET_HOLDS and without)."""

from __future__ import annotations

import asyncio
import time

import msgspec
import pytest
from fake_sandbox import FakeSandbox, waiting
from http_client import Client
from streams import chunk_frame, encode
from web_searches import NEW, RUST, ScriptedSearcher, tool

from anthropic_bedrock_proxy.aws_errors import UpstreamRefusal
from anthropic_bedrock_proxy.protocol.answer.events import explode
from anthropic_bedrock_proxy.protocol.request.messages import parse_request
from anthropic_bedrock_proxy.store.base.catalog import PriceRecord
from anthropic_bedrock_proxy.tools.code_execution.options import CodeExecutionOptions
from anthropic_bedrock_proxy.tools.kinds import code_execution, web_search
from anthropic_bedrock_proxy.tools.toolset import Toolset
from anthropic_bedrock_proxy.tools.web.seal import Seals
from anthropic_bedrock_proxy.tools.web.search_options import WebSearchOptions

MODEL = "claude-opus-4-1"  # it does not search by itself
SEARCH = "tool_search_tool_regex"
BODY = {
    "model": MODEL,
    "max_tokens": 1000,
    "messages": [{"role": "user", "content": "What is the weather?"}],
    "tools": [
        {"type": f"{SEARCH}_20251119", "name": SEARCH},
        {"name": "get_weather", "input_schema": {"type": "object"}, "defer_loading": True},
        {"name": "run", "input_schema": {"type": "object"}},
    ],
}
DOLLAR = 10**9
PRICE = PriceRecord(model=MODEL, updated_at=0, input_nano=15 * DOLLAR, output_nano=75 * DOLLAR)


def call_of_the_model(*content, output_tokens=1000):
    searches = any(block["type"] == "tool_use" for block in content)
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": list(content),
        "stop_reason": "tool_use" if searches else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 700, "output_tokens": output_tokens},
    }
    return [chunk_frame(data) for _, data in explode(message)]


SEARCHING = {"type": "tool_use", "id": "toolu_1", "name": SEARCH, "input": {"pattern": "weather"}}
ANSWER = {"type": "text", "text": "Sunny."}


def ask(proxy, secret, *, stream, body=BODY):
    client = Client(proxy.app, headers={"x-api-key": secret}, body=body | {"stream": stream})
    return asyncio.run(client.send())


@pytest.fixture
def priced(make_proxy):
    def make():
        proxy = make_proxy(holds=True)
        proxy.pricing.replace_stored([PRICE])
        return proxy

    return make


def most(proxy):
    """What one call may cost."""
    request = parse_request(encode(BODY | {"stream": False}), "2023-06-01")
    return proxy.pricing.most(proxy.registry.route(MODEL).targets[0], request)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_each_call_of_a_turn_is_held_for(priced, stream):
    proxy = priced()
    secret = proxy.add_key(total_budget_nano=most(proxy) * 3 // 2)  # for one call, not for two
    proxy.upstream.script += [call_of_the_model(SEARCHING), call_of_the_model(ANSWER)]
    answer = ask(proxy, secret, stream=stream)
    assert len(proxy.upstream.calls) == 1, "the second was not admitted"
    if stream:
        (error,) = [data for name, data in answer.events if name == b"error"]
        assert msgspec.json.decode(error)["error"]["details"] == {"error_code": "budget_exceeded"}
    else:
        assert answer.status == 403
    (record,) = proxy.records
    assert (record.error, record.output_tokens) == ("permission_error", 1000)
    assert 0 < record.cost_nano <= most(proxy)
    (slice_,) = proxy.budgets.slices.values()
    assert (slice_.running, slice_.held) == (0, 0)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_turn_with_enough_left_goes_on(priced, stream):
    proxy = priced()
    secret = proxy.add_key(total_budget_nano=1000 * DOLLAR)
    proxy.upstream.script += [call_of_the_model(SEARCHING), call_of_the_model(ANSWER)]
    assert ask(proxy, secret, stream=stream).status == 200
    (record,) = proxy.records
    assert (record.error, record.input_tokens, record.output_tokens) == (None, 1400, 2000)
    (slice_,) = proxy.budgets.slices.values()
    assert (slice_.running, slice_.held) == (0, 0)


def test_a_request_that_no_model_was_sent_is_not_recorded(proxy):
    bad = {"role": "user", "content": [{"type": "mcp_tool_use", "id": "x"}]}
    refused = ask(proxy, proxy.add_key(), stream=False, body=BODY | {"messages": [bad]})
    assert refused.status == 400
    assert not proxy.upstream.calls
    assert not proxy.records


def test_a_refused_call_of_a_turn_is_recorded(priced):
    proxy = priced()
    proxy.upstream.script += [UpstreamRefusal("ThrottlingException", "slow down", status=429)]
    assert ask(proxy, proxy.add_key(), stream=False).status == 429
    (record,) = proxy.records
    assert (record.error, record.cost_nano) == ("rate_limit_error", 0)


# Searches that no answer of a model tells of


def searching_toolset(*outcomes, cells=(), searcher=None):
    async def load():
        return Seals([b"k" * 32], time.time, 30)

    sandbox = FakeSandbox(*cells)
    return Toolset(
        [
            code_execution(lambda: sandbox, CodeExecutionOptions(), asyncio.Lock),
            web_search(searcher or ScriptedSearcher(*outcomes), load, WebSearchOptions()),
        ]
    )


def with_open_search(*more, **fields):
    """A history whose last answer has a search without a result."""
    search = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search"}
    answer = {"role": "assistant", "content": [search | {"input": {"query": "q"}}]}
    return BODY | {"tools": [tool()], "messages": [*BODY["messages"], answer, *more]} | fields


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_searches_are_recorded_if_the_model_refuses_after_them(make_proxy, stream):
    proxy = make_proxy(toolset=searching_toolset([RUST]))
    proxy.upstream.script += [UpstreamRefusal("ValidationException", "no", status=400)]
    answer = ask(proxy, proxy.add_key(), stream=stream, body=with_open_search())
    assert answer.status == 400
    (record,) = proxy.records
    assert (record.web_search_requests, record.error) == (1, "invalid_request_error")


def test_searches_are_recorded_if_no_model_can_be_sent_the_rest(make_proxy):
    proxy = make_proxy(toolset=searching_toolset([RUST]))
    body = with_open_search(system=[{"type": "image", "source": {}}], model="qwen.qwen3-32b-v1:0")
    answer = ask(proxy, proxy.add_key(), stream=False, body=body)
    assert answer.status == 400
    assert not proxy.upstream.calls
    (record,) = proxy.records
    assert (record.web_search_requests, record.error) == (1, "invalid_request_error")


def test_failed_searches_are_no_reason_for_a_record(make_proxy):
    proxy = make_proxy(toolset=searching_toolset("unavailable"))
    body = with_open_search(system=[{"type": "image", "source": {}}], model="qwen.qwen3-32b-v1:0")
    assert ask(proxy, proxy.add_key(), stream=False, body=body).status == 400
    assert not proxy.records


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_searches_of_code_are_recorded_where_no_model_was_called(make_proxy, stream):
    weather = waiting(toolu_1=("get_weather", {}))
    searches = waiting(**{f"toolu_{1:024x}": ("web_search", {"query": "q"})})
    cells = [weather, searches, waiting(toolu_2=("get_weather", {}))]
    proxy = make_proxy(toolset=searching_toolset([RUST], cells=cells))
    secret, caller = proxy.add_key(), "code_execution_20260120"
    client_tool = {"name": "get_weather", "input_schema": {}, "allowed_callers": [caller]}
    tools = [{"type": caller, "name": "code_execution"}, tool(NEW), client_tool]
    python = {"type": "tool_use", "id": "toolu_p", "name": "code_execution"}
    proxy.upstream.script += [call_of_the_model(python | {"input": {"code": "1"}})]
    first = ask(proxy, secret, stream=False, body=BODY | {"tools": tools})
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "Sunny."}
    history = [
        *BODY["messages"],
        {"role": "assistant", "content": msgspec.json.decode(first.body)["content"]},
        {"role": "user", "content": [result]},
    ]
    body = BODY | {"tools": tools, "messages": history}
    assert ask(proxy, secret, stream=stream, body=body).status == 200
    assert len(proxy.upstream.calls) == 1
    one, two = proxy.records
    assert (one.web_search_requests, one.output_tokens) == (0, 1000)
    assert (two.web_search_requests, two.output_tokens, two.error) == (1, 0, None)


class OneHangs(ScriptedSearcher):
    """Finds something once, and then takes for ever."""

    hangs = False

    async def search(self, query, *, key):
        if self.hangs:
            self.asked.append((key, query))
            await asyncio.Event().wait()
        self.hangs = True
        return await super().search(query, key=key)


def test_searches_are_recorded_if_the_client_leaves_before_all_have_ended(make_proxy):
    searcher = OneHangs([RUST])
    proxy = make_proxy(toolset=searching_toolset(searcher=searcher))
    secret, body = proxy.add_key(), with_open_search()
    [search] = body["messages"][-1]["content"]
    body["messages"][-1]["content"] = [search, search | {"id": "srvtoolu_2"}]

    async def main():
        client = Client(proxy.app, headers={"x-api-key": secret}, body=body)
        sending = asyncio.ensure_future(client.send())
        while len(searcher.asked) < 2:
            await asyncio.sleep(0)
        client.leave()
        await sending

    asyncio.run(main())
    assert not proxy.upstream.calls
    (record,) = proxy.records
    assert (record.web_search_requests, record.disconnected) == (1, True)
