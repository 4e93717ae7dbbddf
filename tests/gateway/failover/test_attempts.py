"""Requests over several providers, each a scripted upstream, with a clock that the test moves."""

from __future__ import annotations

import asyncio
import gc
import logging
from contextlib import contextmanager, suppress

import pytest
from factories import make_counters, make_messages
from streams import EVENTS, MESSAGE, STREAM, chunk_frame, encode, exception_frame
from working import search_tools

from anthropic_bedrock_proxy.app.models import load_model_table
from anthropic_bedrock_proxy.aws_errors import UpstreamRefusal
from anthropic_bedrock_proxy.errors import (
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    RateLimitError,
    UnavailableError,
    UpstreamTimeoutError,
)
from anthropic_bedrock_proxy.fetch.base import NoFetcher
from anthropic_bedrock_proxy.gateway.counting import Counting, TokenCount
from anthropic_bedrock_proxy.gateway.exchange import Exchange
from anthropic_bedrock_proxy.gateway.failover.attempts import Attempts
from anthropic_bedrock_proxy.gateway.failover.chains import parse_chains
from anthropic_bedrock_proxy.gateway.failover.conversations import Conversations
from anthropic_bedrock_proxy.gateway.failover.failover import Failover, FailoverOptions
from anthropic_bedrock_proxy.gateway.sources import Sources
from anthropic_bedrock_proxy.models.registry import DEFAULT_PROVIDER, Registry, RoutingOptions
from anthropic_bedrock_proxy.protocol.answer.events import explode
from anthropic_bedrock_proxy.protocol.request.messages import MessagesRequest, parse_request
from anthropic_bedrock_proxy.store.base.callers import Caller, KeyRecord
from anthropic_bedrock_proxy.store.base.catalog import ProviderRecord
from anthropic_bedrock_proxy.upstream.base import Deadlines
from anthropic_bedrock_proxy.upstream.fake import FakeUpstream
from anthropic_bedrock_proxy.upstream.providers import Providers

TABLE = load_model_table()
HAIKU = "claude-haiku-4-5"  # one dialect: invoke
OPUS = "claude-opus-4-8"  # two: messages, then invoke
PROVIDERS = {"west": "us-west-2", "east": "us-east-2"}
BODY = {"max_tokens": 10, "messages": [{"role": "user", "content": "Hello"}]}
ANSWER = encode(MESSAGE)
OPTIONS = FailoverOptions(
    first_byte_seconds=2, answer_seconds=9, failures=3, cooldown_seconds=30, sticky_seconds=600
)


def refusal(code="ThrottlingException", message="no", *, sent=False, **more):
    made = UpstreamRefusal(code, message, **more)
    made.sent = sent
    return made


class NoSources:
    async def inline(self, request, key_id):
        return request


class World:
    """Messages on as many fakes as there are providers."""

    def __init__(self, *chain, options=OPTIONS, upstreams=None):
        self.now = 1000.0
        self.records = []
        self.switches = []
        self.upstreams = upstreams or {
            name: FakeUpstream() for name in (DEFAULT_PROVIDER, *PROVIDERS)
        }
        chains = parse_chains({"*": chain} if chain else {}, PROVIDERS)
        self.failover = Failover(options, monotonic=lambda: self.now)
        registry = Registry(
            TABLE, RoutingOptions(region="us-east-1", providers=PROVIDERS, chains=chains)
        )
        self.messages = make_messages(
            self.upstreams,
            registry,
            make_counters(self, registry, monotonic=lambda: self.now),
            monotonic=lambda: self.now,
            failover=self.failover,
            sources=NoSources(),
        )

    def append(self, record):
        self.records.append(record)

    def script(self, **steps):
        for provider, script in steps.items():
            self.upstreams[provider].script.extend(script)

    def calls(self):
        return {name: len(fake.calls) for name, fake in self.upstreams.items() if fake.calls}

    async def begin(self, *, key="key_1", provider=None, **body):
        exchange = self.exchange = Exchange("req_1", started=self.now, at_ms=0)
        exchange.version = "2023-06-01"
        exchange.key_id = key
        exchange.caller = Caller(
            KeyRecord(
                id=key, name="", secret_hint="", created_at=0, updated_at=0, provider=provider
            )
        )
        return await self.messages.handle(exchange, encode({"model": HAIKU, **BODY, **body}))

    def ask(self, **request):
        return asyncio.run(self.begin(**request))

    def target(self, **request):
        """PROVIDER/DIALECT that served it, as the client is told."""
        self.ask(**request)
        self.switches += self.exchange.switches
        return self.exchange.served_by or ""


