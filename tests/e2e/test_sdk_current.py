"""The official Python SDK against the proxy: what it returns, what it raises, what Bedrock got.

Every case runs with the synchronous and the asynchronous client. `test_sdk_old.py` runs this same
file under an old SDK: that one sends `x-api-key` and anthropic-version 2023-06-01, the current one
`Authorization: Bearer` and 2026-10-21, and both have to see the same answers.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from operator import attrgetter
from typing import Any

import anthropic
import pytest
from servers import start_proxy

CURRENT = int(anthropic.__version__.split(".")[0]) >= 2
MODEL = "claude-opus-5-5"
OLDER = "claude-haiku-4-5"  # thinks with a budget, and Bedrock counts its tokens
HELLO = {
    "model": MODEL,
    "max_tokens": 2048,
    "messages": [{"role": "user", "content": "Hello there"}],
}
WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
ANSWER = [
    {"type": "thinking", "thinking": "They want Oslo.", "signature": "c2lnbmF0dXJl"},
    {"type": "text", "text": "Let me look. Ça va? \N{SNOWMAN}"},
    {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Oslo"}},
]
USAGE = {
    "input_tokens": 120,
    "output_tokens": 45,
    "cache_read_input_tokens": 1000,
    "cache_creation_5m_input_tokens": 30,
}


class SyncSDK:
    """One client, driven the way AsyncSDK is."""

    def __init__(self, **options: Any) -> None:
        self._options = {"max_retries": 0, **options}

    def _run(self, work: Callable[[anthropic.Anthropic], Any]) -> Any:
        with anthropic.Anthropic(**self._options) as client:
            return work(client)

    def call(self, method: str, **arguments: Any) -> Any:
        """The result of `client.<method>(**arguments)`."""
        return self._run(lambda client: attrgetter(method)(client)(**arguments))

    def collect(self, method: str, **arguments: Any) -> list[Any]:
        """Everything that iterating over the result yields: all pages, or all events."""
        return self._run(lambda client: list(attrgetter(method)(client)(**arguments)))

    def stream(self, method: str, **arguments: Any) -> tuple[list[str], str, Any]:
        """Event types, the text stream joined, and the accumulated message."""

        def work(client: anthropic.Anthropic) -> tuple[list[str], str, Any]:
            with attrgetter(method)(client)(**arguments) as stream:
                events = list(stream)
            text = "".join(event.text for event in events if event.type == "text")
            return [event.type for event in events], text, stream.get_final_message()

        return self._run(work)


class AsyncSDK:
    """The same with an event loop for each call."""

    def __init__(self, **options: Any) -> None:
        self._options = {"max_retries": 0, **options}

    def _run(self, work: Callable[[anthropic.AsyncAnthropic], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            async with anthropic.AsyncAnthropic(**self._options) as client:
                return await work(client)

        return asyncio.run(main())

    def call(self, method: str, **arguments: Any) -> Any:
        async def work(client: anthropic.AsyncAnthropic) -> Any:
            return await attrgetter(method)(client)(**arguments)

        return self._run(work)

    def collect(self, method: str, **arguments: Any) -> list[Any]:
        async def work(client: anthropic.AsyncAnthropic) -> list[Any]:
            result = attrgetter(method)(client)(**arguments)
            if not hasattr(result, "__aiter__"):
                result = await result
            return [item async for item in result]

        return self._run(work)

    def stream(self, method: str, **arguments: Any) -> tuple[list[str], str, Any]:
        async def work(client: anthropic.AsyncAnthropic) -> tuple[list[str], str, Any]:
            async with attrgetter(method)(client)(**arguments) as stream:
                events = [event async for event in stream]
                final = await stream.get_final_message()
            text = "".join(event.text for event in events if event.type == "text")
            return [event.type for event in events], text, final

        return self._run(work)


@pytest.fixture(params=[SyncSDK, AsyncSDK], ids=["sync", "async"])
def client_class(request):
    return request.param


@pytest.fixture
def sdk(client_class, proxy, sim):
    return client_class(base_url=proxy.url, api_key=proxy.key)


@pytest.fixture(scope="module")
def impatient(simulator, tmp_path_factory):
    """A proxy that gives up after two attempts."""
    folder = tmp_path_factory.mktemp("impatient")
    with start_proxy(folder, simulator, UPSTREAM_MAX_ATTEMPTS="2") as server:
        yield server


@pytest.fixture
def refused(client_class, impatient, sim):
    """Sends one request that is expected to fail; returns the SDK's error."""

    def send(key: str = impatient.key, **fields: Any) -> anthropic.APIStatusError:
        sdk = client_class(base_url=impatient.url, api_key=key)
        with pytest.raises(anthropic.APIStatusError) as caught:
            sdk.call("messages.create", **{**HELLO, **fields})
        error = caught.value
        assert error.request_id.startswith("req_")
        assert error.body["request_id"] == error.request_id
        return error

    return send


