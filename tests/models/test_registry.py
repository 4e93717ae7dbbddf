from __future__ import annotations

import pytest
from msgspec import structs

from anthropic_bedrock_proxy.app.models import load_model_table
from anthropic_bedrock_proxy.errors import InvalidRequestError, NotFoundError
from anthropic_bedrock_proxy.models.betas import BetaRules
from anthropic_bedrock_proxy.models.registry import Link, Registry, RoutingOptions

TABLE = load_model_table()
HAIKU = "anthropic.claude-haiku-4-5-20251001-v1:0"
OPUS = "anthropic.claude-opus-4-6-v1"
ARN = "arn:aws:bedrock:us-east-1:111122223333:"


def route(name, *, region="us-east-1", **options):
    return Registry(TABLE, RoutingOptions(region=region, **options)).route(name)


def first_id(name, **options):
    return route(name, **options).targets[0].bedrock_model_id


@pytest.mark.parametrize(
    ("name", "bedrock_id", "base"),
    [
        ("claude-haiku-4-5-20251001", f"global.{HAIKU}", HAIKU),
        ("claude-haiku-4-5", f"global.{HAIKU}", HAIKU),
        ("claude-haiku-4-5[1m]", f"global.{HAIKU}", HAIKU),
        (f"us.{HAIKU}", f"us.{HAIKU}", HAIKU),
        (HAIKU, HAIKU, HAIKU),
        ("us.anthropic.claude-x", "us.anthropic.claude-x", "anthropic.claude-x"),
        (f"{ARN}inference-profile/us.{HAIKU}", f"{ARN}inference-profile/us.{HAIKU}", HAIKU),
        (f"{ARN}application-inference-profile/x", f"{ARN}application-inference-profile/x",
         f"{ARN}application-inference-profile/x"),
    ],
)  # fmt: skip
def test_names(name, bedrock_id, base):
    found = route(name)
    assert found.requested_model == name
    assert {target.bedrock_model_id for target in found.targets} == {bedrock_id}
    assert found.base_model_id == base


@pytest.mark.parametrize(
    ("region", "model", "bedrock_id"),
    [
        ("us-west-2", "claude-mythos-5", "us.anthropic.claude-mythos-5"),
        ("us-gov-west-1", "claude-sonnet-5-5", "us-gov.anthropic.claude-sonnet-5-5"),
        ("ap-south-1", "moonshotai.kimi-k3", "global.moonshotai.kimi-k3"),
        ("ap-southeast-2", "claude-mythos-preview", "au.anthropic.claude-mythos-preview"),
        ("eu-west-1", "openai.gpt-oss-20b-1:0", "openai.gpt-oss-20b-1:0"),
        ("us-gov-east-1", "openai.gpt-oss-20b-1:0", "us-gov.openai.gpt-oss-20b-1:0"),
        ("eu-central-1", "claude-opus-4-5", "global.anthropic.claude-opus-4-5-20251101-v1:0"),
    ],
)
def test_profiles_by_region(region, model, bedrock_id):
    assert first_id(model, region=region) == bedrock_id


@pytest.mark.parametrize(
    ("region", "model", "told"),
    [
        ("us-gov-west-1", "claude-opus-4-5", "it has global, us, eu"),
        ("ap-northeast-1", "claude-3-5-haiku-20241022", "it has us, eu"),
        ("sa-east-1", "claude-mythos-5", "no inference profile for sa-east-1: it has us"),
        ("cn-north-1", "claude-mythos-5", "models sync"),
        *(
            (region, "claude-opus-4-5", f"no inference profile for {region}: it has global, us, eu")
            for region in ("cn-north-1", "eusc-de-east-1", "us-iso-east-1", "us-isob-east-1")
        ),
        ("eu-isoe-west-1", "claude-opus-4-5", "no inference profile for eu-isoe-west-1"),
        ("us-gov-east-1", "us.anthropic.claude-opus-5", "only us-gov profiles"),
        ("us-gov-east-1", "global.anthropic.claude-opus-5", "only us-gov profiles"),
        ("eu-west-1", "us-gov.anthropic.claude-opus-5", "no us-gov profile"),
    ],
)
def test_where_a_model_is_not_it_is_said_where_it_is(region, model, told):
    with pytest.raises(InvalidRequestError, match=told):
        route(model, region=region)


