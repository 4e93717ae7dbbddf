"""Installations of LiteLLM become plans: see golden/README.md."""

from __future__ import annotations

import json
from decimal import Decimal

import msgspec
import pytest
from litellm_cases import CASES, ENVIRON, NAMES, exports, plan_of, planned

from anthropic_bedrock_proxy.config import load_settings
from anthropic_bedrock_proxy.migration.documents import read_yaml
from anthropic_bedrock_proxy.migration.litellm.convert import convert
from anthropic_bedrock_proxy.migration.litellm.exports import LiteLLMExports, read_rows
from anthropic_bedrock_proxy.migration.plan import MigrationError, PlannedDifference
from anthropic_bedrock_proxy.store.secrets import hash_secret

BEDROCK = "bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0"
HAIKU = BEDROCK.removeprefix("bedrock/")
SECRETS = ("sk-1234", "AKIAEXAMPLEEXAMPLE12", "the-secret-of-another-account")
VARIABLES = {
    "LITELLM_GENERAL_SETTINGS_MASTER_KEY": "sk-1234",
    "LITELLM_MASTER_KEY": "sk-master",
    "LITELLM_MODEL_LIST_2_LITELLM_PARAMS_AWS_ACCESS_KEY_ID": "AKIAEXAMPLEEXAMPLE12",
    "LITELLM_MODEL_LIST_2_LITELLM_PARAMS_AWS_SECRET_ACCESS_KEY": "the-secret",
    "BEDROCK_MANTLE_KEY": "token",
    "REDIS_HOST": "redis.example.com",
    "REDIS_PASSWORD": "p",
}


def case_id(case):
    return case.name


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_a_case_becomes_the_plan_beside_it(case):
    made = msgspec.json.decode(msgspec.json.encode(planned(case).document()))
    assert made == json.loads((case / "plan.json").read_text())


def objects(value, place=""):
    """The objects of a document, with their places."""
    if isinstance(value, dict):
        yield place, value
        for name, inner in value.items():
            yield from objects(inner, f"{place}.{name}" if place else name)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from objects(inner, f"{place}[{number}]")


def differences_or_refusal(config, rows):
    """What is told of an installation; a refusal is told of the place with which it begins."""
    try:
        return convert(config, LiteLLMExports(**rows), NAMES, ENVIRON).differences
    except MigrationError as error:
        return [PlannedDifference(source=str(error).partition(": ")[0], why="", instead="")]


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_nothing_is_dropped_in_silence(case):
    """A field that nobody has heard of is told of, wherever it stands; else all around it is."""
    config = read_yaml((case / "config.yaml").read_text(), "config.yaml")
    rows = {
        kind: read_rows([json.loads(path.read_text())], kind)
        for kind, path in exports(case).items()
    }
    for place, found in [*objects(config), *objects(rows)]:
        if found is rows:
            continue
        found["unheard_of"] = 1
        own = f"{place}.unheard_of" if place else "unheard_of"
        told_of = differences_or_refusal(config, rows)
        del found["unheard_of"]
        told = [one for one in told_of if own.startswith(one.source)]
        assert any(one.source == own or "unheard_of" in one.why for one in told) or any(
            one.source == place or place.startswith((f"{one.source}.", f"{one.source}["))
            for one in told
        ), own


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_is_in_a_plan(secret):
    cases = [case for case in CASES if secret in (case / "config.yaml").read_text()]
    assert cases
    for case in cases:
        assert secret not in json.dumps(planned(case).document())


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_the_lines_for_env_are_settings_that_load(case, tmp_path):
    lines = [f"{name}='{value}'" for name, value in VARIABLES.items()]
    plan = planned(case)
    file = tmp_path / ".env"
    file.write_text("\n".join((*lines, *(line.line() for line in plan.settings))))
    environ = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "s"}
    settings = load_settings(environ=environ, env_file=file)
    assert {line.name for line in plan.settings} <= {
        name for name, origin in settings.sources.items() if origin == ".env"
    }
    assert "${" not in json.dumps(settings.failover.providers)
    assert settings.auth.master_api_key in {None, "sk-1234", "sk-master"}


def bodies(plan, path):
    return [operation.body for operation in plan.operations if operation.path == path]


def reasons(plan):
    return {one.source: one.why for one in plan.differences}


def model(text, **params):
    entry = {"model_name": "m", "litellm_params": {"model": text, "aws_region_name": "us-east-1"}}
    entry["litellm_params"] |= params
    return json.dumps({"model_list": [entry]})


