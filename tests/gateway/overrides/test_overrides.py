"""What is learned from refusals, and what is not."""

from __future__ import annotations

import msgspec
import pytest
from streams import decode, encode

from anthropic_bedrock_proxy.app.models import load_model_table
from anthropic_bedrock_proxy.aws_errors import UpstreamRefusal
from anthropic_bedrock_proxy.errors import InvalidRequestError
from anthropic_bedrock_proxy.gateway.attempt import learned
from anthropic_bedrock_proxy.gateway.conversion import ConversionOptions, convert
from anthropic_bedrock_proxy.gateway.overrides.known import PROBE_SECONDS, capabilities_of
from anthropic_bedrock_proxy.gateway.overrides.overrides import KEEP_SECONDS, Overrides
from anthropic_bedrock_proxy.models.registry import DEFAULT_PROVIDER, Registry, RoutingOptions
from anthropic_bedrock_proxy.protocol.request.messages import parse_request
from anthropic_bedrock_proxy.protocol.request.policy import DEFAULT_POLICY, Policy
from anthropic_bedrock_proxy.store.base.catalog import CapabilityOverride

REGISTRY = Registry(load_model_table(), RoutingOptions(region="us-east-1"))
INTERLEAVED, SEARCH = "interleaved-thinking-2025-05-14", "tool-search-tool-2025-10-19"


SONNET = "anthropic.claude-sonnet-4-5-20250929-v1:0"


def operator(**fields):
    """An override of the operator's."""
    common = {"model": "*", "dialect": "*", "allowed": False, "source": "operator", "updated_at": 1}
    return CapabilityOverride(**common | fields)


class World:
    """Requests of one body to one target; `key` is whose the next one is."""

    def __init__(
        self, model="claude-sonnet-4-5", dialect="invoke", *, flags=(), policy=None, **body
    ):
        self.now = 1_000_000.0
        self.heard = []
        self.overrides = Overrides(
            REGISTRY.betas.needed_for, learned=self.heard.append, now=lambda: self.now
        )
        self.target = REGISTRY.target(REGISTRY.route(model), DEFAULT_PROVIDER, dialect)
        self.flags, self.policy, self.key = list(flags), policy or DEFAULT_POLICY, "key_1"
        messages = [{"role": "user", "content": "Hello"}]
        body = {"model": model, "max_tokens": 9, "messages": messages, **body}
        self.request = parse_request(encode(body), "2023-06-01")
        self.view = None  # of the request that is under way

    @property
    def options(self):
        return ConversionOptions(
            flags=self.flags,
            rules=REGISTRY.betas,
            policy=self.policy,
            stream=False,
            request_id="req_1",
            key_id=self.key,
        )

    def convert(self):
        """The next attempt of the request that is under way, or the first of a new one."""
        view = self.view or self.overrides.view(self.target, self.key)
        return convert(self.request, self.target, self.options, view)

    def learn(self, message, code="ValidationException", call=None):
        """The attempt is refused; whether there is another."""
        call = call or self.convert().call
        refusal = UpstreamRefusal(code, message, status=400)
        view = self.view or self.overrides.view(self.target, self.key)
        taught = learned(
            self.overrides,
            self.request,
            self.target,
            self.options,
            call=call,
            refusal=refusal,
            view=view,
        )
        self.view = taught or self.view
        return taught is not None

    def succeed(self, view=None):
        """The attempt is answered."""
        view = view or self.view or self.overrides.view(self.target, self.key)
        if view is not None:
            call = convert(self.request, self.target, self.options, view).call
            self.overrides.confirm(self.target, self.options, call, view)
        self.view = None

    def teach(self, *messages, keys=("key_1", "key_2")):
        """Every key meets the refusals, and is answered then."""
        for self.key in keys:
            for message in messages:
                assert self.learn(message)
            self.succeed()
        self.key = "another"

    def body(self):
        return decode(self.convert().call.body)

    def store(self):
        """The store has what was heard of."""
        self.overrides.replace_stored({override.key: override for override in self.heard}.values())
        for override in self.heard:
            self.overrides.release(override)


