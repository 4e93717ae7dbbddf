"""`models`, as a user types it."""

from __future__ import annotations

import pytest

from anthropic_bedrock_proxy.cli.sync import merge
from anthropic_bedrock_proxy.sim.client import SimClient
from anthropic_bedrock_proxy.upstream.control import FoundationModel, InferenceProfile

HAIKU = "anthropic.claude-haiku-4-5-20251001-v1:0"
SONNET = "anthropic.claude-sonnet-4-5-20250929-v1:0"
APPLICATION = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/"

both = pytest.mark.parametrize("run", ["local", "remote"], indirect=True)


@both
def test_list_says_where_requests_go_in_this_region(document):
    listed = document("models", "list", AWS_REGION="eu-west-1")
    models = {model["id"]: model for model in listed["models"]}
    haiku = models["claude-haiku-4-5-20251001"]
    assert haiku["bedrock_model_id"] == f"global.{HAIKU}"
    assert haiku["bedrock_model_ids"][0] == f"global.{HAIKU}"
    assert "invoke" in haiku["dialects"]
    assert "claude-haiku-4-5" in haiku["aliases"]
    assert (haiku["lifecycle"], haiku["found_profiles"]) == ("active", None)
    assert haiku["context_tokens"] == 200_000
    assert listed["mapped"] == []


def test_retired_models_are_listed_on_demand(run, document):
    shown = {model["id"]: model["lifecycle"] for model in document("models", "list")["models"]}
    every = {
        model["id"]: model["lifecycle"] for model in document("models", "list", "--all")["models"]
    }
    assert "retired" not in shown.values()
    assert shown.items() <= every.items()
    table = run("models", "list").stdout.splitlines()
    assert table[0].split() == [
        *("ID", "BEDROCK", "ID", "DIALECTS", "STATE", "INPUT", "OUTPUT", "ALIASES")
    ]
    assert len(table) == len(shown) + 1


@both
def test_map_and_unmap(run, document):
    mapped = document("models", "map", "fast", f"us.{HAIKU}", "--dialect", "invoke")
    assert mapped.pop("updated_at")
    assert mapped == {
        "alias": "fast",
        "bedrock_id": f"us.{HAIKU}",
        "dialect": "invoke",
        "bedrock_model_id": f"us.{HAIKU}",
        "dialects": ["invoke"],
    }
    (row,) = document("models", "list")["mapped"]
    assert (row["alias"], row["source"], row["in_force"]) == ("fast", "store", True)
    assert row["bedrock_model_id"] == f"us.{HAIKU}"
    said = run("models", "map", "fast", "claude-sonnet-4-5").stdout
    assert said.startswith(f"fast goes to global.{SONNET} (invoke")
    assert "fast" in run("models", "list").stdout.splitlines()[-1]
    assert document("models", "unmap", "fast") == {"alias": "fast", "removed": True}
    assert document("models", "list")["mapped"] == []
    again = run("models", "unmap", "fast")
    assert (again.exit_code, again.stderr) == (1, "Error: fast is not mapped\n")


@both
def test_who_mistypes_is_told_what_there_is(run):
    run("models", "map", "fast", f"us.{HAIKU}")
    refused = run("models", "map", "slow", "claude-haik-4-5")
    assert "cannot be routed" in refused.stderr
    assert refused.stderr.endswith("; did you mean claude-haiku-4-5?\n")
    of_alias = run("models", "map", "slow", "fast")
    assert "fast is an alias itself: map to what it stands for, us." in of_alias.stderr
    price = run("prices", "set", "claude-haik-4-5", "--input", 1, "--output", 5)
    assert price.stderr.endswith("did you mean claude-haiku-4-5?\n")
    blocked = run("betas", "block", "b-2026-01-01", "--model", "claude-haik-4-5")
    assert blocked.stderr.endswith("did you mean claude-haiku-4-5?\n")
    assert "did you mean" not in run("models", "map", "slow", "x" * 300).stderr


def test_a_name_of_a_model_may_be_mapped_to_another(document):
    document("models", "map", "claude-opus-4-5", f"us.{HAIKU}")
    listed = {row["id"]: row for row in document("models", "list")["models"]}
    assert listed["claude-opus-4-5-20251101"]["bedrock_model_id"].endswith("opus-4-5-20251101-v1:0")
    document("models", "map", "claude-opus-4-5-20251101", f"us.{HAIKU}")
    listed = {row["id"]: row for row in document("models", "list")["models"]}
    assert listed["claude-opus-4-5-20251101"]["bedrock_model_id"] == f"us.{HAIKU}"


@both
def test_the_store_comes_before_the_settings(run, document):
    settings = {"DEFAULT_MODEL_MAPPING": f'{{"fast": "us.{SONNET}", "broken": "gpt-4"}}'}
    document("models", "map", "fast", f"us.{HAIKU}")
    mapped = document("models", "list", **settings)["mapped"]
    rows = {(row["alias"], row["source"]): row for row in mapped}
    assert rows["fast", "store"]["bedrock_model_id"] == f"us.{HAIKU}"
    assert rows["fast", "settings"]["in_force"] is False
    assert rows["broken", "settings"]["bedrock_model_id"] is None
    assert "settings (not in force)" in run("models", "list", **settings).stdout
    run("models", "unmap", "fast")
    refused = run("models", "unmap", "fast", **settings)
    assert "not mapped in the store, but in DEFAULT_MODEL_MAPPING" in refused.stderr