@pytest.mark.parametrize(
    ("named", "meant"),
    [
        (BEDROCK, HAIKU),
        (HAIKU, HAIKU),
        (f"bedrock/invoke/{HAIKU}", HAIKU),
        (f"bedrock/us-west-2/{HAIKU}", HAIKU),
        (f"bedrock/us-west-2/1-month-commitment/{HAIKU}", HAIKU),
        ("anthropic/claude-haiku-4-5", "claude-haiku-4-5"),
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5-20251001"),
        ("bedrock/converse/amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0"),
        (
            "bedrock/arn:aws:bedrock:us-east-1:111122223333:inference-profile/us.x",
            "arn:aws:bedrock:us-east-1:111122223333:inference-profile/us.x",
        ),
    ],
)
def test_a_model_is_found_by_every_way_of_naming_it(named, meant):
    assert bodies(plan_of(model(named)), "models/mappings")[0]["bedrock_id"] == meant


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ("openai/gpt-4o", "another provider"),
        ("azure/claude-haiku-4-5", "another provider"),
        ("bedrock/agent/ABC/DEF", "calls no text model"),
        ("bedrock/nobody.knows-this", "knows no model"),
        ("anthropic/claude-2-of-nobody", "Bedrock has no model"),
        ("bedrock/*", "stands for any model"),
    ],
)
def test_a_model_that_is_not_served_here_is_told(named, why):
    plan = plan_of(model(named))
    assert plan.operations == []
    assert why in reasons(plan)["model_list[0]"]


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        ("{}", "config.yaml: has none of"),
        ("[]", "config.yaml: expected an object, not a list"),
        ("a: [", "config.yaml: line "),
        ("model_list: {}\nmodel_list: {}", "config.yaml: line 2: model_list is there twice"),
        ("1: 2\nmodel_list: []", "config.yaml: the name 1 is no text"),
        ("model_list: soon", "model_list: expected a list, not a text"),
        ("model_list: [sonnet]", "model_list[0]: expected an object, not a text"),
        ("model_list: [{model_name: a}]", "model_list[0]: litellm_params is missing"),
        (
            "model_list: [{model_name: a, litellm_params: {}}]",
            "model_list[0].litellm_params.model: names no model",
        ),
        (
            model(BEDROCK, aws_region_name="os.environ/NOT_SET"),
            "model_list[0].litellm_params.aws_region_name: its variable is not set here",
        ),
        ("general_settings: {a: 2001-99-99}", "config.yaml: is no YAML: ValueError"),
        ("#" * 5_000_000, "config.yaml: is longer than 4194304 characters"),
        (
            "a0: &a0 {x: 1}\n"
            + "".join(f"a{n}: &a{n} {{<<: [{f'*a{n - 1},' * 20}]}}\n" for n in range(1, 9)),
            "config.yaml: line 5: has more than 10000 names",
        ),
        (f"general_settings: {{a: {'9' * 5000}}}", "config.yaml: is no YAML: ValueError"),
        (f"general_settings: {{a: 0x{'f' * 5000}}}", "config.yaml: is no YAML: ValueError"),
        (
            model(BEDROCK, input_cost_per_token="1e-999999999"),
            "model_list[0].litellm_params.input_cost_per_token: expected a number from 0, of",
        ),
        (
            "router_settings: {num_retries: many}",
            "router_settings.num_retries: expected a number, not a text",
        ),
        (
            "router_settings: {num_retries: 1.5}",
            "router_settings.num_retries: expected a whole number",
        ),
        (
            "general_settings: {maximum_spend_logs_retention_period: soon}",
            "general_settings.maximum_spend_logs_retention_period: expected days",
        ),
        (
            "router_settings: {fallbacks: {a: b}}",
            "router_settings.fallbacks: expected a list, not an object",
        ),
    ],
)
def test_a_bad_file_is_refused_by_the_place_of_the_mistake(text, begins):
    with pytest.raises(MigrationError) as caught:
        plan_of(text)
    assert str(caught.value).startswith(begins)


@pytest.mark.parametrize(
    "text",
    [
        "model_list: sk-secret-of-somebody",
        "general_settings: {master_key: *sk-secret}",  # to YAML, an alias
        "general_settings: {master_key: !sk-secret x}",  # and a tag
        model(BEDROCK, aws_region_name="os.environ/A_SECRET"),
    ],
)
def test_no_refusal_quotes_what_may_be_a_secret(text):
    with pytest.raises(MigrationError) as caught:
        plan_of(text, environ={"A_SECRET": "sk-secret"})
    assert "sk-secret" not in str(caught.value)