TOOL = {"name": "t", "input_schema": {"type": "object"}, "strict": True}


@pytest.mark.parametrize(
    ("message", "name"),
    [
        ("tools.0.custom.strict: Extra inputs are not permitted", "tools.*.custom.strict"),
        ("tools.0.strict: Extra inputs are not permitted", "tools.*.strict"),
        (
            "Malformed input request: #/tools/0: extraneous key [strict] is not permitted.",
            "tools.*.strict",
        ),
    ],
)
def test_a_field_is_left_out_of_every_tool_from_then_on(message, name):
    world = World(tools=[TOOL, {**TOOL, "name": "u"}])
    assert world.learn(message)
    assert all("strict" not in tool for tool in world.body()["tools"])
    assert name in world.convert().dropped
    assert not world.learn(message)
    world.succeed()
    assert [override.name for override in world.heard] == [name]
    assert all("strict" not in tool for tool in world.body()["tools"])


@pytest.mark.parametrize(("model", "allowed"), [(SONNET, False), ("*", False), ("*", True)])
def test_what_the_operator_has_decided_is_not_learned(model, allowed):
    """Else a request whose next attempt is the same would be sent for ever."""
    world = World(flags=[INTERLEAVED])
    world.overrides.replace_stored(
        [operator(model=model, kind="beta", name=INTERLEAVED, allowed=allowed)]
    )
    assert not world.learn(f"invalid beta flag: {INTERLEAVED}")
    world.succeed()
    assert not world.heard


def test_an_echoed_key_deep_in_the_history():
    block = {"type": "text", "text": "a", "citations": [], "future": 1}
    world = World(messages=[{"role": "user", "content": [block, block]}])
    assert world.learn("messages.0.content.1.text.citations: Extra inputs are not permitted")
    assert (
        world.body()["messages"][0]["content"] == [{"type": "text", "text": "a", "future": 1}] * 2
    )


@pytest.mark.parametrize(
    "message",
    [
        "max_token: Extra inputs are not permitted",
        "messages.0.content: Extra inputs are not permitted",
        "messages.0.content.0.image.source: Extra inputs are not permitted",
        "max_tokens: must be at least 1",
        "service_tier: Extra inputs are not permitted",
    ],
)
def test_the_client_s_own_mistakes_are_not_learned(message):
    world = World(max_token=5)
    assert not world.learn(message)
    assert world.heard == []


def test_other_refusals_teach_nothing():
    world = World(tools=[TOOL])
    message = "tools.0.strict: Extra inputs are not permitted"
    assert not world.learn(message, code="ThrottlingException")


@pytest.mark.parametrize(
    ("message", "left"),
    [
        ("invalid beta flag", [SEARCH]),  # a field may need the other
        (f"invalid beta flag: {SEARCH}", [INTERLEAVED]),
        (f"Unexpected value(s) `{SEARCH}` for the `anthropic-beta` header.", [INTERLEAVED]),
    ],
)
@pytest.mark.parametrize(
    ("model", "dialect"), [("claude-sonnet-4-5", "invoke"), ("claude-opus-4-7", "messages")]
)
def test_the_flag_that_was_named_goes_or_those_that_nothing_needs(message, left, model, dialect):
    world = World(model, dialect, flags=[INTERLEAVED, SEARCH])
    assert world.learn(message)
    call = world.convert().call
    sent = dict(call.headers).get("anthropic-beta", "").split(",") if call.headers else None
    if dialect == "invoke":
        sent = decode(call.body).get("anthropic_beta")
    assert (sent if sent != [""] else None) == left