def state(world, provider):
    (breaker,) = [b for (name, _), b in world.failover.all_breakers.items() if name == provider]
    return breaker.state


def test_one_provider_has_nothing_to_do_with_any_of_this():
    world = World()
    world.script(default=[refusal()] * 9 + [ANSWER])
    for _ in range(9):
        with pytest.raises(RateLimitError):
            world.ask()
    assert world.target() == ""
    assert not world.failover.all_breakers
    assert {call.deadlines for call in world.upstreams[DEFAULT_PROVIDER].calls} == {None}
    assert not world.exchange.switches


def test_100_of_100_while_the_first_target_throttles():
    world = World("default", "west")
    world.script(default=[refusal()] * 100, west=[ANSWER] * 100)
    assert {world.target(key=f"key_{number}") for number in range(100)} == {"west/invoke"}
    assert world.calls() == {"default": 3, "west": 100}
    assert world.switches == [("default/invoke", "west/invoke", "ThrottlingException")] * 3
    assert {(record.error, record.input_tokens) for record in world.records} == {(None, 12)}


@pytest.mark.parametrize(
    "code",
    [
        "ThrottlingException",
        "ServiceQuotaExceededException",
        "ModelNotReadyException",
        "ModelTimeoutException",
        "InternalServerException",
        "ServiceUnavailableException",
        "ExpiredTokenException",
        "UnrecognizedClientException",
        "MissingAuthenticationTokenException",
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_failures_of_a_provider_go_on_and_count(code, stream):
    world = World("default", "west")
    world.script(default=[refusal(code)] * 3, west=[[STREAM] if stream else ANSWER] * 3)
    for number in range(3):
        assert world.target(stream=stream, key=f"k{number}") == "west/invoke"
    assert state(world, DEFAULT_PROVIDER) == "open"


OWN_FAULTS = ["ModelTimeoutException", "ModelErrorException", "ModelStreamErrorException"]


def prompt(text):
    """A conversation of its own."""
    return {"messages": [{"role": "user", "content": text}]}


@pytest.mark.parametrize("code", OWN_FAULTS)
def test_slow_prompts_of_one_key_close_a_target_for_that_key_alone(code):
    world = World("default", "west")
    world.script(default=[refusal(code)] * 3 + [ANSWER], west=[ANSWER] * 4)
    for number in range(4):
        assert world.target(key="slow", **prompt(f"{number}")) == "west/invoke"
    assert world.calls() == {"default": 3, "west": 4}
    assert state(world, DEFAULT_PROVIDER) == "closed"
    assert world.target(key="another") == "default/invoke"


def test_errors_and_throttling_of_one_key_count_for_all():
    world = World("default", "west")
    codes = ("ThrottlingException", "InternalServerException", "ServiceUnavailableException")
    world.script(default=[refusal(code) for code in codes], west=[ANSWER] * 3)
    for number in range(3):
        world.ask(key="one", **prompt(f"{number}"))
    assert state(world, DEFAULT_PROVIDER) == "open"


def test_a_key_whose_slow_prompts_are_the_probes_does_not_keep_a_target_closed():
    world = World("default", "west")
    world.script(default=[refusal("InternalServerException")] * 3, west=[ANSWER] * 9)
    for number in range(3):
        world.ask(key=f"k{number}")
    world.now += 31
    world.script(default=[refusal("ModelTimeoutException"), ANSWER])
    assert world.target(key="slow") == "west/invoke"
    world.now += 31
    assert world.target(key="slow", **prompt("again")) == "west/invoke"
    assert world.target(key="another") == "default/invoke"
    assert state(world, DEFAULT_PROVIDER) == "closed"


def test_a_key_is_told_why_it_has_to_wait():
    world = World("default", "west")
    slow = [refusal("ModelTimeoutException")] * 3
    world.script(default=list(slow), west=list(slow))
    for number in range(3):
        with pytest.raises(UpstreamTimeoutError):
            world.ask(key="slow", **prompt(f"{number}"))
    with pytest.raises(OverloadedError, match="left alone after failures") as refused:
        world.ask(key="slow")
    assert refused.value.retry_after == 30


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("AccessDeniedException", "You don't have access to the model"),
        ("ResourceNotFoundException", "not found"),
        ("ValidationException", "The provided model identifier is invalid."),
        ("ValidationException", "Invocation with on-demand throughput isn\u2019t supported."),
        ("ValidationException", "This model is not supported in your Region."),
    ],
)
def test_what_is_not_to_be_had_here_may_be_elsewhere_and_does_not_count(code, message):
    world = World("default", "west")
    world.script(default=[refusal(code, message)] * 5, west=[ANSWER] * 5)
    for number in range(5):
        assert world.target(key=f"k{number}") == "west/invoke"
    assert state(world, DEFAULT_PROVIDER) == "closed"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("ValidationException", "messages: roles must alternate"),
        ("ValidationException", "Input is too long for requested model."),
        ("ConflictException", "no"),
    ],
)
def test_the_client_s_own_mistakes_stay_where_they_are(code, message):
    world = World("default", "west")
    world.script(default=[refusal(code, message)])
    with pytest.raises(Exception, match=r"roles|too long|no"):
        world.ask()
    assert world.calls() == {"default": 1}