def test_what_bedrock_lists_stands_over_the_table():
    registry = Registry(TABLE, RoutingOptions(region="us-gov-west-1"))
    registry.replace_offered({"anthropic.claude-opus-4-5-20251101-v1:0": ["us-gov"]})
    target = registry.route("claude-opus-4-5").targets[0]
    assert target.bedrock_model_id == "us-gov.anthropic.claude-opus-4-5-20251101-v1:0"
    registry = Registry(TABLE, RoutingOptions(region="eusc-de-east-1"))
    registry.replace_offered({"anthropic.claude-opus-4-5-20251101-v1:0": ["global"]})
    (target,) = registry.route("claude-opus-4-5").targets
    assert target.bedrock_model_id == "global.anthropic.claude-opus-4-5-20251101-v1:0"
    registry.replace_offered({"anthropic.claude-opus-5-5": ["us"], "anthropic.claude-opus-5": []})
    with pytest.raises(InvalidRequestError, match="it has us"):
        registry.route("claude-opus-5-5")
    assert registry.route("claude-opus-5").targets[0].bedrock_model_id == "anthropic.claude-opus-5"


def test_what_another_api_alone_serves_is_refused_with_the_reason():
    with pytest.raises(InvalidRequestError, match="OpenAI's API alone"):
        route("xai.grok-4.3")


@pytest.mark.parametrize(
    "name",
    [
        *("gpt-4", "", "unknown.model-v1:0", "us.", "x" * 500, "anthropic." + "x" * 2040),
        *("anthropic.claude-3/../../x", "anthropic.claude-3%2fx", "anthropic.claude-3?x#y"),
        *("anthropic.claude-3\r\nx: y", "anthropic.claude-3 ", "anthropic.claude-\N{SNOWMAN}"),
        *("arn:aws:bedrock:us-east-1:1:x\n", "arn:", "us.anthropic.claude-3[1m][1m]"),
    ],
)
def test_unknown_models(name):
    with pytest.raises(NotFoundError, match="model: ") as refused:
        route(name)
    assert len(refused.value.message) < 300


def test_the_operator_s_mapping_wins():
    mapping = {"opus": f"us.{HAIKU}", "claude-opus-4-5": "claude-haiku-4-5", "gone": "gpt-4"}
    assert first_id("opus", mapping=mapping) == f"us.{HAIKU}"
    assert route("opus[1m]", mapping=mapping).base_model_id == HAIKU
    assert route("claude-opus-4-5", mapping=mapping).base_model_id == HAIKU
    with pytest.raises(NotFoundError, match="model: gone"):
        route("gone", mapping=mapping)


@pytest.mark.parametrize("meant", ["claude-opus-5-5", "us.anthropic.claude-opus-5-5"])
def test_a_large_window_may_be_asked_for_behind_a_mapped_name_too(meant):
    assert first_id("fast", mapping={"fast": f"{meant}[1m]"}) == first_id(meant)


def test_routes_are_remembered_but_not_for_ever():
    registry = Registry(TABLE, RoutingOptions(region="us-east-1"))
    first = registry.route("claude-haiku-4-5")
    assert registry.route("claude-haiku-4-5") is first
    for number in range(5000):
        registry.route(f"anthropic.claude-{number}")
    assert len(registry._routes) <= 1024


@pytest.mark.parametrize(
    ("geography", "region", "asked", "name", "bedrock_id"),
    [
        ("global", "eu-west-1", "", "claude-opus-4-6", "global.anthropic.claude-opus-4-6-v1"),
        ("global", "eu-west-1", "us", "claude-opus-4-6", "us.anthropic.claude-opus-4-6-v1"),
        ("global", "eu-west-1", "us", OPUS, f"us.{OPUS}"),
        ("regional", "eu-west-1", "", "claude-opus-4-6", f"eu.{OPUS}"),
        ("regional", "ap-northeast-1", "apac", "claude-opus-4-6", f"apac.{OPUS}"),
        ("eu", "us-east-1", "", "claude-opus-4-6", f"eu.{OPUS}"),
        ("eu", "us-east-1", "eu", "claude-opus-4-6", f"eu.{OPUS}"),
        ("eu", "us-east-1", "", f"eu.{OPUS}", f"eu.{OPUS}"),
        ("eu", "us-east-1", "", "amazon.nova-lite-v1:0", "eu.amazon.nova-lite-v1:0"),
        ("eu", "eu-west-1", "", "zai.glm-4.7", "zai.glm-4.7"),
        ("global", "eu-west-1", "eu", "zai.glm-4.7", "zai.glm-4.7"),
        ("regional", "eu-west-1", "", "zai.glm-4.7", "zai.glm-4.7"),
        ("regional", "sa-east-1", "", "zai.glm-4.7", "zai.glm-4.7"),
        ("jp", "ap-northeast-3", "", "zai.glm-4.7", "zai.glm-4.7"),
        ("global", "eu-west-1", "us", f"{ARN}inference-profile/us.{OPUS}",
         f"{ARN}inference-profile/us.{OPUS}"),
    ],
)  # fmt: skip
def test_geography(geography, region, asked, name, bedrock_id):
    registry = Registry(TABLE, RoutingOptions(region=region, geography=geography))
    found = registry.route(name, geography=asked)
    assert {target.bedrock_model_id for target in found.targets} == {bedrock_id}


