"""The spans of a request, as its exchange tells of it."""

from __future__ import annotations

import pytest

from anthropic_bedrock_proxy.gateway.exchange import Exchange
from anthropic_bedrock_proxy.telemetry.tracing.span_tree import SpanTree
from anthropic_bedrock_proxy.timeline import CellCall, ToolRun, TraceContext, UpstreamRequest

ARN = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc"
MASTER = "a-master-key"


def request(step, began, code="ok", *, model="m", span_id="", **fields):
    return UpstreamRequest(
        "default", model, "invoke-with-response-stream", step, began, began + 0.01,
        ended=began + 0.5, code=code, span_id=span_id, **fields,
    )  # fmt: skip


def run(outcome, began, **fields):
    ended = began + 0.2 if outcome else 0.0
    return ToolRun("bash_code_execution", "srvtoolu_1", began, ended, outcome, **fields)


def exchanged(*, upstream=(), tools=(), **fields):
    given = {"model": "claude-sonnet-5", "endpoint": "/v1/messages", "stream": True, "status": 200,
             "received": 0.1, "admitted": 0.2, "told": 0.6, "ended": 5.0, **fields}  # fmt: skip
    exchange = Exchange("req_1", started=0.0, at_ms=0, **given)
    exchange.timeline.trace = TraceContext("a" * 32, "b" * 16, "c" * 16)
    exchange.timeline.upstream += upstream
    exchange.timeline.tools += tuple(tools)
    return exchange


def tree(exchange, headers=None):
    return SpanTree((MASTER,)).spans(exchange, exchange.timeline.trace, headers or {})


def drawn(spans):
    """Lines `depth name kind error`, in the order that they were told."""
    depths = {spans[0].parent_id: -1}
    lines = []
    for span in spans:
        depths[span.span_id] = depths[span.parent_id] + 1
        error = f" !{span.error}" if span.error else ""
        lines.append(f"{'  ' * depths[span.span_id]}{span.name} {span.kind}{error}")
    return lines


def test_a_turn_that_was_throttled_once_and_ran_a_tool():
    cells = [CellCall("cell_1", 1.01, 1.1, span_id="9" * 16)]
    spans = tree(
        exchanged(
            upstream=[
                request(1, 0.3, "ThrottlingException", status=429),
                request(1, 0.9, first=1.0, span_id="1" * 16),
                request(2, 2.0, first=2.1),
            ],
            tools=[run("finished", 1.0, span_id="2" * 16, cells=cells)],
        )
    )
    assert drawn(spans) == [
        "POST /v1/messages SERVER",
        "  admission INTERNAL",
        "  chat claude-sonnet-5 CLIENT",
        "    invoke-with-response-stream CLIENT !ThrottlingException",
        "    invoke-with-response-stream CLIENT",
        "  chat claude-sonnet-5 CLIENT",
        "    invoke-with-response-stream CLIENT",
        "  execute_tool bash_code_execution INTERNAL",
        "    cell CLIENT",
    ]
    assert (spans[0].span_id, spans[0].parent_id) == ("b" * 16, "c" * 16)
    assert (spans[1].began, spans[1].ended) == (0.1, 0.2)
    assert spans[2].attributes["gen_ai.response.time_to_first_chunk"] == pytest.approx(0.7)
    assert spans[3].attributes["http.response.status_code"] == 429
    assert spans[4].span_id == "1" * 16
    assert spans[4].attributes["http.request.resend_count"] == 1
    assert (spans[7].span_id, spans[8].span_id) == ("2" * 16, "9" * 16)


def test_input_tokens_include_those_of_the_cache():
    exchange = exchanged(upstream=[request(1, 0.3)])
    exchange.meter.observe_message(
        b'{"type":"message","content":[],"usage":{"input_tokens":3,"output_tokens":5,"cache_read_input_tokens":20,'
        b'"cache_creation_input_tokens":100}}'
    )
    root, _, chat, _ = tree(exchange)
    for span in (root, chat):
        usage = {name: value for name, value in span.attributes.items() if "usage" in name}
        assert usage == {
            "gen_ai.usage.input_tokens": 123,
            "gen_ai.usage.output_tokens": 5,
            "gen_ai.usage.cache_read.input_tokens": 20,
            "gen_ai.usage.cache_write.input_tokens": 100,
        }