def test_flags_that_a_field_needs_go_last():
    world = World(flags=[INTERLEAVED, SEARCH])
    assert world.learn("invalid beta flag")
    assert world.learn("invalid beta flag")
    assert "anthropic_beta" not in world.body()
    assert not world.learn("invalid beta flag")


def test_fields_of_claude_on_converse_stand_elsewhere():
    thinking = {"type": "adaptive", "display": "omitted"}
    world = World("claude-opus-4-8", "converse", thinking=thinking, max_tokens=5000)
    assert world.learn("thinking.adaptive.display: Extra inputs are not permitted")
    del thinking["display"]
    assert world.body()["additionalModelRequestFields"]["thinking"] == thinking


def test_flags_of_converse():
    world = World("claude-sonnet-4-5", "converse", flags=["computer-use-2025-01-24"])
    assert "anthropic_beta" in world.body()["additionalModelRequestFields"]
    assert world.learn("The model returned the following errors: invalid beta flag")
    assert "additionalModelRequestFields" not in world.body()


def test_what_the_flag_was_for_is_done_by_the_proxy():
    edits = {"edits": [{"type": "clear_tool_uses_20250919"}]}
    world = World(context_management=edits)
    assert "context_management" in world.body()
    assert world.learn("context_management: Extra inputs are not permitted")
    assert "context_management" not in world.body()
    assert world.convert().added == {"context_management": {"applied_edits": []}}


@pytest.mark.parametrize(
    "words", ["safeguards: Extra inputs are not permitted", "invalid beta flag"]
)
@pytest.mark.parametrize("dialect", ["invoke", "messages", "mantle"])
def test_refused_safeguards_go_with_their_flag_and_the_answer_says_so(dialect, words):
    flag = "dangerous-tool-use-2026-09-03"
    asked = [{"type": "dangerous_tool_use"}]
    world = World("claude-opus-5-5", dialect, flags=[flag], safeguards=asked)
    call = world.convert().call
    assert decode(call.body)["safeguards"] == asked
    assert flag in str(call)
    assert world.learn(words)
    assert "safeguards" not in world.body()
    assert flag not in str(world.convert().call)
    assert world.convert().added["safeguard_results"]


def test_deferred_tools_are_left_to_the_proxy_too():
    plain = {"name": "a", "input_schema": {"type": "object"}}
    world = World(tools=[plain, {**plain, "name": "b", "defer_loading": True}])
    assert len(world.body()["tools"]) == 2
    assert world.learn("tools.1.custom.defer_loading: Extra inputs are not permitted")
    assert [tool["name"] for tool in world.body()["tools"]] == ["a"]


def test_a_service_tier_that_the_model_has_not():
    world = World(policy=Policy(service_tier="flex"))
    header = ("x-amzn-bedrock-service-tier", "flex")
    assert header in world.convert().call.headers
    assert world.learn("The provided service tier is not supported for this model.")
    assert header not in world.convert().call.headers
    assert not world.learn("The provided service tier is not supported for this model.")


def test_other_models_and_dialects_are_not_concerned():
    world = World(flags=[SEARCH])
    world.teach("invalid beta flag")
    world.target = REGISTRY.target(REGISTRY.route("claude-haiku-4-5"), DEFAULT_PROVIDER, "invoke")
    assert world.body()["anthropic_beta"] == [SEARCH]


def test_the_operator_s_word_holds_for_all_models_or_one():
    world = World(flags=["new-flag-2027-01-01", SEARCH])
    assert world.body()["anthropic_beta"] == [SEARCH]
    allowed = operator(kind="beta", name="new-flag-2027-01-01", allowed=True)
    blocked = operator(kind="beta", name=SEARCH, model=SONNET)
    world.overrides.replace_stored([allowed, blocked])
    assert world.body()["anthropic_beta"] == ["new-flag-2027-01-01"]
    world.overrides.replace_stored([])
    assert world.body()["anthropic_beta"] == [SEARCH]