def answered(sim, **reply: Any) -> None:
    sim.script([{"reply": {"content": ANSWER, "usage": USAGE, **reply}}])


def as_scripted(content: list[Any]) -> list[dict[str, Any]]:
    """The blocks with the keys that were scripted; the SDK adds its own, such as `citations`."""
    return [
        {key: block.to_dict()[key] for key in scripted}
        for block, scripted in zip(content, ANSWER, strict=True)
    ]


def test_message_is_what_the_model_said(sdk, sim):
    answered(sim)
    message = sdk.call("messages.create", **HELLO, tools=[WEATHER])
    assert as_scripted(message.content) == ANSWER
    assert (message.role, message.type, message.model) == ("assistant", "message", MODEL)
    assert (message.stop_reason, message.stop_sequence) == ("tool_use", None)
    assert message.id.startswith("msg_")
    assert message._request_id.startswith("req_")
    assert message.usage.input_tokens == 120
    assert message.usage.output_tokens == 45
    assert message.usage.cache_read_input_tokens == 1000
    assert message.usage.cache_creation_input_tokens == 30


def test_accumulated_stream_is_what_the_model_said(sdk, sim):
    answered(sim, chunk_chars=3)
    events, text, message = sdk.stream("messages.stream", **HELLO, tools=[WEATHER])
    assert as_scripted(message.content) == ANSWER
    assert text == ANSWER[1]["text"]
    assert message.stop_reason == "tool_use"
    assert (message.model, message.role) == (MODEL, "assistant")
    assert message.usage.input_tokens == 120
    assert message.usage.output_tokens == 45
    assert message.usage.cache_read_input_tokens == 1000
    assert {"thinking", "signature", "text", "input_json"} <= set(events)
    assert (events[0], events[-1]) == ("message_start", "message_stop")


def test_raw_stream_has_the_events_of_the_api(sdk, sim):
    answered(sim)
    events = sdk.collect("messages.create", **HELLO, tools=[WEATHER], stream=True)
    shown = [event.type for event in events]
    blocks = [event for event in events if event.type == "content_block_start"]
    assert [block.index for block in blocks] == [0, 1, 2]
    assert [block.content_block.type for block in blocks] == ["thinking", "text", "tool_use"]
    assert shown.count("content_block_stop") == 3
    assert (shown[0], shown[-2:]) == ("message_start", ["message_delta", "message_stop"])
    assert events[-2].delta.stop_reason == "tool_use"
    assert events[-2].usage.output_tokens == 45
    fragments = [event.delta for event in events if event.type == "content_block_delta"]
    json_text = "".join(delta.partial_json for delta in fragments if hasattr(delta, "partial_json"))
    assert json.loads(json_text) == {"city": "Oslo"}


def test_tool_round_trip(sdk, sim):
    answered(sim)
    sim.script(
        [
            {
                "match": {"body": '"tool_use_id": ?"toolu_1"'},
                "reply": {"content": [{"type": "text", "text": "Snow."}]},
            }
        ]
    )
    first = sdk.call("messages.create", **HELLO, tools=[WEATHER])
    call = first.content[-1]
    history = [
        *HELLO["messages"],
        {"role": "assistant", "content": first.content},  # echoed as the SDK's own objects
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "-3, snow"}],
        },
    ]
    second = sdk.call("messages.create", **{**HELLO, "messages": history}, tools=[WEATHER])
    assert second.content[0].text == "Snow."
    assert second.stop_reason == "end_turn"
    echoed = sim.requests()[-1]["body"]["messages"][1]["content"]
    assert [block["type"] for block in echoed] == ["thinking", "text", "tool_use"]
    assert echoed[0] == ANSWER[0]