@pytest.mark.parametrize("outcome", ["failed", "timed_out", "cancelled", ""])
def test_a_tool_run_that_failed_is_an_error_and_so_is_one_that_never_ended(outcome):
    cells = [CellCall("cell_1", 1.0)]
    *_, tool, cell = tree(exchanged(tools=[run(outcome, 1.0, cells=cells)]))
    assert tool.error == tool.attributes["error.type"] == (outcome or "cancelled")
    assert cell.error == "cancelled"
    assert (cell.ended, tool.ended) == (5.0, 1.2 if outcome else 5.0)


@pytest.mark.parametrize("outcome", ["finished", "suspended"])
def test_a_run_that_waits_for_the_client_is_no_error(outcome):
    assert tree(exchanged(tools=[run(outcome, 1.0)]))[-1].error == ""


def test_what_a_client_did_wrong_is_told_but_no_error_of_ours():
    (root,) = tree(exchanged(admitted=0.0, told=0.0, status=404, error_type="not_found_error"))
    assert (root.error, root.attributes["error.type"]) == ("", "not_found_error")
    (root,) = tree(exchanged(admitted=0.0, told=0.0, status=529, error_type="overloaded_error"))
    assert root.error == "overloaded_error"


def test_a_stream_that_broke_is_an_error_though_its_status_was_200():
    root = tree(exchanged(error_type="api_error"))[0]
    assert root.error == "api_error"


def test_a_client_that_left_is_told():
    root, *_, made = tree(exchanged(client_gone=True, upstream=[request(1, 0.3, "cancelled")]))
    assert root.attributes["proxy.client_disconnected"] is True
    assert made.error == "cancelled"


def test_no_secret_and_no_account_is_told():
    key = "sk-" + "Ab1_" * 10
    exchange = exchanged(model=f"{ARN} {key} {MASTER}\n", upstream=[request(1, 0.3, model=ARN)])
    session = f"{key} {MASTER} {'x' * 500}".encode()
    told = str(tree(exchange, {b"x-session-id": session}))
    assert "123456789012" not in told
    assert key not in told
    assert MASTER not in told
    assert "x" * 201 not in told


@pytest.mark.parametrize("name", [b"x-session-id", b"x-claude-code-session-id"])
def test_sessions_are_told_with_every_model_call(name):
    upstream = [request(1, 0.3), request(1, 0.9), request(2, 2.0)]
    spans = tree(exchanged(upstream=upstream), {name: b"session-7"})
    named = [span for span in spans if span.attributes.get("gen_ai.conversation.id") == "session-7"]
    assert [span.name for span in named] == ["POST /v1/messages", *["chat claude-sonnet-5"] * 2]
    assert named[0].attributes["session.id"] == "session-7"


def test_each_model_call_has_its_own_usage_and_the_last_says_why_it_ended():
    exchange = exchanged(upstream=[request(1, 0.3), request(2, 2.0)])
    exchange.timeline.spent += ({"input_tokens": 10, "output_tokens": 4, "cache_read": None},)
    exchange.meter.observe_message(
        b'{"type":"message","content":[],"stop_reason":"end_turn","usage":{"input_tokens":25,"output_tokens":9}}'
    )
    root, *_ = spans = tree(exchange)
    first, second = [span.attributes for span in spans if span.name.startswith("chat")]
    usage = [
        (span["gen_ai.usage.input_tokens"], span["gen_ai.usage.output_tokens"])
        for span in (first, second, root.attributes)
    ]
    assert usage == [(10, 4), (15, 5), (25, 9)]
    assert "gen_ai.response.finish_reasons" not in first
    assert second["gen_ai.response.finish_reasons"] == ["end_turn"]
