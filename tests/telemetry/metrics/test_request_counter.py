from __future__ import annotations

import pytest

from anthropic_bedrock_proxy.gateway.exchange import Exchange
from anthropic_bedrock_proxy.models.registry import Target
from anthropic_bedrock_proxy.protocol.answer.metering import Meter
from anthropic_bedrock_proxy.telemetry.ended_requests import EndedRequest
from anthropic_bedrock_proxy.telemetry.metrics.board import Board
from anthropic_bedrock_proxy.telemetry.metrics.exposition import Exposition
from anthropic_bedrock_proxy.telemetry.metrics.request_counter import RequestCounter
from anthropic_bedrock_proxy.timeline import OK, ToolRun, UpstreamRequest

ARN = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc"
USAGE = (
    b'{"type":"message","content":[],"usage":{"input_tokens":3,"output_tokens":11,"cache_read_input_tokens":5,'
    b'"cache_creation_input_tokens":7}}'
)


class World:
    """A recorder with its board, and what is exposed of it."""

    def __init__(self, **options):
        self.board = Board()
        self.record = RequestCounter(self.board.take(), **options)
        self.with_keys = options.get("with_keys", False)

    def end(self, exchange, method="POST"):
        self.record(EndedRequest(method, "/", "", None), exchange)

    def samples(self):
        """Every sample that is not 0, by name and labels."""
        exposition = Exposition(self.board, with_keys=self.with_keys)
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for metric in exposition.collect()
            for sample in metric.samples
            if sample.value
        }

    def value(self, name, /, **labels):
        return self.samples().get((name, frozenset(labels.items())), 0.0)

    def total(self, name):
        return sum(value for (found, _), value in self.samples().items() if found == name)


def exchange(**fields):
    made = Exchange("req_1", started=100.0, at_ms=0)
    made.status, made.endpoint, made.ended = 200, "/v1/messages", 103.0
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def answered(**fields):
    """A request that Bedrock answered in 2 s."""
    target = Target("ireland", "invoke", "us.anthropic.m", None)
    made = exchange(
        **{"model": "m", "target": target, "received": 100.25, "cost_nano": 5_000_000, **fields}
    )
    made.timeline.upstream.append(
        UpstreamRequest("ireland", "us.anthropic.m", "invoke", 1, 100.5, 100.5, 101.0, 102.5, OK)
    )
    made.meter.observe_message(USAGE)
    return made


BEDROCK = {"model": "us.anthropic.m", "provider": "ireland", "operation": "invoke"}
OF_MODEL = {"model": "m", "bedrock_model": "us.anthropic.m", "provider": "ireland"}


def test_an_answer_is_counted_with_its_tokens_cost_and_times():
    world = World()
    world.end(answered())
    assert (
        world.value("http_requests_total", method="POST", endpoint="/v1/messages", status="200")
        == 1
    )
    assert world.value("bedrock_calls_total", **BEDROCK, code="ok") == 1
    assert world.value("bedrock_call_duration_seconds_sum", **BEDROCK) == 2.0
    assert world.value("cost_usd_total", **OF_MODEL) == 0.005
    tokens = {
        kind: world.value("token_usage_total", **OF_MODEL, kind=kind)
        for kind in ("input", "output", "cache_read", "cache_write")
    }
    assert tokens == {"input": 3, "output": 11, "cache_read": 5, "cache_write": 7}
    assert world.value("request_processing_seconds_sum", model="m") == 0.25
    assert world.value("response_processing_seconds_sum", model="m") == 0.5
    assert world.total("unpriced_requests_total") == 0
    assert world.total("gen_ai_client_inference_usage_input_tokens_total") == 3 + 5 + 7
    assert world.total("gen_ai_client_inference_usage_output_tokens_total") == 11


def test_a_stream_has_a_first_token_and_a_time_per_token():
    world = World()
    world.end(answered(stream=True, told=101.0))
    assert world.total("gen_ai_server_time_to_first_token_seconds_sum") == 1.0
    assert world.total("gen_ai_server_time_per_output_token_seconds_sum") == pytest.approx(0.2)
    assert world.total("gen_ai_client_inference_time_to_first_chunk_seconds_sum") == 0.5