def test_no_secret_of_a_url_or_of_a_name_is_in_a_plan():
    text = model(BEDROCK, api_base="https://ann:sk-secret@example.com/?token=sk-secret")
    plan = plan_of(text, keys=[key(key_name="sk-secret"), key(token="b", key_alias="sk-secret")])
    assert "sk-secret" not in str(plan.document())
    assert "BEDROCK_ENDPOINT_URL" in {line.name for line in plan.settings}


def test_names_that_an_object_merges_are_not_there_twice():
    """Also where an object that merges it comes before that object in the order of YAML."""
    base = "x: {inner: {deep: &b {<<: &a {k: 1}, k: 2}}}\ny: {<<: *b}\nmodel_list: [{}]"
    assert read_yaml(base, "config.yaml")["y"] == {"k": 2}


@pytest.mark.parametrize(
    ("document", "begins"),
    [
        ({"keys": ["ab" * 32]}, "keys[0]: only a hash"),
        ({"keys": [{}], "total_count": 230}, "keys: 1 of 230"),
        ({"detail": "x"}, "keys: there is no keys"),
        ({"error": {"message": "no"}}, "keys: the file holds an error"),
        ({"keys": [5]}, "keys[0]: expected an object"),
        (
            {"keys": [{"token": "a"}, {"token": "a"}], "total_count": 2},
            "keys: 1 of 2 are there twice",
        ),
    ],
)
def test_an_export_that_is_not_whole_is_refused(document, begins):
    with pytest.raises(MigrationError) as caught:
        read_rows([document], "keys")
    assert str(caught.value).startswith(begins)


def test_pages_of_an_export_are_put_together():
    pages = [{"keys": [{"token": str(number)}], "total_count": 2} for number in range(2)]
    assert [row["token"] for row in read_rows(pages, "keys")] == ["0", "1"]
    assert read_rows([], "keys") == []


def key(**fields):
    return {"token": hash_secret("sk-a").hex(), "key_name": "sk-...abcd", **fields}


CONFIG = f"model_list: [{{model_name: m, litellm_params: {{model: '{BEDROCK}'}}}}]"


@pytest.mark.parametrize(
    ("fields", "budget"),
    [
        ({"max_budget": 5}, {"total_budget_usd": Decimal(5)}),
        ({"max_budget": 5, "spend": 7}, {"total_budget_usd": Decimal(0)}),
        ({"max_budget": 0, "budget_duration": "1d"}, {"daily_budget_usd": Decimal(0)}),
        ({"max_budget": 5, "budget_duration": "1h"}, {"daily_budget_usd": Decimal(5)}),
        ({"max_budget": 5, "budget_duration": "2d"}, {"monthly_budget_usd": Decimal(5)}),
        ({"max_budget": 5, "budget_duration": "1mo"}, {"monthly_budget_usd": Decimal(5)}),
        ({"max_budget": 5, "budget_duration": "90d"}, {"total_budget_usd": Decimal(5)}),
        (
            {"max_budget": 9, "litellm_budget_table": {"max_budget": 5, "budget_duration": "1d"}},
            {"total_budget_usd": Decimal(9), "daily_budget_usd": Decimal(5)},
        ),
        (
            {"max_budget": 9, "litellm_budget_table": {"max_budget": 5}},
            {"total_budget_usd": Decimal(5)},
        ),
    ],
)
def test_a_budget_never_allows_more_than_before(fields, budget):
    (body,) = bodies(plan_of(CONFIG, keys=[key(**fields)]), "keys")
    assert {name: body[name] for name in body if name.endswith("_usd")} == budget


@pytest.mark.parametrize(
    ("fields", "begins"),
    [
        ({"max_budget": 1, "budget_duration": "soon"}, "budget_duration: expected a duration"),
        ({"max_budget": 1, "budget_duration": "9" * 5000 + "d"}, "budget_duration: expected a"),
        ({"max_budget": 1e30}, "max_budget: expected a number from 0, of a usual size"),
        ({"max_budget": -1}, "max_budget: expected a number from 0"),
        ({"max_budget": float("nan")}, "max_budget: expected a number from 0"),
        ({"litellm_budget_table": "x"}, "litellm_budget_table: expected an object"),
        ({"team_id": ["red"]}, "team_id: expected a text"),
        ({"user_id": {"a": 1}}, "user_id: expected a text"),
        ({"key_name": ["a"]}, "key_name: expected a text"),
        ({"key_alias": {"a": 1}}, "key_alias: expected a text"),
        ({"expires": False}, "expires: expected a text"),
    ],
)
def test_a_bad_field_of_a_key_is_refused_by_its_place(fields, begins):
    with pytest.raises(MigrationError) as caught:
        plan_of(CONFIG, keys=[key(**fields)])
    assert str(caught.value).startswith(f"keys[0].{begins}")