@pytest.mark.parametrize("stream", [False, True])
def test_the_tool_runner_goes_on_without_a_thread(proxy, sim, stream):
    """The current one asks for a thread; told that there are none, it sends the whole history."""
    answered(sim)
    snow = {"content": [{"type": "text", "text": "Snow."}]}
    sim.script([{"match": {"body": '"tool_use_id": ?"toolu_1"'}, "reply": snow}])

    @anthropic.beta_tool
    def get_weather(city: str) -> str:
        """The weather of a city."""
        return f"{city}: -3, snow"

    with anthropic.Anthropic(base_url=proxy.url, api_key=proxy.key, max_retries=0) as client:
        runner = client.beta.messages.tool_runner(**HELLO, tools=[get_weather], stream=stream)
        answers = [turn.get_final_message() if stream else turn for turn in runner]
    assert [answer.stop_reason for answer in answers] == ["tool_use", "end_turn"]
    (_, _, given) = sim.requests()[-1]["body"]["messages"]
    assert given["content"][0]["content"] == "Oslo: -3, snow"


@pytest.mark.parametrize(
    ("model", "thinking"),
    [
        (MODEL, {"type": "adaptive", "display": "summarized"}),
        (OLDER, {"type": "enabled", "budget_tokens": 1024}),
    ],
)
def test_thinking(sdk, sim, model, thinking):
    arguments = {**HELLO, "model": model, "thinking": thinking}
    message = sdk.call("messages.create", **arguments)
    _, _, streamed = sdk.stream("messages.stream", **arguments)
    for answer in (message, streamed):
        assert [block.type for block in answer.content] == ["thinking", "text"]
        assert answer.content[0].signature
    assert sim.requests()[-1]["body"]["thinking"] == thinking


def test_every_field_reaches_bedrock(sdk, sim):
    fields = {
        "system": [{"type": "text", "text": "Be terse.", "cache_control": {"type": "ephemeral"}}],
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u1"},
        "tools": [WEATHER],
        "tool_choice": {"type": "tool", "name": "get_weather"},
    }
    message = sdk.call("messages.create", **{**HELLO, "model": "claude-opus-5"}, **fields)
    assert message.content[0].name == "get_weather"
    body = sim.requests()[0]["body"]
    assert {name: body[name] for name in fields} == fields
    assert body["messages"] == HELLO["messages"]
    assert body["max_tokens"] == 2048
    assert body["model"] == "global.anthropic.claude-opus-5"


def test_every_field_reaches_invoke_model(sdk, sim):
    sdk.call("messages.create", **{**HELLO, "model": "claude-opus-4-6"}, metadata={"user_id": "u"})
    (request,) = sim.requests()
    assert request["operation"] == "InvokeModel"
    assert request["body"]["metadata"] == {"user_id": "u"}
    assert {"model", "stream"}.isdisjoint(request["body"])


def test_images_and_documents_reach_bedrock(sdk, sim):
    pixel = (
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5Erk"
        "Jggg=="
    )
    content = [
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": pixel},
        },
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "A fact."},
        },
        {"type": "text", "text": "What is this?"},
    ]
    sdk.call("messages.create", **{**HELLO, "messages": [{"role": "user", "content": content}]})
    assert sim.requests()[0]["body"]["messages"][0]["content"] == content


def test_sampling_follows_the_version_of_the_api(sdk, sim):
    arguments = {**HELLO, "model": OLDER, "extra_body": {"temperature": 0.5}}
    if CURRENT:
        with pytest.raises(anthropic.BadRequestError, match="temperature"):
            sdk.call("messages.create", **arguments)
    else:
        sdk.call("messages.create", **arguments)
        assert sim.requests()[0]["body"]["temperature"] == 0.5


