"""What is said of a request, in plain words: golden stories."""

from __future__ import annotations

from anthropic_bedrock_proxy.admin.explanation import explain, facts_of
from anthropic_bedrock_proxy.errors import LimitState
from anthropic_bedrock_proxy.telemetry.access_log import RequestLine
from anthropic_bedrock_proxy.telemetry.request_log.record import BudgetState, RequestRecord
from anthropic_bedrock_proxy.timeline import CANCELLED, OK, ToolRun, UpstreamRequest

AT = "2026-11-30T00:53:21.500Z"


def line(**fields):
    made = RequestLine(AT, "POST /v1/messages", 200, "req_1", 1500.0)
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def record(told_line, /, **fields):
    return RequestRecord(**{"line": told_line, "started": 10.0, "ended": 11.5, **fields})


def upstream(provider, began, ended, code=OK, *, first=0.0, step=1, status=0):
    return UpstreamRequest(
        provider,
        "us.m",
        "invoke-with-response-stream",
        step,
        began,
        began,
        first,
        ended,
        code,
        status,
    )


def test_a_stream_that_moved_on_and_whose_client_left():
    told = line(
        key_id="key_1",
        user_id="ann",
        model="claude-x",
        dialect="invoke",
        stream=True,
        disconnected=True,
        input_tokens=12,
        output_tokens=5,
        cost_usd=0.001,
        upstream_ms=1300.0,
        overhead_ms=0.6,
        trace_id="a" * 32,
    )
    story = record(
        told,
        limits=[LimitState("requests", 60, 59, 1_796_000_060)],
        budgets=[BudgetState("key:key_1", "monthly", 10_000_000_000, 4_250_000_000, 1_796_083_200)],
        dropped=["top_k"],
        warnings=["system.0.cache_control: left out"],
        switches=[("default/invoke", "west/invoke", "ThrottlingException")],
        upstream=[
            upstream("default", 10.1, 10.2, "ThrottlingException", status=429),
            upstream("west", 10.3, 11.5, CANCELLED, first=10.8),
        ],
    )
    assert explain(story) == [
        (
            "POST /v1/messages at 2026-11-30T00:53:20+00:00, for claude-x as a stream, ended "
            "with 200 "
            "after 1500 ms."
        ),
        "It was made with the key key_1 of the user ann.",
        f"It belongs to the trace {'a' * 32}.",
        "The limits then: requests 59 of 60 left, full again at 00:54:20Z.",
        "The budget of key:key_1 (monthly): $10, $4.25 left, begins again at 2026-12-01T00:00:00Z.",
        "Left out for Bedrock, with nothing lost: top_k.",
        "Changed for Bedrock, as the client was told: system.0.cache_control: left out.",
        (
            "1. asked default for us.m by invoke-with-response-stream: ThrottlingException "
            "(429) after "
            "100 ms."
        ),
        (
            "2. asked west for us.m by invoke-with-response-stream: given up after 1200 ms, "
            "as nobody "
            "waited any more."
        ),
        "It was moved from default/invoke to west/invoke because of ThrottlingException.",
        "Bedrock was waited for 1300 ms; the proxy itself took 0.6 ms.",
        "Between its attempts it paused for 100 ms.",
        "It used 12 input, 5 output, 0 cache read and 0 cache write tokens, and cost $0.001000.",
        "The client left before the end of its answer.",
    ]


def test_a_turn_tells_its_tools_and_calls_in_their_order():
    story = record(
        line(model="m"),
        upstream=[
            upstream("default", 10.1, 10.5, first=10.2),
            upstream("default", 11.0, 11.4, step=2),
        ],
        tools=[ToolRun("bash_code_execution", "srvtoolu_1", 10.6, 10.9, "finished")],
    )
    sentences = [one for one in explain(story) if one[0].isdigit()]
    assert [one.split(":")[0] for one in sentences] == [
        "1. asked default for us.m by invoke-with-response-stream",
        "2. ran bash_code_execution",
        "3. asked default for us.m by invoke-with-response-stream",
    ]
    assert sentences[0].endswith("answered, first bytes after 100 ms, ended after 400 ms.")
    assert sentences[1].endswith("finished after 300 ms.")


def test_a_tool_that_ended_with_an_error_says_which_and_why():
    runs = [
        ToolRun("web_search", "a", 10.1, 10.2, "finished", code="max_uses_exceeded"),
        ToolRun(
            "web_fetch", "b", 10.3, 10.4, "finished", code="url_not_accessible", reason="it is away"
        ),
        ToolRun("web_fetch", "c", 10.5, 10.6, "timed_out"),
    ]
    assert [one for one in explain(record(line(), tools=runs)) if one[0].isdigit()] == [
        "1. ran web_search: max_uses_exceeded after 100 ms.",
        "2. ran web_fetch: url_not_accessible (it is away) after 100 ms.",
        "3. ran web_fetch: timed_out after 100 ms.",
    ]


def test_pauses_between_attempts_are_told_but_none_between_model_calls():
    tries = [
        upstream("default", 10.0, 10.1, "ThrottlingException", status=429),
        upstream("default", 10.6, 10.7),
        upstream("default", 11.2, 11.4, step=2),
    ]
    assert "Between its attempts it paused for 500 ms." in explain(record(line(), upstream=tries))
    assert "paused" not in " ".join(explain(record(line(), upstream=tries[1:])))


def test_a_count_of_tokens_has_no_cost():
    counted = upstream("default", 10.1, 10.2)
    said = explain(record(line(model="m"), upstream=[counted]))
    assert any("for m as a whole answer" in one for one in said)
    assert any(one.startswith("Bedrock was waited for") for one in said)
    assert not any("cost" in one or "price" in one for one in said)


def test_what_bedrock_refused_has_no_cost():
    refused = upstream("default", 10.1, 10.2, "ValidationException", status=400)
    said = explain(record(line(model="m", dialect="invoke", cost_usd=0.0), upstream=[refused]))
    assert not any("cost" in one or "price" in one for one in said)


def test_what_is_not_known_is_said_so():
    story = record(
        line(model="m", dialect="invoke", input_tokens=3),
        budgets=[BudgetState("key:k", "total", 5_000_000_000)],
        upstream=[
            UpstreamRequest("default", "us.m", "invoke", 1, 10.0, 0.0, 0.0, 10.1, "NoCredentials"),
            UpstreamRequest("default", "us.m", "invoke", 1, 10.2, 10.2),
        ],
    )
    said = " ".join(explain(story))
    assert "nobody knew yet how much is left" in said
    assert "not sent, NoCredentials" in said
    assert "an unknown time" in said
    assert "has no known price" in said


def test_facts_count_moments_from_the_head_of_the_request():
    story = record(
        line(model="m"),
        received=10.001,
        told=10.5,
        budgets=[BudgetState("key:k", "total", 5_000_000_000, 1)],
        upstream=[upstream("default", 10.1, 10.2, first=10.15)],
    )
    facts = facts_of(story)
    assert (facts["received_ms"], facts["first_event_ms"], facts["ended_ms"]) == (
        1.0,
        500.0,
        1500.0,
    )
    assert facts["model"] == "m"
    assert "admitted_ms" not in facts
    (made,) = facts["upstream"]
    assert (made["began_ms"], made["first_ms"], made["ended_ms"]) == (100.0, 150.0, 200.0)
    assert str(facts["budgets"][0]["left_usd"]) == "1E-9"


def test_the_master_key_is_called_so():
    assert "It was made with the master key." in explain(record(line(key_id="master")))