@pytest.mark.parametrize(
    ("routes", "moves"),
    [
        ([], True),
        (["llm_api_routes"], True),
        (["/v1/*", "/key/info"], True),
        (["info_routes"], False),
        (["/chat/completions"], False),
    ],
)
def test_a_key_that_may_call_no_model_there_gets_none_here(routes, moves):
    plan = plan_of(CONFIG, keys=[key(allowed_routes=routes)])
    assert bool(bodies(plan, "keys")) is moves
    assert moves or "allowed_routes" in reasons(plan)["keys[0]"]


@pytest.mark.parametrize("fields", [{"blocked": True}, {"rpm_limit": 0}])
def test_what_let_nothing_through_is_made_inactive(fields):
    plan = plan_of(CONFIG, keys=[key(**fields)], teams=[{"team_id": "t", **fields}])
    assert [bodies(plan, path)[0]["is_active"] for path in ("keys", "teams")] == [False, False]


@pytest.mark.parametrize(
    ("names", "allowed"),
    [
        (["m"], ["m"]),
        (["m", "bedrock/*"], None),
        (["anthropic/*"], ["claude-*"]),
        ([f"m{number}" for number in range(101)], None),
    ],
)
def test_a_key_without_models_may_use_those_that_were_offered(names, allowed):
    listed = [{"model_name": name, "litellm_params": {"model": BEDROCK}} for name in names]
    plan = plan_of(json.dumps({"model_list": listed}), keys=[key()])
    assert bodies(plan, "keys")[0].get("allowed_models") == allowed
    assert "every model" in reasons(plan)["model_list"]


def test_a_key_needs_what_bounds_it():
    owners = {"teams": [{"team_id": "t"}], "users": [{"user_id": "u"}]}
    plan = plan_of(CONFIG, keys=[key(user_id="u", team_id="t")], **owners)
    assert plan.operations[-1].needs == ("users[0]", "teams[0]")


def test_a_field_of_a_shared_budget_is_told_too():
    row = key(litellm_budget_table={"budget_id": "b", "max_budget": 1, "soft_budget": 1})
    told = reasons(plan_of(CONFIG, keys=[row]))
    assert "warnings come" in told["keys[0].litellm_budget_table.soft_budget"]


@pytest.mark.parametrize(
    ("of_key", "of_team", "allowed"),
    [
        ([], [], ["m"]),
        (["my model"], [], ["my?model"]),
        (["a"], [], ["a"]),
        ([], ["a"], ["a"]),
        (["a", "b"], ["b", "c"], ["b"]),
        (["a"], ["b"], ["no-default-models"]),
        (["all-team-models"], ["a"], ["a"]),
        (["a"], ["all-proxy-models"], ["a"]),
        (["all-proxy-models"], ["a"], ["a"]),
        (["claude-x"], ["claude-*"], ["claude-x"]),
        (["claude-*"], ["claude-?"], ["no-default-models"]),
        (["claude-[ab]"], [], ["claude-[[]ab]"]),
    ],
)
def test_a_key_may_use_what_it_and_its_team_allow(of_key, of_team, allowed):
    teams = [{"team_id": "t", "models": of_team}]
    (body,) = bodies(plan_of(CONFIG, keys=[key(team_id="t", models=of_key)], teams=teams), "keys")
    assert body.get("allowed_models") == allowed


@pytest.mark.parametrize(
    ("fields", "users", "why"),
    [
        ({"user_id": "ann"}, [], "its user ann is in no file"),
        ({"team_id": "red"}, [], "its team red is in no file"),
        ({"user_id": "ann"}, [{"user_id": "ann"}], None),
        ({"user_id": "default_user_id", "team_id": ""}, [], None),
    ],
)
def test_a_key_whose_bounds_are_not_known_is_left_out(fields, users, why):
    plan = plan_of(CONFIG, environ={"AWS_REGION": "us-east-1"}, keys=[key(**fields)], users=users)
    assert bool(bodies(plan, "keys")) is (why is None)
    assert reasons(plan).get("keys[0]", "").startswith(why or "")