def test_headers_are_those_of_this_sdk(sdk):
    raw = sdk.call("messages.with_raw_response.create", **HELLO)
    sent = raw.http_request.headers
    expected = ("2026-10-21", True) if CURRENT else ("2023-06-01", False)
    assert (sent["anthropic-version"], "authorization" in sent) == expected
    assert raw.headers["request-id"].startswith("req_")
    assert raw.headers["content-type"] == "application/json"


def test_request_id_of_a_stream(proxy, sim):
    with (
        anthropic.Anthropic(base_url=proxy.url, api_key=proxy.key) as client,
        client.messages.stream(**HELLO) as stream,
    ):
        stream.until_done()
        assert stream.request_id.startswith("req_")


def test_beta_namespace(sdk, sim):
    arguments = {
        **HELLO,
        "model": OLDER,
        "betas": ["context-management-2025-06-27", "made-up-2025-01-01"],
        "context_management": {
            "edits": [
                {"type": "clear_tool_uses_20250919", "keep": {"type": "tool_uses", "value": 3}}
            ]
        },
    }
    message = sdk.call("beta.messages.create", **arguments)
    _, _, streamed = sdk.stream("beta.messages.stream", **arguments)
    events = sdk.collect("beta.messages.create", **arguments, stream=True)
    assert message.content[0].text == streamed.content[0].text
    assert events[-1].type == "message_stop"
    for request in sim.requests():
        assert request["body"]["anthropic_beta"] == ["context-management-2025-06-27"]
        assert request["body"]["context_management"] == arguments["context_management"]


@pytest.mark.parametrize("method", ["messages.count_tokens", "beta.messages.count_tokens"])
def test_count_tokens(sdk, sim, method):
    arguments = {"messages": HELLO["messages"], "system": "Be terse.", "tools": [WEATHER]}
    counted = sdk.call(method, model=OLDER, **arguments)
    message = sdk.call("messages.create", **{**HELLO, "model": OLDER}, **_without(arguments))
    assert counted.input_tokens == message.usage.input_tokens
    estimated = sdk.call(method, model=MODEL, **arguments)
    assert estimated.input_tokens > 10
    operations = [request["operation"] for request in sim.requests()]
    assert operations == ["CountTokens", "InvokeModel"]


def _without(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if name != "messages"}


@pytest.mark.parametrize("namespace", ["models", "beta.models"])
def test_models_are_listed_page_by_page(sdk, namespace):
    whole = [model.id for model in sdk.collect(f"{namespace}.list", limit=1000)]
    paged = [model.id for model in sdk.collect(f"{namespace}.list", limit=5)]
    assert paged == whole
    assert len(set(whole)) == len(whole) > 10
    assert MODEL in whole
    first = sdk.call(f"{namespace}.list", limit=5)
    assert (len(first.data), first.has_more) == (5, True)
    assert first.data[-1].id == first.last_id


@pytest.mark.parametrize("namespace", ["models", "beta.models"])
def test_model_by_alias(sdk, namespace):
    model = sdk.call(f"{namespace}.retrieve", model_id="claude-haiku-4-5")
    assert model.id == "claude-haiku-4-5-20251001"
    assert model.display_name == "Claude Haiku 4.5"
    assert model.created_at.year == 2025
    with pytest.raises(anthropic.NotFoundError, match="claude-none"):
        sdk.call(f"{namespace}.retrieve", model_id="claude-none")


def test_wrong_key(refused, sim):
    error = refused(key="sk-wrong")
    assert isinstance(error, anthropic.AuthenticationError)
    assert error.body["error"]["type"] == "authentication_error"
    assert sim.requests() == []


def test_revoked_key(refused, impatient, sim):
    key_id, key = impatient.create_key("to be revoked")
    impatient.command("keys", "revoke", key_id)
    error = refused(key=key)
    assert isinstance(error, anthropic.PermissionDeniedError)
    assert error.body["error"]["type"] == "permission_error"
    assert sim.requests() == []