def test_a_change_of_the_store_forgets_nothing_that_was_learned():
    world = World(flags=[SEARCH])
    world.teach("invalid beta flag")
    world.overrides.replace_stored([])
    assert "anthropic_beta" not in world.body()


def test_who_removes_a_override_from_the_store_is_obeyed():
    world = World(flags=[SEARCH])
    world.teach("invalid beta flag")
    world.store()
    assert "anthropic_beta" not in world.body()
    world.overrides.replace_stored([])
    assert world.body()["anthropic_beta"] == [SEARCH]


def test_the_operator_s_word_beats_what_was_learned():
    world = World(flags=[SEARCH], policy=Policy(service_tier="flex"), tools=[TOOL])
    world.teach(
        "invalid beta flag",
        "tools.0.custom.strict: Extra inputs are not permitted",
        "no such service tier",
    )
    assert "strict" not in world.body()["tools"][0]
    names = (("beta", SEARCH), ("field", "tools.*.custom.strict"), ("tier", "flex"))
    world.overrides.replace_stored(
        [operator(kind=kind, name=name, allowed=True) for kind, name in names]
    )
    assert world.body()["anthropic_beta"] == [SEARCH]
    assert world.body()["tools"][0]["strict"] is True
    assert world.convert().call.headers


EDITS = {"edits": [{"type": "clear_tool_uses_20250919"}]}
DEFERRED = {"name": "d", "input_schema": {"type": "object"}, "defer_loading": True}
EXAMPLES = {"name": "e", "input_schema": {"type": "object"}, "input_examples": [{"a": 1}]}
HISTORY = [{"role": "user", "content": "Hello", "context_management": EDITS, "defer_loading": 1,
            "input_examples": [], "metadata": {}}]  # fmt: skip
SEARCHER = {"type": "tool_search_tool_regex_20251119", "name": "s", "defer_loading": True,
            "input_examples": []}  # fmt: skip
NESTED = {"name": "n", "input_schema": {"type": "object", "defer_loading": True, "strict": True}}


@pytest.mark.parametrize(
    "path",
    [
        # The three with which a client switched features off for everybody, for good.
        "messages.0.context_management",
        "messages.0.defer_loading",
        "messages.0.input_examples",
        "messages.0.metadata",
        "tools.3.defer_loading",
        "tools.3.tool_search_tool_regex_20251119.input_examples",
        "tools.4.custom.input_schema.defer_loading",
        "tools.4.input_schema.strict",
        "tools.4.custom.strict",  # the request did not have it there
        "tools.9.custom.strict",
        "tools.x.custom.strict",
        "tools.99999999999999999999.custom.strict",
        "tools.0.type.strict",
        "tools",
        "speed",
        "cache_control.ttl",
        ".".join(["messages.0.content"] * 9),
        "metadata.user_id",
    ],
)
def test_what_does_not_belong_or_was_not_there_is_not_learned(path):
    world = World(
        tools=[TOOL, DEFERRED, EXAMPLES, SEARCHER, NESTED],
        messages=HISTORY,
        context_management=EDITS,
        metadata={"user_id": "u"},
    )
    assert not world.learn(f"{path}: Extra inputs are not permitted")
    world.succeed()
    assert not world.heard


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("context_management", "beta"),
        ("tools.1.custom.defer_loading", "beta"),
        ("tools.1.defer_loading", "beta"),
        ("tools.2.custom.input_examples", "beta"),
        ("tools.0.custom.strict", "field"),
        ("messages.1.content.0.tool_result.is_error", "field"),
        ("messages.1.content.0.tool_result.content.0.document.title", "field"),
        ("messages.1.content.0.tool_result.content.0.document.source.content.0.text.citations",
         "field"),
        ("system.0.text.citations", "field"),
        ("output_config.effort", "field"),
        ("tool_choice.auto.disable_parallel_tool_use", "field"),
    ],
)  # fmt: skip
def test_what_belongs_there_is_learned(path, kind):
    text = {"type": "text", "text": "a", "citations": []}
    document = {"type": "document", "title": "t", "source": {"type": "content", "content": [text]}}
    result = {"type": "tool_result", "tool_use_id": "u", "content": [document], "is_error": True}
    use = {"type": "tool_use", "id": "u", "name": "t", "input": {}}
    world = World(
        tools=[TOOL, DEFERRED, EXAMPLES],
        messages=[
            {"role": "assistant", "content": [use]},
            {"role": "user", "content": [result]},
        ],
        system=[text],
        context_management=EDITS,
        output_config={"effort": "low"},
        tool_choice={"type": "auto", "disable_parallel_tool_use": True},
        model="claude-opus-4-5",
    )
    assert world.learn(f"{path}: Extra inputs are not permitted")
    world.succeed()
    assert [override.kind for override in world.heard] == [kind]