def test_another_dialect_of_the_same_model_shares_the_quota():
    world = World("default", "west")
    world.script(default=[refusal()], west=[ANSWER])
    assert world.target(model=OPUS) == "west/messages"
    assert [call.operation for call in world.upstreams[DEFAULT_PROVIDER].calls] == ["messages"]


def test_another_model_of_the_same_provider_does_not():
    world = World("default", "default=claude-sonnet-4-5")
    world.script(default=[refusal(), ANSWER])
    assert world.target() == "default/invoke"
    first, second = [call.bedrock_model_id for call in world.upstreams[DEFAULT_PROVIDER].calls]
    assert "haiku" in first
    assert "sonnet" in second


@pytest.mark.parametrize("chain", [(), ("default", "west")])
@pytest.mark.parametrize(
    "said", [refusal("UnknownOperationException", status=404), refusal("not_found_error")]
)
def test_a_missing_endpoint_costs_one_request_in_ten_minutes(chain, said):
    world = World(*chain)
    world.script(default=[said, ANSWER, ANSWER, refusal("HTTP404", status=404), ANSWER])
    fake = world.upstreams[DEFAULT_PROVIDER]
    assert world.target(model=OPUS) == "default/invoke"
    assert world.target(model=OPUS) == "default/invoke"
    assert [call.operation for call in fake.calls] == ["messages", "invoke", "invoke"]
    world.now += 601
    world.ask(model=OPUS)
    assert [call.operation for call in fake.calls[3:]] == ["messages", "invoke"]


def test_a_request_that_is_not_found_anywhere_hides_no_endpoint():
    world = World()
    world.script(default=[refusal("not_found_error"), refusal("not_found_error"), ANSWER])
    with pytest.raises(NotFoundError):
        world.ask(model=OPUS)
    assert world.target(model=OPUS) == ""
    assert world.upstreams[DEFAULT_PROVIDER].calls[-1].operation == "messages"