@pytest.mark.parametrize(
    ("geography", "region", "asked", "name"),
    [
        ("global", "us-east-1", "jp", "claude-mythos-5"),
        ("global", "us-east-1", "us", "global.anthropic.claude-opus-4-6-v1"),
        ("regional", "eu-west-1", "", "claude-mythos-5"),
        ("regional", "us-gov-west-1", "", "claude-opus-4-6"),
        ("regional", "eu-west-1", "us", "claude-opus-4-6"),
        ("eu", "eu-west-1", "global", "claude-opus-4-6"),
        ("eu", "eu-west-1", "", "global.anthropic.claude-opus-4-6-v1"),
        ("eu", "eu-west-1", "", "us.anthropic.claude-new"),
        ("eu", "us-east-1", "", "zai.glm-4.7"),
        ("eu", "us-east-1", "", HAIKU),
        ("jp", "ap-northeast-2", "", HAIKU),
        ("au", "ap-southeast-1", "", HAIKU),
        ("regional", "ap-northeast-2", "", "claude-sonnet-4-5"),
        ("global", "eu-west-1", "us", "zai.glm-4.7"),
        ("eu", "eu-west-1", "", f"{ARN}inference-profile/us.{OPUS}"),
    ],
)
def test_data_never_leaves_the_geography(geography, region, asked, name):
    registry = Registry(TABLE, RoutingOptions(region=region, geography=geography))
    with pytest.raises(InvalidRequestError, match=r"^inference_geo: "):
        registry.route(name, geography=asked)


def test_dialects_can_be_forced():
    found = route("claude-opus-5-5", dialects={"claude-opus-5-5": "converse"})
    assert [target.dialect for target in found.targets] == ["converse"]
    found = route("us.anthropic.claude-x", dialects={"*": "invoke"})
    assert [target.dialect for target in found.targets] == ["invoke"]


def test_bedrock_mantle_knows_bare_ids():
    found = route("claude-haiku-4-5", dialects={"*": "mantle"})
    assert found.targets[0].bedrock_model_id == "anthropic.claude-haiku-4-5"
    found = route("us.anthropic.claude-opus-4-7", dialects={"*": "mantle"})
    assert found.targets[0].bedrock_model_id == "anthropic.claude-opus-4-7"


def test_models_of_other_makers():
    assert route("us.amazon.nova-pro-v1:0").targets[0].dialect == "converse"
    assert route("qwen.qwen9-new").model is None
    assert "claude" not in route("qwen.qwen9-new").targets[0].capabilities.features


def test_the_store_s_map_wins_and_changes_at_run_time():
    registry = Registry(TABLE, RoutingOptions(region="us-east-1", mapping={"a": "claude-opus-4-7"}))
    assert registry.route("a").model.id == "claude-opus-4-7"
    registry.replace_stored({"a": "qwen.qwen3-32b-v1:0"})
    assert registry.route("a").targets[0].dialect == "converse"
    assert registry.names.mapping == {"a": "qwen.qwen3-32b-v1:0"}
    registry.replace_stored({})
    assert registry.route("a").model.id == "claude-opus-4-7"


def test_what_is_behind_an_application_profile():
    arn = f"{ARN}application-inference-profile/x"
    registry = Registry(TABLE, RoutingOptions(region="us-east-1"))
    assert registry.route(arn).opaque
    registry.learn_profile(arn, "anthropic.claude-opus-4-8")
    found = registry.route(arn)
    assert not found.opaque
    assert "system_role" in found.targets[0].capabilities.features
    assert {target.bedrock_model_id for target in found.targets} == {arn}
    registry.learn_profile(arn, "amazon.nova-lite-v1:0")
    assert [target.dialect for target in registry.route(arn).targets] == ["converse"]


