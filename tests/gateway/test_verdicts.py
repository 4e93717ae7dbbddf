"""What is learned from refusals, and what is not."""

from __future__ import annotations

import pytest
from streams import decode, encode

from anthropic_bedrock_proxy.errors import InvalidRequestError, UpstreamRefusal
from anthropic_bedrock_proxy.gateway.dialects import Wanted
from anthropic_bedrock_proxy.gateway.routing import DEFAULT_PLACE, Registry, RoutingOptions
from anthropic_bedrock_proxy.gateway.verdicts import Verdict, Verdicts
from anthropic_bedrock_proxy.parts import load_model_table
from anthropic_bedrock_proxy.protocol.messages import parse_request
from anthropic_bedrock_proxy.protocol.terms import DEFAULT_TERMS, Terms

REGISTRY = Registry(load_model_table(), RoutingOptions(region="us-east-1"))
INTERLEAVED, SEARCH = "interleaved-thinking-2025-05-14", "tool-search-tool-2025-10-19"


class World:
    def __init__(
        self, model="claude-sonnet-4-5", dialect="invoke", *, flags=(), terms=None, **body
    ):
        self.heard = []
        self.verdicts = Verdicts(REGISTRY.betas.needed_for, learned=self.heard.append)
        self.target = REGISTRY.target(REGISTRY.route(model), DEFAULT_PLACE, dialect)
        self.wanted = Wanted(
            flags=list(flags),
            rules=REGISTRY.betas,
            terms=terms or DEFAULT_TERMS,
            stream=False,
            request_id="req_1",
        )
        messages = [{"role": "user", "content": "Hello"}]
        body = {"model": model, "max_tokens": 9, "messages": messages, **body}
        self.request = parse_request(encode(body), "2023-06-01")

    def convert(self):
        return self.verdicts.convert(self.request, self.target, self.wanted)

    def learn(self, message, code="ValidationException", call=None):
        call = call or self.convert().call
        refusal = UpstreamRefusal(code, message, status=400)
        return self.verdicts.learn(self.request, self.target, self.wanted, call, refusal)

    def body(self):
        return decode(self.convert().call.body)


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
    assert [verdict.name for verdict in world.heard] == [name]
    assert not world.learn(message)


@pytest.mark.parametrize(
    ("model", "allowed"),
    [("anthropic.claude-sonnet-4-5-20250929-v1:0", False), ("*", False), ("*", True)],
)
def test_what_the_store_knows_is_not_learned_again(model, allowed):
    """Else a request whose next attempt is the same would be sent for ever."""
    world = World(flags=[INTERLEAVED])
    world.verdicts.replace_stored(
        [Verdict(model=model, dialect="*", kind="beta", name=INTERLEAVED, allowed=allowed)]
    )
    assert not world.learn(f"invalid beta flag: {INTERLEAVED}")
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
    thinking = {"type": "enabled", "budget_tokens": 2000, "scope": 1}
    world = World("claude-sonnet-4-5", "converse", thinking=thinking, max_tokens=5000)
    assert world.learn("thinking.enabled.scope: Extra inputs are not permitted")
    del thinking["scope"]
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
    assert world.convert().applied_edits == []


def test_deferred_tools_are_left_to_the_proxy_too():
    plain = {"name": "a", "input_schema": {"type": "object"}}
    world = World(tools=[plain, {**plain, "name": "b", "defer_loading": True}])
    assert len(world.body()["tools"]) == 2
    assert world.learn("tools.1.custom.defer_loading: Extra inputs are not permitted")
    assert [tool["name"] for tool in world.body()["tools"]] == ["a"]


def test_a_service_tier_that_the_model_has_not():
    world = World(terms=Terms(service_tier="flex"))
    header = ("x-amzn-bedrock-service-tier", "flex")
    assert header in world.convert().call.headers
    assert world.learn("The provided service tier is not supported for this model.")
    assert header not in world.convert().call.headers
    assert not world.learn("The provided service tier is not supported for this model.")


def test_other_models_and_dialects_are_not_concerned():
    world = World(flags=[SEARCH])
    assert world.learn("invalid beta flag")
    world.target = REGISTRY.target(REGISTRY.route("claude-haiku-4-5"), DEFAULT_PLACE, "invoke")
    assert world.body()["anthropic_beta"] == [SEARCH]


def test_the_operator_s_word_holds_for_all_models_or_one():
    world = World(flags=["new-flag-2027-01-01", SEARCH])
    assert world.body()["anthropic_beta"] == [SEARCH]
    common = {"kind": "beta", "dialect": "*"}
    allowed = Verdict(model="*", name="new-flag-2027-01-01", allowed=True, **common)
    blocked = Verdict(model="anthropic.claude-sonnet-4-5-20250929-v1:0", name=SEARCH, **common)
    world.verdicts.replace_stored([allowed, blocked])
    assert world.body()["anthropic_beta"] == ["new-flag-2027-01-01"]
    world.verdicts.replace_stored([])
    assert world.body()["anthropic_beta"] == [SEARCH]


def test_a_change_of_the_store_forgets_nothing_that_was_learned():
    world = World(flags=[SEARCH])
    world.learn("invalid beta flag")
    world.verdicts.replace_stored([])
    assert "anthropic_beta" not in world.body()
    assert world.verdicts.count == 1


def test_the_operator_s_word_beats_what_was_learned():
    world = World(flags=[SEARCH], terms=Terms(service_tier="flex"), tools=[TOOL])
    world.learn("invalid beta flag")
    world.learn("tools.0.custom.strict: Extra inputs are not permitted")
    world.learn("no such service tier")
    assert "strict" not in world.body()["tools"][0]
    names = (("beta", SEARCH), ("field", "tools.*.custom.strict"), ("tier", "flex"))
    world.verdicts.replace_stored(
        [
            Verdict(model="*", dialect="*", kind=kind, name=name, allowed=True)
            for kind, name in names
        ]
    )
    assert world.body()["anthropic_beta"] == [SEARCH]
    assert world.body()["tools"][0]["strict"] is True
    assert world.convert().call.headers


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
    world = World(flags=[INTERLEAVED], terms=Terms(service_tier="flex"), **body)
    assert not world.learn(message)
    assert world.heard == []


def test_several_paths_in_one_refusal():
    world = World(tools=[TOOL])
    assert world.learn(
        "Malformed input request: #/tools/0: extraneous key [strict] is not permitted"
        "#/tools/0: extraneous key [cache_control] is not permitted, please reformat your input"
    )
    assert [verdict.name for verdict in world.heard] == ["tools.*.strict", "tools.*.cache_control"]


def test_a_long_refusal_costs_one_look():
    world = World(flags=[INTERLEAVED])
    assert not world.learn("a-" * 100_000 + "!: Extra inputs are not permitted")


def test_requests_that_are_on_their_way_together_all_profit():
    world = World(flags=[SEARCH])
    first, second = world.convert().call, world.convert().call
    assert world.learn(f"invalid beta flag: {SEARCH}", call=first)
    assert world.learn(f"invalid beta flag: {SEARCH}", call=second)
    assert world.verdicts.count == 1
    assert not world.learn(f"invalid beta flag: {SEARCH}")


def test_what_cannot_be_done_without_is_said_by_the_next_attempt():
    tool = {"type": "computer_20251124", "name": "computer", "display_width_px": 1,
            "display_height_px": 1}  # fmt: skip
    world = World("claude-opus-4-8", "converse", tools=[tool])
    assert world.learn("invalid beta flag")
    with pytest.raises(InvalidRequestError, match=r"^tools\.0: computer_20251124"):
        world.convert()