def test_deadlines_is_short_while_somebody_else_could_serve():
    world = World("default", "west", "east")
    for stream, seconds in ((False, 9), (True, 2)):
        ok = [STREAM] if stream else ANSWER
        world.script(default=[refusal()], west=[refusal()], east=[ok])
        world.ask(stream=stream, key=str(stream))
        told = [fake.calls[-1].deadlines for fake in world.upstreams.values()]
        assert told == [Deadlines(max_attempts=1, first_byte_seconds=seconds)] * 2 + [None]


def test_deadlines_is_whole_when_the_others_are_cooling():
    world = World("default", "west")
    world.script(default=[ANSWER] * 2, west=[])
    world.ask()
    assert world.upstreams[DEFAULT_PROVIDER].calls[0].deadlines is not None
    breakers = next(
        breakers for (p, _), breakers in world.failover.all_breakers.items() if p == "west"
    )
    passed = breakers.begin("key_1", world.now)
    breakers.failed("key_1", passed, world.now, cause="throttling", cooldown_seconds=5)
    world.ask()
    assert world.upstreams[DEFAULT_PROVIDER].calls[1].deadlines is None


def test_all_cooling_tells_when_the_first_may_be_tried_again():
    world = World("default", "west")
    world.script(default=[refusal(retry_after=20)], west=[refusal(retry_after=7.2)])
    with pytest.raises(RateLimitError) as refused:
        world.ask()
    world.now += 1
    with pytest.raises(RateLimitError, match="throttling") as refused:
        world.ask()
    assert refused.value.retry_after == 7
    assert world.calls() == {"default": 1, "west": 1}
    assert len(world.records) == 1  # the second never reached a model


def test_all_cooling_for_other_reasons_is_an_overload():
    world = World("default", "west")
    down = refusal("ServiceUnavailableException", retry_after=5)
    world.script(default=[down], west=[refusal(retry_after=5)])
    with pytest.raises(RateLimitError):
        world.ask()
    with pytest.raises(OverloadedError) as refused:
        world.ask()
    assert (refused.value.status, refused.value.retry_after) == (529, 5)


def test_a_retry_after_of_a_day_is_not_believed():
    world = World("default", "west")
    world.script(default=[refusal(retry_after=86400), ANSWER], west=[ANSWER])
    world.ask(key="a")
    world.now += 301
    assert world.target(key="b") == "default/invoke"


def test_after_the_cooldown_exactly_one_request_probes():
    world = World("default", "west")
    world.script(default=[refusal(retry_after=1)], west=[ANSWER])
    world.ask(key="a")
    world.now += 2
    gate = asyncio.Event()

    class Slow(FakeUpstream):
        async def call(self, call):
            self.calls.append(call)
            await gate.wait()
            return await FakeUpstream([ANSWER]).call(call)

    world.upstreams[DEFAULT_PROVIDER] = slow = Slow()
    world.script(west=[ANSWER] * 4)

    async def main():
        probe = asyncio.create_task(world.begin(key="probe"))
        await asyncio.sleep(0)
        exchange, others = world.exchange, []
        for number in range(3):
            await world.begin(key=f"other{number}")
            others.append(world.exchange.served_by)
        gate.set()
        await probe
        return exchange.served_by, others

    assert asyncio.run(main()) == ("default/invoke", ["west/invoke"] * 3)
    assert len(slow.calls) == 1
    assert state(world, DEFAULT_PROVIDER) == "closed"


def test_a_client_that_leaves_gives_its_probe_back():
    world = World("default", "west")
    world.script(default=[refusal(retry_after=1), asyncio.CancelledError(), ANSWER], west=[ANSWER])
    world.ask(key="a")
    world.now += 2
    with pytest.raises(asyncio.CancelledError):
        world.ask(key="b")
    assert world.target(key="c") == "default/invoke"


MARK = {"cache_control": {"type": "ephemeral"}}


