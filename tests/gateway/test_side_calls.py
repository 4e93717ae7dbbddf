"""Nothing is asked of anybody for a request that is not admitted; nor booked under any name."""

from __future__ import annotations

import asyncio

import pytest
from factories import make_counters, make_messages
from streams import MESSAGE, STREAM, encode

from anthropic_bedrock_proxy.app.models import load_model_table
from anthropic_bedrock_proxy.aws_errors import UpstreamRefusal
from anthropic_bedrock_proxy.errors import (
    APIError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
)
from anthropic_bedrock_proxy.gateway.admission.booked_models import UNKNOWN
from anthropic_bedrock_proxy.gateway.admission.rate_limits import LimitOptions
from anthropic_bedrock_proxy.gateway.exchange import Exchange
from anthropic_bedrock_proxy.models.registry import DEFAULT_PROVIDER, Registry, RoutingOptions
from anthropic_bedrock_proxy.store.base.callers import Caller, KeyRecord
from anthropic_bedrock_proxy.upstream.fake import FakeUpstream

TABLE = load_model_table()
PROFILE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/"
HAIKU = "anthropic.claude-haiku-4-5-20251001-v1:0"
BODY = {"max_tokens": 10, "messages": [{"role": "user", "content": "Hello"}]}
ANSWER = encode(MESSAGE)


class World:
    """Messages for one key; `behind` is what Bedrock says of every profile."""

    def __init__(
        self, *script, behind=HAIKU, holds=False, mapping=(), serves_unpriced=True, **fields
    ):
        self.asked, self.records, self.behind = [], [], behind
        self.upstream = FakeUpstream(script)
        self.registry = Registry(TABLE, RoutingOptions(region="us-east-1", mapping=dict(mapping)))
        self.counters = make_counters(
            self,
            self.registry,
            monotonic=lambda: 1000.0,
            limits=LimitOptions(requests=5000),
            holds=holds,
            serves_unpriced=serves_unpriced,
        )
        self.messages = make_messages(
            {DEFAULT_PROVIDER: self.upstream},
            self.registry,
            self.counters,
            monotonic=lambda: 1000.0,
            resolve_profile=self.resolve,
        )
        self.caller = Caller(
            KeyRecord(id="k", name="", secret_hint="", created_at=0, updated_at=0, **fields)
        )

    async def resolve(self, arn, key_id):
        self.asked.append((arn, key_id))
        if self.behind:
            self.registry.learn_profile(arn, self.behind)

    def append(self, record):
        self.records.append(record)

    async def begin(self, model, **change):
        exchange = Exchange("req_1", started=0.0, at_ms=0, version="2023-06-01")
        exchange.caller, exchange.key_id = self.caller, "k"
        return await self.messages.handle(exchange, encode({"model": model, **BODY, **change}))

    def ask(self, model, **change):
        return asyncio.run(self.begin(model, **change))


@pytest.mark.parametrize("fields", [{"allowed_models": ("nothing",)}, {"total_budget_nano": 0}])
def test_a_key_that_may_use_nothing_has_no_profile_looked_up(fields):
    """500 names caused 500 questions."""
    world = World(**fields)
    for number in range(500):
        with pytest.raises((InvalidRequestError, PermissionDeniedError)):
            world.ask(f"{PROFILE}{number}")
    assert not world.asked
    assert not world.records


def test_profiles_are_looked_up_within_the_rate_limit():
    world = World(
        *[UpstreamRefusal("ResourceNotFoundException", "no")] * 9, rate_limit=3, behind=""
    )
    for number in range(9):
        with pytest.raises(RateLimitError if number >= 3 else NotFoundError):
            world.ask(f"{PROFILE}{number}")
    assert len(world.asked) == 3


@pytest.mark.parametrize("pattern", ["claude-haiku-*", "*haiku*", "anthropic.claude-haiku-*"])
def test_a_key_may_use_a_profile_of_a_model_that_it_may_use(pattern):
    world = World(ANSWER, ANSWER, allowed_models=(pattern,))
    for _ in range(2):
        world.ask(f"{PROFILE}a")
    assert world.asked == [(f"{PROFILE}a", "k")]
    assert [record.cost_nano is None for record in world.records] == [False, False]


@pytest.mark.parametrize("behind", ["", "anthropic.claude-sonnet-4-5-20250929-v1:0"])
def test_a_profile_of_another_model_or_of_none_is_refused_and_nothing_stays_taken(behind):
    world = World(
        behind=behind,
        allowed_models=("claude-haiku-*",),
        concurrency_limit=1,
        total_budget_nano=10**9,
    )
    for number in range(3):
        with pytest.raises(InvalidRequestError, match="this key may not use"):
            world.ask(f"{PROFILE}{number}")
    assert not world.upstream.calls
    assert [slice_.running for slice_ in world.counters.budgets.slices.values()] == [0]