STRICT = "tools.0.custom.strict: Extra inputs are not permitted"


def left_out(world, key):
    world.key = key
    return "strict" not in world.body()["tools"][0]


def test_one_key_teaches_only_itself():
    world = World(tools=[TOOL])
    for _ in range(5):
        world.learn(STRICT)
        world.succeed()
    assert left_out(world, "key_1")
    assert not left_out(world, "key_2")
    (override,) = world.heard
    assert (override.witnesses, override.confirmations) == (("key_1",), 1)


def test_two_keys_teach_everybody():
    world = World(tools=[TOOL])
    world.teach(STRICT)
    assert left_out(world, "key_3")
    assert [override.witnesses for override in world.heard] == [("key_1",), ("key_1", "key_2")]


def test_two_workers_learn_together():
    """What the other one's key met comes through the store."""
    one, other = World(tools=[TOOL]), World(tools=[TOOL])
    one.teach(STRICT, keys=("key_1",))
    other.overrides.replace_stored(one.heard)
    assert left_out(other, "key_1")
    other.teach(STRICT, keys=("key_2",))
    assert left_out(other, "key_3")


def test_a_lesson_without_a_success_is_none():
    world = World(tools=[TOOL])
    for world.key in ("key_1", "key_2", "key_3"):
        assert world.learn(STRICT)
        assert not world.learn("messages: roles must alternate")
        world.view = None  # the client has its 400
    assert not left_out(world, "key_1")
    assert not world.heard


def test_evidence_that_is_too_old_counts_no_more():
    world = World(tools=[TOOL])
    world.teach(STRICT, keys=("key_1",))
    world.now += KEEP_SECONDS
    assert not left_out(world, "key_1")
    world.teach(STRICT, keys=("key_2",))
    assert not left_out(world, "key_3")
    assert world.heard[-1].witnesses == ("key_2",)


def test_what_earlier_versions_learned_counts_for_nobody_until_it_is_met_again():
    world = World(tools=[TOOL])
    old = CapabilityOverride(
        model=SONNET, dialect="invoke", kind="field", name="tools.*.custom.strict",
        allowed=False, source="learned", updated_at=1,
    )  # fmt: skip
    world.overrides.replace_stored([old])
    assert not left_out(world, "key_1")
    world.teach(STRICT)
    assert left_out(world, "key_3")


def test_a_override_says_what_it_is_founded_on():
    world = World(tools=[TOOL])
    world.teach(STRICT)
    told = world.heard[-1]
    assert told.reason == f"refused by Bedrock: {STRICT}"
    assert (told.learned_at, told.expires_at) == (1_000_000, 1_000_000 + KEEP_SECONDS)
    assert (told.source, told.confirmations) == ("learned", 2)