@pytest.mark.parametrize(
    "marked",
    [
        [{"type": "text", "text": "A", **MARK}],
        [{**MARK, "type": "text", "text": "A"}],
        [{"type": "text", **MARK, "text": "A"}],
        [{"type": "text", "text": "A", "cache_control": None}],
    ],
)
def test_a_conversation_stays_where_its_cache_is(marked):
    world = World("default", "west")
    world.script(default=[refusal()] + [ANSWER] * 9, west=[ANSWER] * 9)
    plain = [{"type": "text", "text": "A"}]
    answer = {"role": "assistant", "content": "B"}

    def turn(first, *more):
        return {"system": "You are.", "messages": [{"role": "user", "content": first}, *more]}

    assert world.target(**turn(marked)) == "west/invoke"
    later = turn(plain, answer, {"role": "user", "content": "C"})
    assert world.target(**later) == "west/invoke"
    assert world.target(**turn("D")) == "default/invoke"
    assert world.target(key="another", **later) == "default/invoke"
    world.now += 599
    assert world.target(**later) == "west/invoke"
    world.now += 601
    assert world.target(**later) == "default/invoke"


@pytest.mark.parametrize(
    "user_id",
    [
        "user_ab_account_cd_session_{}",
        '{{"device_id": "ab", "account_uuid": "cd", "session_id": "{}"}}',
    ],
)
def test_a_session_of_claude_code_is_a_conversation(user_id):
    one, two = (f"0a1b2c3d-0000-4000-8000-00000000000{n}" for n in (1, 2))

    def of(session, text):
        metadata = {"user_id": user_id.format(session)}
        return {"metadata": metadata, "messages": [{"role": "user", "content": text}]}

    world = World("default", "west")
    world.script(default=[refusal(), ANSWER], west=[ANSWER] * 2)
    assert world.target(**of(one, "A")) == "west/invoke"
    assert world.target(**of(one, "B")) == "west/invoke"
    assert world.target(**of(two, "A")) == "default/invoke"


def test_conversations_are_forgotten_when_they_return_and_when_there_are_too_many():
    world = World("default", "west")
    world.failover.conversations = Conversations(60.0, capacity=5)
    world.script(default=[refusal()] * 20, west=[ANSWER] * 20)
    for number in range(20):
        world.ask(key=f"key_{number}")
    assert len(world.failover.conversations) == 5
    world.upstreams["west"].script.append(refusal())
    world.upstreams[DEFAULT_PROVIDER].script.clear()
    world.script(default=[ANSWER])
    world.now += 60
    world.ask(key="key_19")
    assert len(world.failover.conversations) == 4


def test_stickiness_can_be_off():
    world = World("default", "west", options=FailoverOptions(sticky_seconds=0))
    world.script(default=[refusal(), ANSWER], west=[ANSWER])
    assert [world.target(), world.target()] == ["west/invoke", "default/invoke"]


def test_after_the_first_byte_nobody_else_is_called():
    world = World("default", "west")
    broken = [chunk_frame(EVENTS[0][1]), exception_frame("throttlingException", "slow")]
    world.script(default=[broken])

    async def main():
        source = await world.begin(stream=True)
        assert [name for name, _ in await source.read()] == [b"message_start"]
        with pytest.raises(RateLimitError):
            await source.read()

    asyncio.run(main())
    assert world.calls() == {"default": 1}


SEARCH = "tool_search_tool_regex"
SEARCHING = {
    **MESSAGE,
    "content": [{"type": "tool_use", "id": "toolu_1", "name": SEARCH, "input": {"pattern": "x"}}],
    "stop_reason": "tool_use",
}


@pytest.mark.parametrize("code", ["ValidationException", "ThrottlingException"])
def test_once_a_model_of_a_turn_has_answered_nobody_else_is_called(code):
    """Also for an answer that is wanted whole, of which the client has seen nothing yet."""
    world = World("default", "west")
    call = [chunk_frame(data) for _, data in explode(SEARCHING)]
    world.script(default=[call, refusal(code, "no")], west=[call])
    tools = [{"type": SEARCH, "name": SEARCH}, {"name": "x", "defer_loading": True}]
    with pytest.raises(RateLimitError if code == "ThrottlingException" else InvalidRequestError):
        world.ask(model="claude-opus-4-1", tools=tools)
    assert world.calls() == {"default": 2}


