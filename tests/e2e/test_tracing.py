"""Traces as a real receiver gets them: complete, rightly parented, and without what was said."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import pytest
from collector import Collector
from sandboxes import RunningSandboxd, code, function, plays, sandbox_tool, text
from servers import AWS_SECRET, MASTER_KEY, RunningSimulator, wait_for

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{CALLER}-01"
PROMPT = "the heron stands in the reeds at dawn"
MODEL = "claude-sonnet-4-6"
THROTTLED = {"error": {"type": "ThrottlingException", "message": "Too many tokens"}}


@pytest.fixture(scope="module")
def collector():
    with Collector() as made:
        yield made


@pytest.fixture
def received(collector):
    collector.clear()
    return collector


@pytest.fixture
def traced(start, received):
    """`traced(NAME="value")` runs a proxy that sends traces to the collector."""

    def run(**settings):
        return start(
            **{
                "ENABLE_TRACING": "true",
                "OTEL_EXPORTER_OTLP_ENDPOINT": received.url,
                "OTEL_BATCH_SCHEDULE_DELAY_MS": "50",
                **settings,
            }
        )

    return run


def post(proxy, *, headers=(), **body):
    """Status and document of a request."""
    fields = {"model": MODEL, "max_tokens": 500, "messages": [{"role": "user", "content": PROMPT}]}
    request = urllib.request.Request(
        f"{proxy.url}/v1/messages",
        json.dumps(fields | body).encode(),
        {"x-api-key": proxy.key, "content-type": "application/json",
         "anthropic-version": "2023-06-01", **dict(headers)},
    )  # fmt: skip
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            read = answer.read()
            return answer.status, read if body.get("stream") else json.loads(read)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def servers(received, count):
    """The SERVER spans, once there are `count`."""

    def enough():
        found = received.named("POST ")
        return found if len(found) >= count else None

    return wait_for(enough, f"{count} SERVER spans")


def below(received, parent):
    return [span.name for span in received.named("") if span.parent == parent.id]


@pytest.mark.parametrize("parent", [PARENT, None], ids=["the-callers-trace", "traces-of-their-own"])
def test_a_conversation_with_programmatic_calls_is_one_tree_for_each_request(
    traced, received, sim, tmp_path, parent
):
    plays(sim, [code("print(await lookup({'word': 'heron'}))")], [text("Found.")])
    headers = {"traceparent": parent} if parent else {}
    tools = [sandbox_tool(), function("lookup", "word")]
    with RunningSandboxd(tmp_path / "executor", "sandlock") as executor:
        proxy = traced(**executor.settings)
        asked = [{"role": "user", "content": PROMPT}]
        status, first = post(proxy, headers=headers, messages=asked, tools=tools)
        assert (status, first["stop_reason"]) == (200, "tool_use")
        call = first["content"][-1]
        answers = [{"type": "tool_result", "tool_use_id": call["id"], "content": "a secret bird"}]
        history = [*asked, {"role": "assistant", "content": first["content"]},
                   {"role": "user", "content": answers}]  # fmt: skip
        status, last = post(
            proxy,
            headers=headers,
            messages=history,
            tools=tools,
            container=first["container"]["id"],
        )
        assert (status, last["stop_reason"]) == (200, "end_turn")
        assert proxy.stop() == 0, proxy.logged()  # whatever waits is sent by then
    one, two = received.named("POST ")
    assert [span.parent for span in (one, two)] == [CALLER if parent else ""] * 2
    assert (one.trace_id == two.trace_id) == bool(parent)
    if parent:
        assert one.trace_id == TRACE
    chat = f"chat {MODEL}"
    assert below(received, one) == ["admission", chat, "execute_tool code_execution"]
    assert below(received, two) == ["admission", "execute_tool code_execution", chat]
    begun, resumed = received.named("execute_tool")
    assert begun.attributes["proxy.outcome"] == "suspended"
    assert resumed.attributes["proxy.outcome"] == "finished"
    assert begun.attributes["gen_ai.tool.call.id"] == resumed.attributes["gen_ai.tool.call.id"]
    assert (begun.links, resumed.links) == ([], [(begun.trace_id, begun.id)])
    for run in (begun, resumed):
        assert below(received, run) == ["cell"]
    for step in received.named(chat):
        assert below(received, step) == ["invoke-with-response-stream"]
    ids = {span.id for span in received.spans}
    assert len(ids) == len(received.spans) == 12
    assert {span.parent for span in received.spans} - ids == {CALLER if parent else ""}
    for span in received.spans:
        assert one.began <= span.began <= span.ended
        assert not span.failed
        assert span.resource["service.name"] == "anthropic-bedrock-proxy"
    told = [entry["headers"]["traceparent"] for entry in sim.requests()]
    made = [span for span in received.spans if span.name.startswith("invoke")]
    assert sorted(told) == sorted(f"00-{span.trace_id}-{span.id}-01" for span in made)
    sent = b"".join(received.bodies)
    for words in (PROMPT, "heron", "a secret bird", "lookup", "Found.", proxy.key, MASTER_KEY,
                  AWS_SECRET):  # fmt: skip
        assert words.encode() not in sent


def test_a_stream_that_was_failed_over_shows_both_targets(traced, received, sim, tmp_path):
    with RunningSimulator(tmp_path) as other:
        providers = {"second": {"region": "us-west-2", "endpoint_url": other.url}}
        proxy = traced(
            PROVIDERS=json.dumps(providers), FAILOVER_CHAINS='{"*": ["default", "second"]}'
        )
        sim.script([{**THROTTLED, "times": "forever"}])
        headers = {"x-claude-code-session-id": "session-7"}
        status, _ = post(proxy, headers=headers, stream=True)
        assert status == 200
        (root,) = servers(received, 1)
    assert root.attributes["gen_ai.conversation.id"] == "session-7"
    assert root.attributes["http.response.status_code"] == 200
    assert root.attributes["proxy.key_id"] == proxy.key_id
    (chat,) = received.named("chat ")
    assert (chat.kind, chat.failed, chat.parent) == ("CLIENT", False, root.id)
    assert chat.attributes["gen_ai.conversation.id"] == "session-7"
    assert chat.attributes["gen_ai.provider.name"] == "aws.bedrock"
    assert chat.attributes["gen_ai.request.stream"] is True
    assert chat.attributes["gen_ai.response.time_to_first_chunk"] > 0
    assert chat.attributes["gen_ai.usage.output_tokens"] > 0
    refused, served = received.named("invoke")
    assert (refused.parent, served.parent) == (chat.id, chat.id)
    assert (refused.failed, refused.message) == (True, "ThrottlingException")
    assert refused.attributes["http.response.status_code"] == 429
    assert not served.failed
    assert served.attributes["proxy.provider"] == "second"
    assert served.attributes["aws.request_id"]


def test_grpc_and_headers_reach_the_collector(traced, received, sim):
    proxy = traced(
        OTEL_EXPORTER_OTLP_ENDPOINT=received.grpc_url,
        OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
        OTEL_EXPORTER_OTLP_HEADERS="authorization=Basic%20abc,x-tenant=birds",
        OTEL_SERVICE_NAME="birds",
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment=tests",
    )
    assert post(proxy)[0] == 200
    (root,) = servers(received, 1)
    assert received.headers[0]["authorization"] == "Basic abc"
    assert received.headers[0]["x-tenant"] == "birds"
    assert root.resource["service.name"] == "birds"
    assert root.resource["deployment.environment"] == "tests"


def test_spans_that_wait_are_sent_when_the_proxy_ends(traced, received, sim):
    proxy = traced(OTEL_BATCH_SCHEDULE_DELAY_MS="600000", WORKERS="2")
    assert post(proxy)[0] == 200
    assert received.spans == []
    assert proxy.stop() == 0, proxy.logged()
    assert len(received.named("POST ")) == 1


def test_a_collector_that_is_down_holds_nothing_up_and_is_told_once(traced, received, sim):
    proxy = traced(
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
        OTEL_EXPORTER_OTLP_TIMEOUT="1",
        OTEL_BATCH_MAX_QUEUE_SIZE="10",
    )
    for _ in range(20):
        assert post(proxy)[0] == 200
    told = "the collector of traces takes none"
    wait_for(lambda: told in proxy.logged(), "the failure is told")
    for _ in range(20):
        assert post(proxy)[0] == 200
    assert proxy.stop() == 0, proxy.logged()
    assert proxy.logged().count(told) == 1
    assert "Traceback" not in proxy.logged()


def test_a_client_that_leaves_is_told(traced, received, sim):
    proxy = traced()
    sim.script([{"event_delay_ms": 3000, "reply": {"content": [text("late")]}}])
    where = urlsplit(proxy.url)
    body = json.dumps({"model": MODEL, "max_tokens": 5, "stream": True,
                       "messages": [{"role": "user", "content": PROMPT}]})  # fmt: skip
    with socket.create_connection((where.hostname, where.port)) as client:
        client.sendall(
            f"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {proxy.key}\r\n"
            f"content-length: {len(body)}\r\n\r\n{body}".encode()
        )
        assert client.recv(100).startswith(b"HTTP/1.1 200")
    (root,) = servers(received, 1)
    assert root.attributes["proxy.client_disconnected"] is True
    assert [span.message for span in received.named("invoke")] == ["cancelled"]


def test_only_requests_that_are_sampled_are_sent(traced, received, sim):
    proxy = traced(OTEL_TRACE_SAMPLING_RATIO="0")
    assert post(proxy)[0] == 200
    assert post(proxy, headers={"traceparent": "nonsense"})[0] == 200
    assert post(proxy, headers={"traceparent": PARENT[:-1] + "0"})[0] == 200
    assert post(proxy, headers={"traceparent": PARENT})[0] == 200
    assert proxy.stop() == 0, proxy.logged()
    assert {span.trace_id for span in received.spans} == {TRACE}
    assert len(received.named("POST ")) == 1
    assert ["traceparent" in entry["headers"] for entry in sim.requests()] == [False] * 3 + [True]


@pytest.mark.parametrize("stream", [False, True])
def test_content_is_told_by_setting_alone(traced, received, sim, stream):
    proxy = traced(OTEL_TRACE_CONTENT="true")
    plays(sim, [text("A heron.")])
    key = f"My key is {proxy.key}."
    assert post(proxy, stream=stream, system=key)[0] == 200
    servers(received, 1)
    (chat,) = received.named("chat ")
    (asked,) = json.loads(chat.attributes["gen_ai.input.messages"])
    assert asked == {"role": "user", "parts": [{"type": "text", "content": PROMPT}]}
    (answer,) = json.loads(chat.attributes["gen_ai.output.messages"])
    assert answer["parts"] == [{"type": "text", "content": "A heron."}]
    assert "(hidden)" in chat.attributes["gen_ai.system_instructions"]
    assert proxy.key.encode() not in b"".join(received.bodies)
