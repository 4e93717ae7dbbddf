from __future__ import annotations

import os
import signal

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from anthropic_bedrock_proxy.telemetry.metrics.board import Board
from anthropic_bedrock_proxy.telemetry.metrics.compat import COMPAT
from anthropic_bedrock_proxy.telemetry.metrics.exposition import Exposition
from anthropic_bedrock_proxy.telemetry.metrics.facts import MODEL, REQUEST, STATE
from anthropic_bedrock_proxy.telemetry.metrics.families import FAMILIES
from anthropic_bedrock_proxy.telemetry.metrics.request_counter import observe

OPEN = "process_open_fds"
PARSERS = {
    "": prometheus,
    "application/openmetrics-text; version=1.0.0": open_metrics,
}


def parsed(board, accept="", **options):
    text, content_type = Exposition(board, **options).render(accept)
    assert content_type.startswith("application/openmetrics-text" if accept else "text/plain")
    return {family.name: family for family in PARSERS[accept](text.decode())}


@pytest.mark.parametrize("accept", PARSERS, ids=["text", "openmetrics"])
def test_every_family_is_told_in_both_formats(accept):
    board = Board()
    slab = board.take()
    for family in FAMILIES:
        labels = tuple(family.where.get(label, "x") for label in family.kind.labels)
        slab.numbers[slab.place(family.kind, labels)] = 1.0
    told = parsed(board, accept, compat=tuple(COMPAT))
    known = {family.name for family in FAMILIES}
    known |= {family.name for group in COMPAT.values() for family in group}
    assert known <= told.keys()
    assert all(told[name].samples for name in known)
    assert {"build", "build_info"} & told.keys()


def test_names_are_told_once():
    names = [family.name for family in FAMILIES]
    names += [family.name for group in COMPAT.values() for family in group]
    assert len(names) == len(set(names))


def test_a_histogram_is_cumulative():
    board = Board()
    slab = board.take()
    at = slab.place(REQUEST, ("GET", "/x", "200"))
    for seconds in (0.0005, 0.001, 0.3, 5000.0):
        observe(slab.numbers, at, REQUEST.numbers["duration"], seconds)
    family = parsed(board)["http_request_duration_seconds"]
    buckets = {
        s.labels["le"]: s.value
        for s in family.samples
        if s.name.endswith("_bucket") and s.labels["endpoint"] == "/x"
    }
    assert (buckets["0.001"], buckets["0.25"], buckets["0.5"], buckets["600.0"]) == (2, 2, 3, 3)
    assert buckets["+Inf"] == 4
    total = [
        s.value for s in family.samples if s.name.endswith("_sum") and s.labels["endpoint"] == "/x"
    ]
    assert total == [pytest.approx(5000.3015)]


def test_states_of_workers_are_merged_as_each_means():
    board = Board()
    first = board.take()
    child = os.fork()
    if not child:
        second = board.take()
        for name in ("http_requests_in_flight", "breaker_state", "budget_left_ratio"):
            second.numbers[second.place(STATE, (name, "a", "b"))] = 2.0
        os._exit(0)
    os.waitpid(child, 0)
    for name in ("http_requests_in_flight", "breaker_state", "budget_left_ratio"):
        first.numbers[first.place(STATE, (name, "a", "b"))] = 1.0
    told = parsed(board)
    assert told["http_requests_in_flight"].samples[0].value == 3.0
    assert told["breaker_state"].samples[0].value == 2.0
    assert told["budget_left_ratio"].samples[0].value == 1.0


def test_processes_are_told_apart():
    board = Board()
    board.take()
    told = parsed(board)
    (memory,) = told["process_resident_memory_bytes"].samples
    assert memory.labels == {"worker": "0"}
    assert memory.value > 1_000_000


def test_a_process_keeps_its_label_while_others_come_and_go():
    board = Board()
    read, write = os.pipe()
    leaving, staying = [], []
    for children in (leaving, staying):
        child = os.fork()
        if not child:
            board.take()
            os.write(write, b"x")
            signal.pause()
        children.append(child)
        os.read(read, 1)
    labels = []
    try:
        for one in (*leaving, *staying):
            labels.append({s.labels["worker"] for s in parsed(board)[OPEN].samples})
            os.kill(one, signal.SIGKILL)
            os.waitpid(one, 0)
            if one in leaving:
                slab = board.take()  # that of the one that was killed
                slab.release()
    finally:
        os.close(read)
        os.close(write)
    assert labels == [{"0", "1"}, {"1"}]


def test_older_names_come_with_their_labels():
    board = Board()
    slab = board.take()
    at = slab.place(MODEL, ("m", "us.m", "default", "invoke", "true", "", ""))
    slab.numbers[at] += 2.0
    for number, tokens in (("input", 3.0), ("cache_read", 5.0), ("output", 7.0)):
        slab.numbers[at + MODEL.place(number)] += tokens
    assert "litellm_spend_metric" not in parsed(board)
    told = parsed(board, compat=("otel_1_41", "litellm"))
    usage = {
        (s.name, s.labels["gen_ai_token_type"]): s.value
        for s in told["gen_ai_client_token_usage"].samples
        if s.labels["gen_ai_request_model"] == "us.m"
    }
    assert usage["gen_ai_client_token_usage_sum", "input"] == 8.0
    assert usage["gen_ai_client_token_usage_sum", "output"] == 7.0
    assert usage["gen_ai_client_token_usage_count", "input"] == 2.0
    (total,) = [
        s.value
        for s in told["litellm_input_tokens_metric"].samples
        if s.labels["requested_model"] == "m"
    ]
    assert total == 8.0