def test_unknown_model(refused):
    error = refused(model="claude-none")
    assert isinstance(error, anthropic.NotFoundError)
    assert error.body["error"] == {"type": "not_found_error", "message": "model: claude-none"}


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"messages": [{"role": "robot", "content": "hi"}]}, "messages.0.role"),
        (
            {"messages": [{"role": "user", "content": [{"text": "hi"}]}]},
            "messages.0.content.0.type",
        ),
        ({"extra_body": {"max_tokens": "many"}}, "max_tokens"),
        ({"extra_body": {"max_tokens": 10_000_000}}, "max_tokens"),  # only Bedrock knows
        ({"tools": [{"name": "no schema"}]}, "tools.0"),
    ],
)
def test_bad_request_names_the_path(refused, fields, path):
    error = refused(**fields)
    assert isinstance(error, anthropic.BadRequestError)
    assert error.body["error"]["type"] == "invalid_request_error"
    assert path in error.body["error"]["message"]


def test_request_over_the_limit(refused, sim):
    error = refused(messages=[{"role": "user", "content": "x" * 34_000_000}])
    assert error.status_code == 413
    assert type(error).__name__ == "ContentTooLargeError" or not CURRENT
    assert error.body["error"]["type"] == "request_too_large"
    assert sim.requests() == []


@pytest.mark.parametrize(
    ("exception", "seen", "attempts"),
    [
        ("ThrottlingException", (429, "rate_limit_error", "RateLimitError"), 2),
        # Anthropic's envelope does not tell a quota from throttling.
        ("ServiceQuotaExceededException", (429, "rate_limit_error", "RateLimitError"), 2),
        ("ServiceUnavailableException", (529, "overloaded_error", "OverloadedError"), 2),
        ("InternalServerException", (500, "api_error", "InternalServerError"), 2),
        ("ModelTimeoutException", (504, "timeout_error", "GatewayTimeoutError"), 2),
        ("AccessDeniedException", (403, "permission_error", "PermissionDeniedError"), 1),
        # The endpoint may be missing in this region: InvokeModel is asked too.
        ("ResourceNotFoundException", (404, "not_found_error", "NotFoundError"), 2),
    ],
)
def test_refusals_of_bedrock(refused, sim, exception, seen, attempts):
    status, kind, expected = seen
    sim.script([{"error": {"type": exception, "message": "Not today"}, "times": "forever"}])
    error = refused()
    assert (error.status_code, error.body["error"]["type"]) == (status, kind)
    assert type(error).__name__ == expected or not CURRENT  # 0.75 has fewer classes
    assert "Not today" in error.message
    assert len(sim.requests()) == attempts


def test_throttled_stream_is_refused_before_it_begins(client_class, impatient, sim):
    sim.script([{"error": {"type": "ThrottlingException", "message": "no"}, "times": "forever"}])
    sdk = client_class(base_url=impatient.url, api_key=impatient.key)
    with pytest.raises(anthropic.RateLimitError) as caught:
        sdk.stream("messages.stream", **HELLO)
    assert caught.value.response.headers["retry-after"]


def test_passing_throttling_is_not_seen(client_class, proxy, sim):
    sim.script([{"error": {"type": "ThrottlingException", "message": "no"}, "times": 2}])
    sdk = client_class(base_url=proxy.url, api_key=proxy.key)
    assert sdk.call("messages.create", **HELLO).stop_reason == "end_turn"
    assert [request["status"] for request in sim.requests()] == [429, 429, 200]


@pytest.mark.parametrize("accumulated", [True, False])
def test_failure_in_the_middle_of_a_stream(sdk, sim, accumulated):
    fault = {"kind": "exception", "type": "throttlingException", "message": "Slow down"}
    sim.script([{"faults": [{**fault, "after_events": 4}]}])
    read, arguments = sdk.collect, {"method": "messages.create", "stream": True}
    if accumulated:
        read, arguments = sdk.stream, {"method": "messages.stream"}
    with pytest.raises(anthropic.APIStatusError, match="Slow down") as caught:
        read(**arguments, **HELLO)
    assert caught.value.body["type"] == "error"
    assert caught.value.body["error"]["type"] == "rate_limit_error"
    assert caught.value.body["request_id"] == caught.value.request_id