def test_a_override_lapses_and_is_withdrawn_when_bedrock_takes_it_again():
    world = World(tools=[TOOL])
    world.teach(STRICT)
    world.store()
    world.now += KEEP_SECONDS - 1
    assert left_out(world, "key_3")
    world.now += 1
    probing = world.overrides.view(world.target, "key_3")
    assert probing.probed is not None
    assert left_out(world, "key_4"), "one probe at a time"
    world.key = "key_3"
    world.succeed(probing)
    assert world.heard[-1].allowed
    assert not left_out(world, "key_4")
    world.store()
    assert not left_out(world, "key_4")
    world.teach(STRICT)
    assert left_out(world, "key_4")
    assert world.heard[-1].confirmations == 2


def test_a_probe_that_is_refused_makes_it_hold_for_another_day():
    world = World(tools=[TOOL])
    world.teach(STRICT)
    world.now += KEEP_SECONDS
    world.key = "key_3"
    world.view = world.overrides.view(world.target, "key_3")
    assert "strict" in world.body()["tools"][0]
    assert world.learn(STRICT)
    assert "strict" not in world.body()["tools"][0]
    world.succeed()
    assert world.heard[-1].confirmations == 3
    assert world.heard[-1].expires_at == world.now + KEEP_SECONDS
    assert world.heard[-1].learned_at == 1_000_000
    world.now += PROBE_SECONDS + 1
    assert left_out(world, "key_4")


def test_a_probe_that_had_nothing_of_it_proves_nothing_and_comes_again_after_a_minute():
    world = World(tools=[TOOL])
    world.teach(STRICT)
    world.now += KEEP_SECONDS
    with_strict = world.request
    world.request = World(tools=[NESTED]).request
    world.succeed()
    assert not world.heard[-1].allowed
    world.request = with_strict
    assert left_out(world, "key_3")
    world.now += PROBE_SECONDS
    assert not left_out(world, "key_3")


@pytest.mark.parametrize(
    ("message", "options"),
    [
        ("invalid beta flag", {"flags": [SEARCH]}),
        ("context_management: Extra inputs are not permitted", {"context_management": EDITS}),
        ("no such service tier", {"policy": Policy(service_tier="flex")}),
    ],
)
def test_flags_and_tiers_are_tried_again_too(message, options):
    world = World(**options)
    before = world.convert().call
    world.teach(message)
    assert world.convert().call != before
    world.now += KEEP_SECONDS
    world.view = world.overrides.view(world.target, "key_3")
    assert world.convert().call == before
    world.succeed()
    assert world.heard[-1].allowed
    assert world.convert().call == before


def test_a_probe_is_seen_by_whoever_decides_how_to_search_tools():
    world = World(flags=[SEARCH], tools=[TOOL, DEFERRED])
    world.teach("invalid beta flag")
    view = world.overrides.view(world.target, "key_3")
    assert SEARCH not in capabilities_of(world.target, view).betas
    world.now += KEEP_SECONDS
    view = world.overrides.view(world.target, "key_3")
    assert SEARCH in capabilities_of(world.target, view).betas


def test_of_flags_that_are_guessed_the_one_that_helped_is_learned():
    flags = [INTERLEAVED, "computer-use-2025-01-24", SEARCH]
    world = World(flags=flags)
    assert world.learn("invalid beta flag")
    assert world.body()["anthropic_beta"] == flags[1:]
    assert world.learn("invalid beta flag")
    world.succeed()
    assert [override.name for override in world.heard] == ["computer-use-2025-01-24"]
    assert world.body()["anthropic_beta"] == [INTERLEAVED, SEARCH]


def test_one_request_does_not_order_attempts_without_end():
    world = World(tools=[{**TOOL, "name": f"t{n}"} for n in range(40)])
    attempts = 0
    while world.learn(
        "tools.0.custom.strict: Extra inputs are not permitted"
        if not attempts
        else f"messages.0.content.{attempts}.text.citations: Extra inputs are not permitted"
    ):
        attempts += 1
    assert attempts == 1
    blocks = [{"type": f"t{n}", "citations": []} for n in range(40)]
    world = World(messages=[{"role": "user", "content": blocks}])
    for attempt in range(40):
        message = (
            f"messages.0.content.{attempt}.t{attempt}.citations: Extra inputs are not permitted"
        )
        if not world.learn(message):
            break
    assert attempt == 12


