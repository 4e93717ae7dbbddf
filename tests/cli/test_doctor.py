"""`doctor`: each thing that can be wrong, made wrong, is named with its mend."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from pathlib import Path

import msgspec
import pytest
from dynamo_servers import fresh_names, server
from fake_search import FakeSearch
from redisprocess import RedisProcess
from walls import docker_image

from anthropic_bedrock_proxy.app.bedrock import make_providers, make_resolver
from anthropic_bedrock_proxy.app.doctor_models import ModelChecks
from anthropic_bedrock_proxy.app.models import load_model_table
from anthropic_bedrock_proxy.config import load_settings
from anthropic_bedrock_proxy.sim.client import SimClient

QUIET = {
    "ENABLE_PROGRAMMATIC_TOOL_CALLING": "false",
    "ENABLE_STANDALONE_CODE_EXECUTION": "false",
    "MAX_CLIENT_CONNECTIONS": "10",
}
READING = "anthropic_bedrock_proxy.fetch.reading"
MODEL = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
GATES = {
    "model access": (
        "AccessDeniedException",
        "You don't have access to the model with the specified model ID.",
        "catalog",
    ),
    "IAM": (
        "AccessDeniedException",
        "arn:aws:iam::123456789012:role/x is not authorized to perform: bedrock:InvokeModel",
        "bedrock:InvokeModel",
    ),
    "quota": ("ThrottlingException", "Too many tokens per day, please wait.", "Service Quotas"),
    "data retention": (
        "ValidationException",
        "This model requires the account to be in the aws_review data retention mode.",
        "data-retention mode",
    ),
}


@pytest.fixture
def doctor(run):
    """`doctor("--model", "x", NAME="value")`: exit code, and the lines by their names."""

    for made in Path.cwd().glob("s.db*"):
        made.unlink()

    def invoke(*words, **environment):
        result = run("doctor", "--json", *words, **QUIET | environment)
        document = json.loads(result.stdout)
        assert result.stderr == ""
        assert document.keys() == {"status", "checks"}
        assert (result.exit_code == 1) == (document["status"] == "fail")
        return result.exit_code, {line["name"]: line for line in document["checks"]}

    return invoke


@pytest.fixture
def sim(bedrock):
    client = SimClient(bedrock["BEDROCK_ENDPOINT_URL"])
    client.reset()
    yield client
    client.reset()


def bad(lines):
    return {name: line["state"] for name, line in lines.items() if line["state"] != "ok"}


def test_nothing_is_wrong(doctor, bedrock, sim, tmp_path):
    code, lines = doctor(**bedrock)
    assert (code, bad(lines)) == (0, {})
    named = [name for name in lines if name.startswith("model ")]
    assert len(named) == 3  # the newest, which the first line says
    assert all(name.removeprefix("model ") in lines["models"]["found"] for name in named)
    assert lines["credentials"]["found"] == "AWS_ACCESS_KEY_ID, region us-east-1"
    calls = [request for request in sim.requests() if request["status"] == 200]
    assert len(calls) == 3
    assert list(tmp_path.iterdir()) == []  # nothing was made


def test_no_model_is_called_if_told_so(doctor, bedrock, sim):
    assert doctor("--no-model-calls", **bedrock)[0] == 0
    assert sim.requests() == []


def test_configured_models_are_called_and_those_asked_for(doctor, run, bedrock, sim):
    assert run("models", "map", "stored", MODEL).exit_code == 0
    mapping = json.dumps({"mapped": "claude-opus-4-8", "same": MODEL})
    code, lines = doctor("--model", "claude-sonnet-5", **bedrock, DEFAULT_MODEL_MAPPING=mapping)
    named = sorted(name for name in lines if name.startswith("model "))
    assert (code, named) == (0, ["model claude-sonnet-5", "model mapped", "model same"])
    assert len(sim.requests()) == 3  # one for each place, whatever it is called
    assert "its schema is current" in lines["store"]["found"]


@pytest.mark.parametrize("gate", GATES)
def test_the_gates_before_a_model_are_told_apart(doctor, bedrock, sim, gate):
    kind, message, mend = GATES[gate]
    sim.script([{"error": {"type": kind, "message": message}, "times": "forever"}])
    code, lines = doctor(**bedrock, DEFAULT_MODEL_MAPPING=json.dumps({"m": MODEL}))
    line = lines["model m"]
    assert (code, line["state"]) == (1, "fail")
    assert line["found"].startswith(f"{MODEL}: {gate}: ")
    assert mend in line["mend"]
    assert "123456789012" not in line["found"]


def test_a_model_that_nobody_asked_for_may_be_closed_while_another_answers(doctor, bedrock, sim):
    kind, message, _ = GATES["model access"]
    closed = {"error": {"type": kind, "message": message}, "times": "forever"}
    sim.script([closed | {"match": {"model": "fable-5-2"}}])
    code, lines = doctor(**bedrock)
    assert (code, bad(lines)) == (0, {"model claude-fable-5-2": "warn"})
    sim.clear_script()
    sim.script([closed])
    assert doctor(**bedrock)[0] == 1


def test_a_busy_model_is_no_closed_one(doctor, bedrock, sim):
    sim.script([{"error": {"type": "ThrottlingException", "message": "Too many requests"}}])
    code, lines = doctor(**bedrock, DEFAULT_MODEL_MAPPING=json.dumps({"m": MODEL}))
    assert (code, lines["model m"]["state"]) == (0, "warn")
    sim.script([{"error": {"type": "ThrottlingException", "message": "slow"}, "times": "forever"}])
    code, lines = doctor(**bedrock, DEFAULT_MODEL_MAPPING=json.dumps({"m": MODEL}))
    assert "throttled 3 times in a row" in lines["model m"]["found"]


def test_models_that_are_silent_leave_no_time_for_others(bedrock, sim, run):
    sim.script([{"hang": True, "times": "forever"}])
    settings = load_settings(environ={**bedrock, **QUIET}, env_file=None)
    names = [one.id for one in load_model_table().model if one.lifecycle == "active"][:9]

    async def story():
        resolver = make_resolver(settings)
        providers = make_providers(settings, resolver)
        lines = await ModelChecks(settings, providers, resolver, seconds=0.5).run(names)
        await providers.close()
        await resolver.close()
        return [line.state for line in lines]

    assert asyncio.run(story()) == ["fail"] * 8 + ["warn"]


def test_names_and_refused_keys(doctor, bedrock, sim):
    given = bedrock | {"AWS_SECRET_ACCESS_KEY": "another"}
    _, lines = doctor("--model", "claude-haiku-4-5", "--model", "no-such-model", **given)
    assert lines["model no-such-model"]["state"] == "fail"
    assert "credentials: AWS refuses" in lines["model claude-haiku-4-5"]["found"]
    assert "another" not in json.dumps(lines)


def test_without_anything(doctor, tmp_path):
    endpoint = {"BEDROCK_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_EC2_METADATA_DISABLED": "true"}
    code, lines = doctor("--no-model-calls", **endpoint, LIMITS_URL="redis://:hush@127.0.0.1:1")
    assert (code, bad(lines)) == (
        1,
        {"credentials": "fail", "endpoint": "fail", "limits": "fail"},
    )
    assert lines["endpoint"]["found"].startswith("TCP: ")
    assert "hush" not in json.dumps(lines)


def test_each_back_end_of_web_search_is_asked_once(doctor, bedrock, sim):
    with FakeSearch("tavily") as one, FakeSearch("brave") as two:
        given = bedrock | {
            "WEB_SEARCH_PROVIDER": "tavily,brave",
            "WEB_SEARCH_API_KEY": "tavily=hush,brave=hush",
            "WEB_SEARCH_URL": f"tavily={one.url},brave={two.url}",
        }
        _, lines = doctor("--no-model-calls", **given)
        assert lines["web search"]["found"] == "tavily, brave: not asked"
        assert one.asked == []
        two.mode = 401
        code, lines = doctor(**given)  # of lines with one name the last is kept
        assert (code, lines["web search"]["state"]) == (1, "fail")
        assert lines["web search"]["found"].startswith(
            f"brave at {two.url.removeprefix('http://')}: it refuses us (HTTP 401)"
        )
        assert "WEB_SEARCH_API_KEY" in lines["web search"]["found"]
        two.mode = None
        code, lines = doctor(**given)
        assert (code, lines["web search"]["found"]) == (0, "brave: a search was answered")
        two.hits = ()
        code, lines = doctor(**given)
        assert (code, lines["web search"]["state"]) == (0, "warn")
        assert len(one.asked) == len(two.asked) == 3
        assert "hush" not in json.dumps(lines)


@pytest.mark.parametrize(
    ("given", "state", "words"),
    [
        ({}, "ok", "the simulator, or BEDROCK_ENDPOINT_URL"),
        ({"ENABLE_WEB_SEARCH": "false"}, "ok", "ENABLE_WEB_SEARCH is false"),
        ({"WEB_SEARCH_PROVIDER": "tavily"}, "warn", "needs its key"),
        ({"WEB_SEARCH_PROVIDER": "tavily", "ENABLE_WEB_SEARCH": "no"}, "ok", "is false"),
        (
            {"WEB_SEARCH_PROVIDER": "searxng", "WEB_SEARCH_URL": "http://127.0.0.1:1"},
            "fail",
            "searxng at 127.0.0.1:1: cannot connect (Connection refused): let ",
        ),
    ],
)
def test_web_search_that_is_not_there(doctor, bedrock, sim, given, state, words):
    _, lines = doctor(**bedrock, **given)
    assert lines["web search"]["state"] == state
    assert words in lines["web search"]["found"]


@pytest.mark.parametrize(("region", "told"), [("eu-central-1", True), ("eu-west-1", False)])
def test_a_search_of_aws_that_fails_tells_of_the_region(doctor, bedrock, sim, region, told):
    given = {
        "WEB_SEARCH_PROVIDER": "agentcore-api",
        "WEB_SEARCH_URL": "http://127.0.0.1:1",
        "WEB_SEARCH_REGION": region,
    }
    _, lines = doctor(**bedrock, **given)
    assert lines["web search"]["state"] == "fail"
    assert ("WEB_SEARCH_REGION" in lines["web search"]["mend"]) is told


def test_a_page_is_read_and_none_is_fetched(doctor, bedrock, sim):
    code, lines = doctor(**bedrock)
    assert (code, lines["web fetch"]["state"]) == (0, "ok")
    assert lines["web fetch"]["found"].endswith("no page was fetched")


def test_pages_that_are_not_served(doctor, bedrock, sim, monkeypatch):
    _, lines = doctor(**bedrock, ENABLE_WEB_FETCH="false")
    assert lines["web fetch"]["state"] == "ok"
    assert lines["web fetch"]["found"] == "not served: ENABLE_WEB_FETCH is false"
    monkeypatch.setitem(sys.modules, "trafilatura", None)
    _, lines = doctor(**bedrock)
    assert (lines["web fetch"]["state"], "the extra `web`" in lines["web fetch"]["found"]) == (
        "ok",
        True,
    )
    _, lines = doctor(**bedrock, ENABLE_WEB_FETCH="true")
    assert lines["web fetch"]["state"] == "warn"


def test_a_process_for_pages_that_does_not_read_is_a_failure(doctor, bedrock, sim, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    for name in ("reader", "pages"):
        monkeypatch.delitem(sys.modules, f"{READING}.{name}", raising=False)
    code, lines = doctor(**bedrock)
    assert (code, lines["web fetch"]["state"]) == (1, "fail")
    assert "does not read a page" in lines["web fetch"]["found"]
    assert "ENABLE_WEB_FETCH=false" in lines["web fetch"]["mend"]


@pytest.mark.parametrize(
    ("given", "state"),
    [
        ({}, "warn"),
        ({"FETCH_TRUST_PROXY": "true"}, "ok"),
        ({"NO_PROXY": "*"}, "ok"),
        ({"ENABLE_WEB_FETCH": "false"}, "ok"),
    ],
)
def test_an_egress_proxy_that_no_page_comes_through(doctor, bedrock, sim, given, state):
    given = {"HTTPS_PROXY": "http://127.0.0.1:1"} | given
    _, lines = doctor("--no-model-calls", **bedrock, **given)
    assert lines["web fetch"]["state"] == state
    assert ("FETCH_TRUST_PROXY" in lines["web fetch"]["mend"]) is (state == "warn")


SEARXNG = {"WEB_SEARCH_PROVIDER": "searxng", "WEB_SEARCH_URL": "http://127.0.0.1:1"}
FIRST, SECOND = "first-key-of-the-operator-0123456789", "second-key-of-the-operator-012345678"


@pytest.mark.parametrize(
    ("given", "state", "words"),
    [
        ({}, "ok", "a key that is kept in the store; what clients keep opens for 30 days"),
        ({"WEB_SEAL_KEYS": FIRST, "WEB_SEAL_DAYS": "7"}, "ok", "WEB_SEAL_KEYS: 1 key; what"),
        ({"WEB_SEAL_KEYS": f"{SECOND},{FIRST}"}, "ok", "2 keys, of which the first seals"),
        ({"url": "memory://"}, "ok", "after a restart"),
        ({"url": "memory://", "WORKERS": "2"}, "warn", "each of 2 workers has a key of its own"),
        ({"url": "memory://", "WORKERS": "2", "WEB_SEAL_KEYS": FIRST}, "ok", "1 key"),
        ({"ENABLE_WEB_SEARCH": "no"}, "ok", "not needed"),
    ],
)
def test_whose_keys_seal(doctor, bedrock, sim, given, state, words):
    _, lines = doctor("--no-model-calls", **{**bedrock, **SEARXNG, **given})
    assert lines["seals"]["state"] == state
    assert words in lines["seals"]["found"]
    assert "of-the-operator" not in json.dumps(lines)


def test_seals_without_what_makes_them(doctor, bedrock, sim, monkeypatch):
    broken = "cryptography.hazmat.primitives.ciphers.aead"
    monkeypatch.setitem(sys.modules, broken, None)
    code, lines = doctor("--no-model-calls", **bedrock, **SEARXNG)
    assert (code, lines["seals"]["state"]) == (1, "fail")
    assert "the extra `web`" in lines["seals"]["found"]
    monkeypatch.setitem(sys.modules, "cryptography", None)
    code, lines = doctor("--no-model-calls", **bedrock, **SEARXNG)
    assert (code, lines["seals"]["found"]) == (0, "not needed: web search is not served")
    assert "the extra `web`" in lines["web search"]["found"]


def test_settings_that_cannot_be_are_a_line(doctor, tmp_path):
    (tmp_path / ".env").write_text("RATE_LIMIT_REQUEST=5\n")
    code, lines = doctor("--no-model-calls", PORT="0")
    assert lines["settings"]["state"] == "warn"
    assert "RATE_LIMIT_REQUEST" in lines["settings"]["found"]
    code, lines = doctor(PORT="many")
    assert (code, list(lines)) == (1, ["settings"])
    assert "PORT" in lines["settings"]["found"]


def test_a_log_that_cannot_be_written_is_told_and_one_to_a_descriptor_needs_no_line(
    doctor, bedrock, tmp_path
):
    code, lines = doctor("--no-model-calls", LOG_OUTPUT=f"{tmp_path}/nowhere/p.log", **bedrock)
    assert (code, bad(lines)) == (1, {"log": "fail"})
    assert "log" not in doctor("--no-model-calls", LOG_OUTPUT="stdout", **bedrock)[1]


def test_redis_tells_its_version(doctor, bedrock):
    with RedisProcess() as redis:
        _, lines = doctor("--no-model-calls", **bedrock, LIMITS_URL=redis.url)
    assert lines["limits"]["found"].startswith("Redis ")
    assert lines["limits"]["found"].endswith(" answers")


def test_tables(doctor, run, bedrock):
    names = msgspec.structs.asdict(fresh_names())
    given = {
        **bedrock,
        "DYNAMODB_ENDPOINT_URL": server("dynalite"),
        **{f"DYNAMODB_{name.upper()}_TABLE": table for name, table in names.items()},
    }
    code, lines = doctor("--no-model-calls", **given, url="dynamodb://")
    assert (code, lines["store"]["state"]) == (1, "fail")
    assert names["api_keys"] in lines["store"]["found"]
    assert "`tables create`" in lines["store"]["mend"]
    assert run("tables", "create", **given, url="dynamodb://").exit_code == 0
    code, lines = doctor("--no-model-calls", **given, url="dynamodb://")
    assert (code, lines["store"]["state"]) == (0, "ok")


def test_an_executor_that_is_away(doctor, bedrock, tmp_path):
    given = {
        "ENABLE_PROGRAMMATIC_TOOL_CALLING": "true",
        "SANDBOX_URL": f"unix://{tmp_path}/nobody.sock",
    }
    code, lines = doctor("--no-model-calls", **bedrock, **given)
    assert (code, bad(lines)) == (1, {"sandboxes": "fail"})
    assert "sandboxd" in lines["sandboxes"]["mend"]


def test_a_sandbox_is_tried(doctor, bedrock, monkeypatch, tmp_path):
    given = {
        "ENABLE_PROGRAMMATIC_TOOL_CALLING": "true",
        "SANDBOX_ISOLATION": "docker",
        "PTC_SANDBOX_IMAGE": docker_image(),
    }
    code, lines = doctor("--no-model-calls", **bedrock, **given)
    assert (code, lines["sandboxes"]["state"]) == (0, "ok")
    assert lines["sandboxes"]["found"].startswith("docker: a sandbox started")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
    code, lines = doctor("--no-model-calls", **bedrock, **given)
    assert (code, lines["sandboxes"]["state"]) == (1, "fail")


def test_an_image_that_is_missing_is_told_and_not_pulled(doctor, bedrock):
    docker_image()
    given = {
        "ENABLE_PROGRAMMATIC_TOOL_CALLING": "true",
        "SANDBOX_ISOLATION": "docker",
        "PTC_SANDBOX_IMAGE": "registry.invalid/none:1",
    }
    code, lines = doctor("--no-model-calls", **bedrock, **given)
    assert (code, lines["sandboxes"]["state"]) == (0, "warn")
    assert "is not here yet" in lines["sandboxes"]["found"]


def test_people_get_a_line_for_each_finding_and_its_mend(run, bedrock, sim):
    result = run("doctor", "--no-model-calls", **QUIET, **bedrock, LIMITS_URL="redis://127.0.0.1:1")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0] == "ok    settings      all are known and in force"
    (failed,) = (number for number, line in enumerate(lines) if line.startswith("FAIL"))
    assert lines[failed].startswith("FAIL  limits        Redis: ConnectionError")
    assert lines[failed + 1].startswith(" " * 20 + "-> start it, or correct LIMITS_URL")


PROFILES = """
[profile expired]
sso_start_url=https://example.awsapps.com/start
sso_region=us-east-1
sso_account_id=123456789012
sso_role_name=r
[profile empty]
region=us-east-1
"""


@pytest.mark.parametrize(
    ("profile", "mend"),
    [
        ("nosuch", "correct AWS_PROFILE, or make the profile nosuch in ~/.aws/config"),
        ("expired", "`aws sso login --profile expired`"),
        ("empty", "give the profile empty credentials"),
    ],
)
def test_a_profile_that_gives_no_keys_has_a_mend_of_its_own(
    doctor, bedrock, tmp_path, profile, mend
):
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text(PROFILES)
    alone = {name: value for name, value in bedrock.items() if "KEY" not in name}
    code, lines = doctor("--no-model-calls", **alone, AWS_PROFILE=profile)
    assert (code, lines["credentials"]["state"]) == (1, "fail")
    assert mend in lines["credentials"]["mend"]


def test_the_profile_of_a_provider_is_told_as_the_providers(doctor, bedrock):
    providers = json.dumps({"far": {"region": "eu-west-1", "profile": "nosuch"}})
    _, lines = doctor("--no-model-calls", **bedrock, PROVIDERS=providers)
    assert "correct the `profile` of far" in lines["credentials far"]["mend"]


def test_no_profile_is_called_in_a_region_that_does_not_have_it(doctor, bedrock, sim):
    endpoint = {"endpoint_url": bedrock["BEDROCK_ENDPOINT_URL"]}
    given = bedrock | {
        "PROVIDERS": json.dumps({"far": {"region": "eu-west-1", **endpoint}}),
        "FAILOVER_CHAINS": json.dumps({"*": ["default", "far"]}),
    }
    mapping = json.dumps({"m": MODEL})
    code, lines = doctor(**given, DEFAULT_MODEL_MAPPING=mapping)
    assert (code, lines["model m"]["state"]) == (0, "ok")
    assert lines["model m at far"]["state"] == "warn"
    assert "eu-west-1 has no such inference profile" in lines["model m at far"]["found"]
    assert len(sim.requests()) == 1


def test_a_target_that_a_chain_leaves_out_is_told(doctor, bedrock):
    given = bedrock | {
        "INFERENCE_GEOGRAPHY": "regional",
        "PROVIDERS": json.dumps({"far": {"region": "ap-southeast-2"}}),
        "FAILOVER_CHAINS": json.dumps({"claude-opus-4": ["default", "far"]}),
    }
    _, lines = doctor(**given)
    line = lines["model claude-opus-4 at far"]
    assert (line["state"], "far is left out" in line["found"]) == ("warn", True)
    assert "PROVIDER=MODEL" in line["mend"]


def test_the_newest_models_are_those_of_the_region(doctor, bedrock, sim):
    _, lines = doctor(**bedrock | {"AWS_REGION": "eu-west-1"})
    called = [line["found"] for name, line in lines.items() if name.startswith("model ")]
    assert len(called) == 3
    assert all(found.startswith(("eu.", "global.")) for found in called)


def test_an_old_store_is_left_as_it_is_and_its_mappings_are_told_to_be_unknown(
    doctor, run, bedrock, sim, tmp_path
):
    assert run("models", "map", "stored", MODEL).exit_code == 0
    with sqlite3.connect(tmp_path / "s.db") as connection:
        connection.execute("DELETE FROM schema_migrations WHERE name >= '0003'")
        before = connection.execute("SELECT name FROM schema_migrations").fetchall()
    connection.close()
    _, lines = doctor(**bedrock)
    assert lines["store"]["state"] == "warn"
    assert "mappings and providers of the store are not known" in lines["stored models"]["found"]
    assert lines["models"]["found"].startswith("none is known")
    with sqlite3.connect(tmp_path / "s.db") as connection:
        assert connection.execute("SELECT name FROM schema_migrations").fetchall() == before
    connection.close()


def test_a_store_that_cannot_be_read_is_told_with_its_reason(doctor, bedrock, sim):
    given = bedrock | {"DYNAMODB_ENDPOINT_URL": "http://127.0.0.1:1"}
    _, lines = doctor(**given, url="dynamodb://")
    assert lines["stored models"]["state"] == "warn"
    assert (
        lines["stored models"]["found"]
        .rpartition("not known: ")[2]
        .startswith(
            ("DynamoDB", "no answer in")  # it is asked again for some seconds
        )
    )