@pytest.mark.parametrize("target", ["gpt-4", "", "fast", "x" * 5000])
def test_only_what_can_be_routed_is_mapped(run, document, target):
    document("models", "map", "other", f"us.{HAIKU}")
    result = run("models", "map", "fast", target, "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "cannot be routed" in result.stderr
    assert [row["alias"] for row in document("models", "list")["mapped"]] == ["other"]


def test_an_alias_stands_for_no_alias(run):
    assert run("models", "map", "one", f"us.{HAIKU}").exit_code == 0
    assert run("models", "map", "two", "one").exit_code == 1


@pytest.mark.parametrize("words", [(" ", "m"), (" a", "m"), ("a", "m", "--dialect", "soap")])
def test_bad_input(run, words):
    assert run("models", "map", *words).exit_code == 2


def test_sync_keeps_and_compares_what_bedrock_offers(run, document, catalog, bedrock):
    sim = SimClient(bedrock["BEDROCK_ENDPOINT_URL"])
    sim.reset()
    sim.set_profiles({"team": f"us.{SONNET}"})
    first = document("models", "sync", **bedrock)
    assert f"us.{HAIKU}" in first["new"]
    assert first["gone"] == []
    haiku = next(row for row in first["registry"] if row["bedrock"] == HAIKU)
    assert haiku["offered"]
    assert f"global.{HAIKU}" in haiku["profiles"]
    assert {model.id for model in catalog("models")} == {model["id"] for model in first["models"]}

    sim.set_profiles({"other": f"us.{SONNET}"})
    before = catalog("version")
    tried = document("models", "sync", "--dry-run", **bedrock)
    (changed,) = tried["changed"]
    assert changed == {
        "id": SONNET,
        "new_profiles": [f"{APPLICATION}other"],
        "gone_profiles": [f"{APPLICATION}team"],
    }
    assert (tried["new"], tried["stored"]) == ([f"{APPLICATION}other"], False)
    said = run("models", "sync", "--dry-run", **bedrock).stdout
    assert f"changed  {SONNET}: +{APPLICATION}other -{APPLICATION}team" in said
    assert "nothing was stored" in said
    assert catalog("version") == before
    second = document("models", "sync", **bedrock)
    assert second["new"] == [f"{APPLICATION}other"]
    assert second["gone"] == [f"{APPLICATION}team"]
    text = run("models", "sync", **bedrock).stdout
    assert f"us.{HAIKU}" in text
    assert "new " not in text

    listed = {row["id"]: row for row in document("models", "list", **bedrock)["models"]}
    assert f"us.{HAIKU}" in listed["claude-haiku-4-5-20251001"]["found_profiles"]
    assert document("models", "map", "team", f"{APPLICATION}other")["bedrock_model_id"] == (
        f"{APPLICATION}other"
    )


def test_sync_without_bedrock_changes_nothing(run, catalog, bedrock):
    run("models", "sync", **bedrock)
    before = catalog("version")
    for trouble in (
        {"BEDROCK_CONTROL_ENDPOINT_URL": "http://127.0.0.1:1"},
        {"AWS_SECRET_ACCESS_KEY": "wrong"},
    ):
        result = run("models", "sync", "--json", **{**bedrock, **trouble})
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith("Error: Amazon Bedrock")
        assert "Traceback" not in result.stderr
    assert catalog("version") == before


def test_what_a_listing_leaves_out():
    models = [
        FoundationModel(id="a.text", name="T", provider="A", output_modalities=("TEXT",)),
        FoundationModel(id="a.image", name="I", provider="A", output_modalities=("IMAGE",)),
    ]
    profiles = [
        InferenceProfile(id="us.a.text", arn="x", models=()),
        InferenceProfile(id="us.a.image", arn="x"),
    ]
    (only,) = merge(models, profiles)
    assert (only["id"], only["profiles"]) == ("a.text", [])


def test_wrong_settings(run):
    result = run("models", "list", AWS_REGION="nowhere")
    assert result.exit_code == 1
    assert "AWS_REGION" in result.stderr


def test_chains_are_listed_with_what_they_leave_out(document, run):
    settings = {
        "INFERENCE_GEOGRAPHY": "regional",
        "PROVIDERS": '{"far": {"region": "ap-southeast-2"}}',
        "FAILOVER_CHAINS": '{"claude-opus-4": ["default", "far"]}',
    }
    (chain,) = document("models", "list", **settings)["chains"]
    assert chain["model"] == "claude-opus-4"
    assert [target["provider"] for target in chain["targets"]] == ["default"]
    (gap,) = chain["left_out"]
    assert gap["provider"] == "far"
    assert "claude-opus-4" in gap["reason"]
    listed = run("models", "list", **settings).stdout
    assert "LEFT OUT" in listed
    assert "far: " in listed