def test_with_holds_the_price_of_what_is_behind_is_held():
    world = World(ANSWER, holds=True, total_budget_nano=1000)
    with pytest.raises(PermissionDeniedError, match="not enough left"):
        world.ask(f"{PROFILE}a")
    assert world.asked
    (slice_,) = world.counters.budgets.slices.values()
    assert (slice_.running, slice_.held) == (0, 0)
    rich = World(ANSWER, holds=True, total_budget_nano=10**12)
    rich.ask(f"{PROFILE}a")
    assert rich.records[0].cost_nano > 0


@pytest.mark.parametrize("name", ["us.anthropic.claude-9", f"{PROFILE}a"])
def test_what_no_budget_could_count_can_be_refused(name):
    """Of keys with budgets alone, and before anything is asked of the model."""
    refusing = World(
        ANSWER, behind="anthropic.claude-9", serves_unpriced=False, total_budget_nano=1
    )
    with pytest.raises(InvalidRequestError, match="no known price") as refused:
        refusing.ask(name)
    assert refused.value.error_code == "model_unpriced"
    assert not refusing.upstream.calls
    for served in (
        World(ANSWER, behind="anthropic.claude-9", serves_unpriced=False),
        World(ANSWER, behind="anthropic.claude-9", total_budget_nano=1),
    ):
        served.ask(name)
        assert served.records[0].cost_nano is None


REFUSED = UpstreamRefusal("ValidationException", "The provided model identifier is invalid.")
DOWN = UpstreamRefusal("ModelErrorException", "no")
LISTED = [
    "claude-haiku-4-5",
    "claude-haiku-4-5[1m]",
    HAIKU,
    f"us.{HAIKU}",
    "mine",
    f"{PROFILE}mapped",
]
INVENTED = [
    "anthropic.claude-invented",
    "anthropic.claude-invented[1m]",
    f"arn:aws:bedrock:us-east-1:000000000001:inference-profile/us.{HAIKU}",
    f"arn:aws:bedrock:us-east-1:000000000001:provisioned-model/{HAIKU}",
    f"{PROFILE}invented",
]


def test_names_that_clients_invent_are_booked_as_one():
    world = World(*[REFUSED] * 300, behind="")
    for number in range(60):
        for name in INVENTED:
            with pytest.raises((NotFoundError, InvalidRequestError)):
                world.ask(name.replace("invented", f"{number}").replace("0001:", f"{number:04}:"))
    assert {record.model for record in world.records} == {UNKNOWN}
    assert len({record.bedrock_model_id for record in world.records}) > 100


@pytest.mark.parametrize("name", LISTED)
def test_names_that_the_operator_or_the_table_knows_are_booked_as_they_are(name):
    world = World(REFUSED, ANSWER, mapping={"mine": HAIKU, f"{PROFILE}mapped": HAIKU})
    with pytest.raises(NotFoundError):
        world.ask(name)
    world.ask(name)
    assert [record.model for record in world.records] == [name, name]


@pytest.mark.parametrize("name", INVENTED)
def test_a_name_that_a_model_has_answered_to_is_real(name):
    world = World(DOWN, ANSWER, DOWN, behind="")
    with pytest.raises(APIError):
        world.ask(name)
    world.ask(name)
    with pytest.raises(APIError):
        world.ask(name)
    assert [record.model for record in world.records] == [UNKNOWN, name, name]


def test_a_profile_that_bedrock_has_described_is_real():
    world = World(DOWN)
    with pytest.raises(Exception, match="no"):
        world.ask(f"{PROFILE}a")
    assert [record.model for record in world.records] == [f"{PROFILE}a"]


@pytest.mark.parametrize("answers", [False, True])
def test_a_name_is_real_once_its_stream_has_begun(answers):
    world = World([STREAM] if answers else asyncio.CancelledError())
    name = "anthropic.claude-3-invented"

    async def main():
        reply = await world.begin(name, stream=True)
        reply.close()

    if answers:
        asyncio.run(main())
    else:
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(main())
    assert [record.model for record in world.records] == [name if answers else UNKNOWN]


def test_what_is_remembered_of_names_is_bounded():
    world = World(*[ANSWER] * 1100)
    for number in range(1100):
        world.ask(f"anthropic.claude-{number}")
    assert len(world.counters.names._answered) <= 1024