def test_every_try_is_counted_and_what_it_ended_with():
    world = World()
    told = answered()
    told.timeline.upstream.insert(
        0, UpstreamRequest("east", "us.anthropic.m", "invoke", 1, 100.1, 100.1, 0.0, 100.2, "Slow")
    )
    told.timeline.upstream.insert(
        0,
        UpstreamRequest(
            "east", "us.anthropic.m", "invoke", 1, 100.0, 0.0, 0.0, 100.1, "NoCredentials"
        ),
    )
    told.switches = (("east/invoke", "ireland/invoke", "Slow"),)
    told.timeline.tools = (
        ToolRun("web_search", "srvtoolu_1", 100.0, 100.1, "finished"),
        ToolRun("web_search", "srvtoolu_2", 100.0, 100.1, "finished", code="unavailable"),
        ToolRun("web_fetch", "srvtoolu_3", 100.0),
    )
    world.end(told)
    assert world.total("bedrock_calls_total") == 3
    unsent = {**BEDROCK, "provider": "east"}
    assert world.value("bedrock_calls_total", **unsent, code="NoCredentials") == 1
    assert world.value("failovers_total", origin="east/invoke", to="ireland/invoke") == 1
    assert world.value("tool_runs_total", tool="web_search", outcome="finished") == 1
    assert world.value("tool_runs_total", tool="web_search", outcome="unavailable") == 1
    assert world.value("tool_runs_total", tool="web_fetch", outcome="cancelled") == 1
    errors = {
        dict(labels)["error_type"]
        for name, labels in world.samples()
        if name == "gen_ai_client_inference_duration_seconds_count"
    }
    assert errors == {"", "Slow", "NoCredentials"}
    assert world.value("bedrock_call_duration_seconds_sum", **unsent) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("cause", "name", "labels"),
    [
        ("limit:key/requests", "rate_limit_exceeded_total", {"owner": "key", "limit": "requests"}),
        (
            "limit:team/concurrency",
            "rate_limit_exceeded_total",
            {"owner": "team", "limit": "concurrency"},
        ),
        ("key:unknown", "auth_failures_total", {"reason": "unknown"}),
        ("key:metrics_token", "auth_failures_total", {"reason": "metrics_token"}),
        ("key:what an operator wrote", "auth_failures_total", {"reason": "other"}),
        ("budget_exceeded", "budget_exceeded_total", {}),
    ],
)
def test_refusals_are_counted_by_what_refused(cause, name, labels):
    world = World()
    world.end(exchange(status=429, error_cause=cause))
    assert world.value(name, **labels) == 1
    assert world.total("model_requests_total") == 0


def test_a_cause_of_aws_is_no_refusal_of_ours():
    world = World()
    world.end(answered(status=429, error_type="rate_limit_error", error_cause="aws:Throttling"))
    for name in ("rate_limit_exceeded_total", "auth_failures_total", "budget_exceeded_total"):
        assert world.total(name) == 0
    assert world.total("model_requests_total") == 1


def test_what_was_left_out_is_counted_once_for_a_request():
    world = World()
    world.end(
        answered(
            dropped=[
                "top_k",
                "messages.0.content.0.cache_control",
                "messages.1.content.2.cache_control",
            ]
        )
    )
    assert world.value("dropped_total", what="field", name="top_k") == 1
    assert world.value("dropped_total", what="field", name="cache_control") == 1


def test_a_known_beta_that_was_left_out_is_named():
    world = World(betas={"known-2025-01-01"})
    world.end(answered(dropped=["anthropic-beta known-2025-01-01", "anthropic-beta unknown"]))
    assert world.value("dropped_total", what="beta", name="known-2025-01-01") == 1
    assert world.value("dropped_total", what="beta", name="other") == 1


def test_a_hundred_thousand_left_out_paths_are_not_all_looked_at():
    world = World()
    world.end(answered(dropped=[*256 * ["messages.0.content.0.cache_control"], "top_k"]))
    assert world.value("dropped_total", what="field", name="cache_control") == 1
    assert world.value("dropped_total", what="field", name="top_k") == 0


def test_names_of_clients_make_no_series():
    world = World()
    for number in range(300):
        told = answered(model=f"model-{number}", listed=False)
        told.dropped = (f"anthropic-beta flag-{number}-2025-01-01",)
        world.end(told, method=f"M{number}")
        world.end(exchange(endpoint="", status=404), method=f"M{number}")
    names = [dict(labels) for _, labels in world.samples()]
    assert {labels["model"] for labels in names if "model" in labels} == {"other"}
    assert {labels["method"] for labels in names if "method" in labels} == {"other"}
    assert world.value("dropped_total", what="beta", name="other") == 300
    assert world.value("http_requests_total", method="other", endpoint="none", status="404") == 300


def test_an_arn_is_told_without_its_account():
    world = World()
    world.end(answered(target=Target("default", "invoke", ARN, None)))
    assert not any("123456789012" in value for _, labels in world.samples() for _, value in labels)
    assert world.value(
        "cost_usd_total",
        model="m",
        bedrock_model=ARN.replace("123456789012", "(account)"),
        provider="default",
    )


def test_keys_are_told_only_on_request():
    for with_keys in (False, True):
        world = World(with_keys=with_keys)
        world.end(answered(key_id="key_abc"))
        told = {dict(labels).get("key") for _, labels in world.samples()} - {None}
        assert told == ({"key_abc"} if with_keys else set())


def test_who_left_and_what_has_no_price_is_seen():
    world = World()
    world.end(answered(client_gone=True, cost_nano=None))
    assert world.value("unpriced_requests_total", **OF_MODEL) == 1
    (labels,) = [labels for name, labels in world.samples() if name == "model_requests_total"]
    assert dict(labels)["error"] == "disconnected"


def test_what_failed_and_costs_nothing_needs_no_price():
    world = World()
    told = answered(cost_nano=None, status=400, error_type="invalid_request_error")
    told.meter = Meter()
    world.end(told)
    assert world.total("model_requests_total") == 1
    assert world.total("unpriced_requests_total") == 0
    told.meter.assume_input(b"a body that may have been read")  # the stream broke off
    world.end(told)
    assert world.total("unpriced_requests_total") == 1