def test_what_the_last_target_cannot_do_is_not_the_client_s_mistake():
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aA"}}
    world = World("default", "west=openai.gpt-oss-120b-1:0")
    messages = [{"role": "user", "content": [image]}]
    world.script(default=[refusal(sent=True), ANSWER])
    with pytest.raises(RateLimitError):
        world.ask(messages=messages)
    assert world.records[0].error == "rate_limit_error"
    world = World("west=openai.gpt-oss-120b-1:0")
    with pytest.raises(InvalidRequestError):
        world.ask(messages=messages)
    world = World("west=openai.gpt-oss-120b-1:0", "default")
    world.script(default=[ANSWER])
    assert world.target(messages=messages) == "default/invoke"


def test_an_attempt_that_was_sent_is_told_in_the_log_and_only_there(caplog):
    caplog.set_level(logging.WARNING)
    world = World("default", "west")
    world.script(default=[refusal("ModelTimeoutException", sent=True)], west=[ANSWER])
    world.ask()
    (switch,) = [r for r in caplog.records if r.message.startswith("switched")]
    assert "AWS may bill" in switch.message
    assert (switch.request_id, switch.to, switch.code) == (
        "req_1",
        "west/invoke",
        "ModelTimeoutException",
    )
    (record,) = world.records
    assert (record.input_tokens, record.estimated) == (12, False)


def test_if_nobody_answers_what_was_sent_is_charged():
    world = World("default", "west")
    world.script(default=[refusal("ModelTimeoutException", sent=True)], west=[refusal()])
    with pytest.raises(RateLimitError):
        world.ask()
    (record,) = world.records
    assert record.estimated
    assert record.input_tokens > 0


def test_what_was_sent_is_charged_if_the_others_cannot_do_what_is_asked():
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aA"}}
    world = World("default", "west=openai.gpt-oss-120b-1:0")
    world.script(default=[refusal("ModelTimeoutException", sent=True)])
    with pytest.raises(UpstreamTimeoutError):
        world.ask(messages=[{"role": "user", "content": [image]}])
    (record,) = world.records
    assert record.bedrock_model_id.startswith("global.anthropic.")
    assert record.estimated
    assert record.input_tokens > 0


def test_credentials_that_fail_everywhere_are_the_operator_s_business():
    world = World("default", "west")
    denied = refusal("InvalidSignatureException")
    world.script(default=[denied], west=[refusal("InvalidSignatureException")])
    with pytest.raises(UnavailableError, match="AWS credentials"):
        world.ask()


def test_a_key_with_a_provider_goes_there_and_nowhere_else():
    world = World("default", "west")
    world.script(east=[ANSWER, refusal()])
    assert world.target(provider="east") == ""
    with pytest.raises(RateLimitError):
        world.ask(provider="east")
    assert world.calls() == {"east": 2}
    assert not world.failover.all_breakers
    with pytest.raises(PermissionDeniedError, match="bound to the provider gone"):
        world.ask(provider="gone")


def test_a_key_with_a_provider_counts_there_too():
    world = World()
    world.script(east=[encode({"inputTokens": 5})])
    counting = Counting(
        world.upstreams,
        world.messages._registry,
        Sources(NoFetcher()),
        world.messages._admission,
        search_tools(),
        monotonic=world.failover.monotonic,
    )
    exchange = Exchange("req_1", started=0.0, at_ms=0)
    exchange.version = "2023-06-01"
    exchange.caller = Caller(
        KeyRecord(id="k", name="", secret_hint="", created_at=0, updated_at=0, provider="east")
    )
    body = encode({"model": HAIKU, "messages": BODY["messages"]})
    assert asyncio.run(counting.handle(exchange, body)) == TokenCount(5)
    assert world.calls() == {"east": 1}