@pytest.mark.parametrize(
    ("name", "value", "setting"),
    [
        ("num_retries", 0, ("UPSTREAM_MAX_ATTEMPTS", "1")),
        ("num_retries", 99, ("UPSTREAM_MAX_ATTEMPTS", "20")),
        ("allowed_fails", 0, ("FAILOVER_FAILURES", "1")),
        ("cooldown_time", 0, ("FAILOVER_COOLDOWN", "0.1")),
        ("timeout", 600.0, ("BEDROCK_TIMEOUT", "600")),
        ("timeout", None, None),
    ],
)
def test_a_setting_of_nothing_is_none_that_is_missing(name, value, setting):
    plan = plan_of(json.dumps({"model_list": [], "router_settings": {name: value}}))
    assert [(line.name, line.value) for line in plan.settings] == ([setting] if setting else [])


def test_a_secret_that_is_listed_bare_is_hashed():
    (body,) = bodies(plan_of(CONFIG, keys=[key(token="sk-a")]), "keys")
    assert body["secret_sha256"] == hash_secret("sk-a").hex()


def test_fallbacks_that_name_every_model_and_themselves():
    text = json.dumps(
        {
            "model_list": [
                {"model_name": name, "litellm_params": {"model": BEDROCK}} for name in ("a", "b")
            ],
            "litellm_settings": {"default_fallbacks": ["b"]},
            "router_settings": {"model_group_alias": {"a": "b", "c": "a"}},
        }
    )
    plan = plan_of(text, environ={"AWS_REGION": "us-east-1"})
    # The same model in the same account: there is nothing else to try.
    assert [line.name for line in plan.settings] == ["AWS_REGION"]
    assert {body["alias"] for body in bodies(plan, "models/mappings")} == {"a", "b", "c"}
    assert "of this name" in reasons(plan)["router_settings.model_group_alias.a"]


@pytest.mark.parametrize(
    ("section", "url"),
    [
        ({"router_settings": {"redis_host": "h.example.com"}}, "redis://h.example.com:6379/0"),
        (
            {"router_settings": {"redis_url": "os.environ/REDIS_URL"}},
            "${REDIS_URL}",
        ),
        (
            {"router_settings": {"redis_host": "h", "redis_username": "u", "redis_db": 2}},
            "redis://u@h:6379/2",
        ),
        (
            {"litellm_settings": {"cache_params": {"type": "redis", "host": "h", "port": "1"}}},
            "redis://h:1/0",
        ),
        ({"litellm_settings": {"cache_params": {"type": "s3"}}}, None),
    ],
)
def test_the_redis_of_limits(section, url):
    plan = plan_of(json.dumps({"model_list": [], **section}))
    found = [line.value for line in plan.settings if line.name == "LIMITS_URL"]
    assert found == ([] if url is None else [url])


def test_two_settings_of_one_meaning_are_told_unless_they_agree():
    text = "router_settings: {timeout: 5}\nlitellm_settings: {request_timeout: 5.0}"
    assert reasons(plan_of(text)) == {}
    text = text.replace("5.0", "6")
    assert "too" in reasons(plan_of(text))["litellm_settings.request_timeout"]


def test_a_model_has_one_price_and_another_is_told():
    listed = [
        {
            "model_name": f"m{usd}",
            "litellm_params": {
                "model": BEDROCK,
                "input_cost_per_token": usd,
                "output_cost_per_token": usd,
            },
        }
        for usd in (2, 1, 2)
    ]
    plan = plan_of(json.dumps({"model_list": listed}))
    assert [body["input_usd"] for body in bodies(plan, "prices")] == [2_000_000]
    assert "another price" in reasons(plan)["model_list[1]"]
    assert "another price" not in reasons(plan).get("model_list[2]", "")


def test_a_price_of_nothing_is_a_price():
    plan = plan_of(model(BEDROCK, input_cost_per_token=0, output_cost_per_token=0))
    assert [body["output_usd"] for body in bodies(plan, "prices")] == [0]


def test_a_price_of_one_half_is_none():
    plan = plan_of(model(BEDROCK, input_cost_per_token=1e-06))
    assert bodies(plan, "prices") == []
    assert "input and output" in reasons(plan)["model_list[0]"]


def test_a_redis_of_another_section_is_told_and_one_of_the_router_told_once():
    plan = plan_of(
        f"{CONFIG}\nlitellm_settings: {{redis_host: a}}\n"
        "router_settings: {redis_host: b, redis_startup_nodes: [{host: c}]}"
    )
    told = reasons(plan)
    assert "nothing here" in told["litellm_settings.redis_host"]
    assert "redis_startup_nodes: not in LIMITS_URL" in told["router_settings"]
    assert "router_settings.redis_startup_nodes" not in told
