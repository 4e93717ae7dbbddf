"""Requests that have ended are looked at a few at a time, none is kept long, and none is lost."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

from anthropic_bedrock_proxy.gateway.exchange import Exchange
from anthropic_bedrock_proxy.telemetry.ended_requests import EndedRequests

REQUEST = SimpleNamespace(
    method="POST", path="/x", client="10.0.0.1", headers={b"traceparent": b"00-a-b-01"}
)


class Looks:
    def __init__(self):
        self.seen = []
        self.order = []
        self.ended = EndedRequests([self.first, self.second])

    def first(self, request, exchange):
        self.order.append("first")
        self.seen.append((request, exchange.request_id))

    def second(self, _, __):
        self.order.append("second")

    def end(self, count, **fields):
        for number in range(count):
            self.ended(REQUEST, Exchange(f"req_{number}", started=0.0, at_ms=0, **fields))


def test_a_few_wait_and_are_looked_at_together_by_themselves():
    looks = Looks()

    async def main():
        looks.end(3)
        assert looks.seen == []
        while not looks.seen:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(main(), 5))
    assert [name for _, name in looks.seen] == ["req_0", "req_1", "req_2"]
    assert looks.order == ["first"] * 3 + ["second"] * 3
    request, _ = looks.seen[0]
    assert (request.method, request.path, request.client) == ("POST", "/x", "10.0.0.1")
    assert request.traceparent == b"00-a-b-01"


def test_no_more_wait_than_a_few():
    looks = Looks()

    async def main():
        looks.end(200)
        assert len(looks.seen) == 192

    asyncio.run(main())


def test_a_turn_which_holds_a_body_does_not_wait():
    looks = Looks()

    async def main():
        looks.end(1)
        looks.end(1, turn=object())
        assert len(looks.seen) == 2

    asyncio.run(main())


def test_whoever_needs_all_now_has_them_flushed():
    looks = Looks()

    async def main():
        looks.end(2)
        looks.ended.flush()
        looks.ended.flush()
        assert len(looks.seen) == 2

    asyncio.run(main())


def test_a_look_that_fails_takes_nothing_from_the_others(caplog):
    looks = Looks()

    def fails(_, exchange):
        if exchange.request_id != "req_1":
            raise ValueError("odd")
        looks.order.append("all but two failed")

    looks.ended.looks = [fails, *looks.ended.looks]

    async def main():
        looks.end(3)
        looks.ended.flush()

    asyncio.run(main())
    assert [name for _, name in looks.seen] == ["req_0", "req_1", "req_2"]
    assert looks.order == ["all but two failed"] + ["first"] * 3 + ["second"] * 3
    (told,) = caplog.records
    assert (told.request_id, told.exc_info[0]) == ("req_0", ValueError)