def test_what_is_remembered_is_bounded():
    world = World(tools=[TOOL])
    for number in range(1100):
        world.target = msgspec.structs.replace(world.target, bedrock_model_id=f"m{number}")
        world.teach(STRICT, keys=("key_1",))
        world.overrides.view(world.target, "key_1")
        world.overrides.view(world.target, "key_2")
    known = world.overrides._known
    assert max(len(known._own), len(known._views)) <= 1024


@pytest.mark.parametrize(
    ("message", "body"),
    [
        ("tools.0.strict: Extra inputs are not permitted", {"tools.0.strict": 1}),
        (
            "messages.0.content.0.text.cache_control: Extra inputs are not permitted",
            {"messages": [{"role": "user", "content": "a", "content.0.text.cache_control": 1}]},
        ),
        (
            "speed: Extra inputs are not permitted; : Extra inputs are not permitted",
            {"speed: Extra inputs are not permitted; ": 1},
        ),
        ("x context_management: Extra inputs are not permitted", {"x context_management": 1}),
        ("invalid beta flag: Extra inputs are not permitted", {"invalid beta flag": 1}),
        (
            "Tool 'invalid beta flag' not found in provided tools",
            {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "invalid beta flag"}},
        ),
        (
            "Tool 'service tier' not found in provided tools",
            {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "service tier"}},
        ),
    ],
)
def test_nobody_teaches_the_proxy_with_words_of_their_own(message, body):
    """What is learned holds for every client, and a refusal repeats what this one wrote."""
    world = World(flags=[INTERLEAVED], policy=Policy(service_tier="flex"), **body)
    assert not world.learn(message)
    world.succeed()
    assert world.heard == []


def test_of_several_paths_in_one_refusal_those_count_that_were_there():
    world = World(tools=[TOOL])
    assert world.learn(
        "Malformed input request: #/tools/0: extraneous key [strict] is not permitted"
        "#/tools/0: extraneous key [cache_control] is not permitted, please reformat your input"
    )
    world.succeed()
    assert [override.name for override in world.heard] == ["tools.*.strict"]


def test_paths_of_one_refusal_are_learned_together():
    world = World(tools=[{**TOOL, "cache_control": {"type": "ephemeral"}}])
    assert world.learn(
        "Malformed input request: #/tools/0: extraneous key [strict] is not permitted"
        "#/tools/0: extraneous key [cache_control] is not permitted, please reformat your input"
    )
    world.succeed()
    assert [override.name for override in world.heard] == [
        "tools.*.strict",
        "tools.*.cache_control",
    ]


def test_a_long_refusal_costs_one_look():
    world = World(flags=[INTERLEAVED])
    assert not world.learn("a-" * 100_000 + "!: Extra inputs are not permitted")


def test_requests_that_are_on_their_way_together_all_profit():
    world = World(flags=[SEARCH])
    first, second, third = (world.convert().call for _ in range(3))
    for world.key, call in (("key_1", first), ("key_2", second), ("key_3", third)):
        assert world.learn(f"invalid beta flag: {SEARCH}", call=call)
        world.succeed()
    assert world.heard[-1].confirmations == 3
    assert not world.learn(f"invalid beta flag: {SEARCH}")


def test_what_cannot_be_done_without_is_said_by_the_next_attempt():
    tool = {"type": "computer_20251124", "name": "computer", "display_width_px": 1,
            "display_height_px": 1}  # fmt: skip
    world = World("claude-opus-4-8", "converse", tools=[tool])
    assert world.learn("invalid beta flag")
    with pytest.raises(InvalidRequestError, match=r"^tools\.0: computer_20251124"):
        world.convert()
