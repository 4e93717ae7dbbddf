"""Two simulated regions behind one proxy: what docs/how-to/failover.md promises."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
import streaming
from servers import RunningSimulator, wait_for
from streaming import post

from anthropic_bedrock_proxy.protocol.native.sse import SSEDecoder

THROTTLED = {"error": {"type": "ThrottlingException", "message": "Too many tokens"}}
OPUS = "claude-opus-4-8"  # served by a Messages endpoint, then by invoke
GENEROUS = 5.0  # seconds: what a busy machine may add


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    with RunningSimulator(tmp_path_factory.mktemp("other")) as server:
        yield server


@pytest.fixture
def second(other):
    other.control.reset()
    return other.control


@pytest.fixture
def start_two(start, sim, second):
    """A proxy on both, whose first target is `sim` and whose second is `second`."""

    def run(**settings):
        providers = {"second": {"region": "us-west-2", "endpoint_url": second.base_url}}
        return start(
            **{
                "PROVIDERS": json.dumps(providers),
                "FAILOVER_CHAINS": '{"*": ["default", "second"]}',
                **settings,
            }
        )

    return run


def names(read):
    return [name.decode() for name, _ in SSEDecoder().receive(read.body)]


async def many(proxy, count, **request):
    """That many requests by ten clients, each with a conversation of its own."""
    numbers = iter(range(count))

    async def client():
        return [
            await post(proxy.url, proxy.key, text=f"conversation {number}", **request)
            for number in numbers
        ]

    return [
        read for reads in await asyncio.gather(*(client() for _ in range(10))) for read in reads
    ]


@pytest.mark.parametrize("stream", [True, False])
def test_100_of_100_succeed_while_the_first_target_throttles(sim, second, start_two, stream):
    sim.script([{**THROTTLED, "times": "forever"}])
    proxy = start_two()
    reads = asyncio.run(many(proxy, 100, stream=stream))
    assert [read.status for read in reads] == [200] * 100
    assert {read.headers["x-bedrock-target"] for read in reads} == {"second/invoke"}
    if stream:
        assert {names(read)[-1] for read in reads} == {"message_stop"}
    # Three failures open the breaker; those that were under way with the third come on top.
    assert 3 <= len(sim.requests()) <= 12
    assert len(second.requests()) == 100
    total = wait_for(
        lambda: (t := proxy.command("usage")["total"])["requests"] == 100 and t, "the rows"
    )
    assert total["errors"] == 0
    assert "switched to another target" in proxy.logged()


@pytest.mark.parametrize(
    ("stream", "setting"),
    [(True, "FAILOVER_FIRST_BYTE_TIMEOUT"), (False, "FAILOVER_ANSWER_TIMEOUT")],
)
def test_a_target_that_hangs_costs_no_more_than_the_setting(
    sim, second, start_two, stream, setting
):
    sim.script([{"hang": True, "times": "forever"}])
    proxy = start_two(**{setting: "0.5"})
    took = []

    async def main():
        for number in range(4):
            started = time.monotonic()
            read = await post(proxy.url, proxy.key, stream=stream, text=f"conversation {number}")
            took.append(time.monotonic() - started)
            assert read.status == 200
            assert read.headers["x-bedrock-target"] == "second/invoke"

    asyncio.run(main())
    assert all(0.5 <= seconds < 0.5 + GENEROUS for seconds in took[:3])
    assert took[3] < min(took[:3]), "after three failures it is left alone"
    assert "AWS may bill" in proxy.logged()
    print(f"\n{setting}=0.5: {[round(seconds, 3) for seconds in took]}")


def test_a_stream_that_breaks_after_its_first_byte_ends_in_an_error_event(sim, second, start_two):
    sim.script([{"faults": [{"kind": "cut", "after_events": 3, "at_byte": 10, "reset": True}]}])
    proxy = start_two()
    read = asyncio.run(post(proxy.url, proxy.key))
    assert read.status == 200
    assert read.complete
    assert names(read)[0] == "message_start"
    assert names(read)[-1] == "error"
    assert second.requests() == []


def test_a_refusal_in_the_first_frame_is_still_before_the_first_byte(sim, second, start_two):
    frame = {"kind": "exception", "after_events": 0, "type": "throttlingException"}
    sim.script([{"faults": [frame]}])
    proxy = start_two()
    read = asyncio.run(post(proxy.url, proxy.key))
    assert names(read)[-1] == "message_stop"
    assert read.headers["x-bedrock-target"] == "second/invoke"


def test_an_endpoint_that_is_missing_costs_one_request(sim, start, monkeypatch):
    monkeypatch.setattr(streaming, "MODEL", OPUS)
    missing = {"type": "UnknownOperationException", "status": 404, "envelope": "aws"}
    sim.script([{"match": {"operation": "MessagesStream"}, "error": missing, "times": "forever"}])
    proxy = start()
    reads = [asyncio.run(post(proxy.url, proxy.key, text=text)) for text in "AB"]
    assert {names(read)[-1] for read in reads} == {"message_stop"}
    assert {read.headers["x-bedrock-target"] for read in reads} == {"default/invoke"}
    assert [entry["operation"] for entry in sim.requests()] == [
        "MessagesStream",
        "InvokeModelWithResponseStream",
        "InvokeModelWithResponseStream",
    ]


def test_when_everybody_cools_clients_learn_how_long(sim, second, start_two):
    for simulator in (sim, second):
        simulator.script([{"error": {**THROTTLED["error"], "retry_after": 40}, "times": "forever"}])
    proxy = start_two()
    first, again = (asyncio.run(post(proxy.url, proxy.key)) for _ in range(2))
    assert (first.status, again.status) == (429, 429)
    assert 30 <= int(again.headers["retry-after"]) <= 40
    assert len(sim.requests()) == len(second.requests()) == 1


def test_a_conversation_stays_where_it_was_served(sim, second, start_two):
    sim.script([THROTTLED])
    proxy = start_two()
    asked = ["stays", "stays", "another"]
    reads = [asyncio.run(post(proxy.url, proxy.key, text=text)) for text in asked]
    assert [read.headers["x-bedrock-target"] for read in reads] == [
        "second/invoke",
        "second/invoke",
        "default/invoke",
    ]


def test_a_chain_can_be_switched_off(sim, second, start_two):
    sim.script([{**THROTTLED, "times": "forever"}])
    proxy = start_two(FAILOVER_ENABLED="false", UPSTREAM_MAX_ATTEMPTS="1")
    assert asyncio.run(post(proxy.url, proxy.key)).status == 429
    assert second.requests() == []


def test_a_key_bound_to_a_provider_goes_there(sim, second, start_two):
    proxy = start_two(FAILOVER_CHAINS="{}")
    _, secret = proxy.create_key("bound", "--provider", "second")
    assert asyncio.run(post(proxy.url, secret)).status == 200
    assert (len(sim.requests()), len(second.requests())) == (0, 1)