def test_a_mapping_may_name_its_dialect():
    registry = Registry(TABLE, RoutingOptions(region="us-east-1"))
    mapping = {"a": "claude-opus-4-7", "b": "qwen.qwen3-32b-v1:0"}
    registry.replace_stored(mapping, {"a": "invoke", "b": "invoke"})
    assert [target.dialect for target in registry.route("a").targets] == ["invoke"]
    assert [target.dialect for target in registry.route("b").targets] == ["converse"]
    assert registry.route("claude-opus-4-7").targets[0].dialect == "messages"


def test_bedrock_mantle_runs_in_its_region():
    dialects = {"*": "mantle"}
    registry = Registry(TABLE, RoutingOptions(region="us-east-1", dialects=dialects))
    assert registry.route("claude-opus-5-5", geography="us").targets
    with pytest.raises(InvalidRequestError, match=r"^inference_geo: "):
        registry.route("claude-opus-5-5", geography="eu")


def test_a_chain_goes_on_where_the_geography_allows_it():
    providers = {"west": "us-west-2"}
    chains = {"*": (Link(), Link(provider="west"))}
    options = RoutingOptions(region="eu-west-1", providers=providers, chains=chains)
    found = Registry(TABLE, options).route("zai.glm-4.7", geography="us")
    assert [target.provider for target in found.targets] == ["west"]
    options = structs.replace(options, geography="eu")
    with pytest.raises(InvalidRequestError, match=r"^inference_geo: "):
        Registry(TABLE, structs.replace(options, region="us-east-1")).route("zai.glm-4.7")


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("claude-haiku-4-5", None),
        ("claude-haiku-4-5[1m]", None),
        (f"us.{HAIKU}", None),
        ("mapped", 64_000),
        ("amazon.nova-lite-v1:0", 10_000),
        ("chained", 64_000),
    ],
)
def test_limits_bind_where_a_client_may_not_know_the_model(name, most):
    mapping = {"mapped": "claude-haiku-4-5", "chained": "claude-opus-4-6"}
    chains = {"chained": (Link(model="claude-haiku-4-5"),)}
    found = route(name, mapping=mapping, chains=chains)
    assert found.targets[0].capabilities.output_tokens == most


def test_listed_ids_are_those_of_the_table_the_operator_and_bedrock():
    profile = f"{ARN}application-inference-profile/learned"
    registry = Registry(
        TABLE,
        RoutingOptions(
            region="us-east-1",
            mapping={"mine": "us.amazon.nova-mine-v1:0"},
            chains={"*": (Link(), Link(model=f"{ARN}application-inference-profile/chained"))},
        ),
    )
    registry.replace_stored({"stored": "anthropic.claude-stored"})
    registry.learn_profile(profile, OPUS)
    registry.route("us.anthropic.claude-of-a-client")
    assert {
        *(HAIKU, OPUS, profile, "amazon.nova-mine-v1:0", "anthropic.claude-stored"),
        f"{ARN}application-inference-profile/chained",
    } <= registry.listed_ids()
    assert "anthropic.claude-of-a-client" not in registry.listed_ids()


def test_known_betas_are_those_of_the_table_and_the_operator():
    operator = BetaRules(
        mapping={"theirs": ("ours",)},
        passthrough=frozenset(("passed",)),
        blocklist=frozenset(("blocked",)),
    )
    known = Registry(TABLE, RoutingOptions(region="us-east-1"), operator).known_betas()
    assert {
        *("theirs", "ours", "passed", "blocked"),
        "advanced-tool-use-2025-11-20",  # renamed
        "effort-2025-11-24",  # needed for a field
        "mid-conversation-tool-changes-2026-07-01",  # sent on use
        "structured-outputs-2025-11-13",  # of one dialect
        "context-1m-2025-08-07",
    } <= known
    assert "made-up-2025-01-01" not in known


def test_a_fetched_name_stands_under_the_operator_s_and_over_ours():
    registry = Registry(TABLE, RoutingOptions(region="us-east-1", mapping={"mine": f"us.{OPUS}"}))
    registry.replace_stored({"stored": f"us.{OPUS}"})
    fetched = dict.fromkeys(("mine", "stored", "theirs", "claude-opus-4-8"), f"us.{HAIKU}")
    registry.replace_fetched(fetched)

    def goes_to(name):
        return registry.route(name).targets[0].bedrock_model_id

    assert goes_to("mine") == goes_to("stored") == f"us.{OPUS}"
    assert goes_to("theirs") == goes_to("claude-opus-4-8") == f"us.{HAIKU}"
    assert registry.route("theirs").listed
    assert registry.names.mapping["mine"] == f"us.{OPUS}"
    registry.replace_fetched({})
    assert goes_to("claude-opus-4-8") != f"us.{HAIKU}"