def test_a_provider_that_goes_while_something_is_fetched():
    class Going:
        async def inline(self, request, key_id):
            providers.replace_stored([])
            return parse_request(encode({"model": HAIKU, **BODY}), request.version)

    providers = Providers(FakeUpstream(), {}, build=lambda _: FakeUpstream(), unseal=None)
    east = ProviderRecord(name="east", region="us-east-2", created_at=1, updated_at=1)
    providers.replace_stored([east])
    world = World(upstreams=providers)
    world.messages._sources = Going()
    image = {"type": "image", "source": {"type": "url", "url": "https://a.example/"}}
    messages = [{"role": "user", "content": [image]}]
    with pytest.raises(UnavailableError):
        world.ask(provider="east", messages=messages)
    with pytest.raises(PermissionDeniedError):
        world.ask(provider="east", messages=messages)


def test_a_provider_that_cannot_count_says_nothing_about_the_others():
    world = World()
    denied = refusal("UnrecognizedClientException")
    world.script(east=[denied], default=[encode({"input_tokens": 7})])
    counting = Counting(
        world.upstreams,
        world.messages._registry,
        Sources(NoFetcher()),
        world.messages._admission,
        search_tools(),
        monotonic=world.failover.monotonic,
    )

    def count(provider):
        exchange = Exchange("req_1", started=0.0, at_ms=0)
        exchange.version = "2023-06-01"
        exchange.caller = Caller(
            KeyRecord(
                id="k", name="", secret_hint="", created_at=0, updated_at=0, provider=provider
            )
        )
        body = encode({"model": OPUS, "messages": BODY["messages"]})
        return asyncio.run(counting.handle(exchange, body))

    assert count("east").estimated
    assert count(None) == TokenCount(7)
    assert world.calls() == {"east": 1, "default": 1}


def test_breakers_do_not_grow_with_the_names_that_clients_invent():
    world = World("default", "west")
    world.script(default=[ANSWER] * 1500, west=[ANSWER])
    for number in range(1500):
        world.ask(model=f"anthropic.claude-{number}")
    assert len(world.failover.all_breakers) <= 1026


@contextmanager
def nothing_left_to_the_collector(kind):
    """Assert that the block frees every object of `kind` that it makes, without the collector."""

    def alive():
        return sum(isinstance(thing, kind) for thing in gc.get_objects())

    gc.collect()
    before = alive()  # refusals that are parameters of other tests hold theirs
    gc.disable()
    try:
        yield
        assert alive() == before
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "chain", [("default", "west"), ("default", "west=openai.gpt-oss-120b-1:0")]
)
def test_requests_that_fail_leave_nothing_to_the_collector(chain):
    class Refusing(FakeUpstream):  # the fake itself keeps its exceptions in a variable
        async def call(self, call):
            raise UpstreamRefusal("ThrottlingException", "no")

    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aA"}}
    world = World(*chain, upstreams={name: Refusing() for name in (DEFAULT_PROVIDER, *PROVIDERS)})

    async def main():
        for number in range(10):
            with suppress(RateLimitError):
                await world.begin(key=f"{number}", messages=[{"role": "user", "content": [image]}])

    with nothing_left_to_the_collector(Attempts):
        asyncio.run(main())


def test_a_refused_geography_leaves_nothing_to_the_collector():
    world = World()
    world.messages._registry = Registry(
        TABLE, RoutingOptions(region="us-east-1", geography="eu", providers=PROVIDERS)
    )

    async def main():
        for _ in range(10):
            with suppress(InvalidRequestError):
                await world.begin(model="claude-mythos-5")

    with nothing_left_to_the_collector(MessagesRequest):
        asyncio.run(main())


def test_what_only_the_last_can_not_do_while_the_others_cool():
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aA"}}
    world = World("default", "west=openai.gpt-oss-120b-1:0")
    world.script(default=[refusal(retry_after=20)])
    for _ in range(2):
        with pytest.raises(RateLimitError) as refused:
            world.ask(messages=[{"role": "user", "content": [image]}])
    assert refused.value.retry_after == 20
    assert "left alone" in refused.value.message
