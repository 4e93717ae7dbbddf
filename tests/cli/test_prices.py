"""`prices`, as a user types it."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from anthropic_bedrock_proxy.sim.client import SimClient

HAIKU = "claude-haiku-4-5-20251001"
SET = ("prices", "set", HAIKU, "--input", "0.000000001", "--output", "5.50")
both = pytest.mark.parametrize("run", ["local", "remote"], indirect=True)


def rows(run, source):
    listed = json.loads(run("prices", "list", "--json").stdout, parse_float=Decimal)["prices"]
    return [row for row in listed if row["source"] == source]


def test_the_shipped_ones_are_listed(run):
    of_haiku = [row for row in rows(run, "shipped") if HAIKU in row["model"]]
    haiku = next(row for row in of_haiku if row["place"] == "us")
    assert (haiku["input_usd"], haiku["output_usd"]) == (Decimal("1.1"), Decimal("5.5"))
    assert haiku["cache_read_usd"] == Decimal("0.11")
    assert (haiku["region"], haiku["valid_from"], haiku["updated_at"]) == ("*", None, None)
    assert rows(run, "store") == []
    assert HAIKU in run("prices", "list").stdout


@pytest.mark.parametrize("name", [HAIKU, "claude-haiku-4-5", f"eu.anthropic.{HAIKU}-v1:0"])
def test_those_of_one_model_are_listed_by_any_of_its_names(run, name):
    run(*SET)
    lines = run("prices", "list", name).stdout.splitlines()[1:]
    assert lines[0].split()[-1] == "store"
    assert {line.split()[-1] for line in lines[1:]} == {"shipped"}
    assert all(HAIKU in line or "claude-haiku-4-5" in line for line in lines)
    assert len(lines) > 5


@both
def test_set_and_unset(run, document):
    added = document(*SET, "--cache-read", "0.1", "--cache-write", 2, "--cache-write-1h", 3)
    assert added.pop("updated_at")
    assert added == {
        "model": HAIKU,
        "region": "*",
        "valid_from": None,
        "valid_until": None,
        "input_usd": 1e-9,
        "output_usd": 5.5,
        "cache_read_usd": 0.1,
        "cache_write_usd": 2,
        "cache_write_1h_usd": 3,
        "place": "",
        "source": "store",
    }
    dates = ("--from", "2030-01-01", "--until", "2031-01-01T00:00:00Z", "--region", "eu-west-1")
    later = document(*SET, *dates)
    assert later["valid_from"] == "2030-01-01T00:00:00Z"
    assert (later["region"], later["cache_read_usd"]) == ("eu-west-1", None)
    assert len(rows(run, "store")) == 2
    assert rows(run, "store")[0]["input_usd"] == Decimal("1e-9")
    document(*SET)  # replaces
    assert len(rows(run, "store")) == 2
    assert document("prices", "unset", HAIKU)["removed"] is True
    again = run("prices", "unset", HAIKU)
    assert again.exit_code == 1
    assert again.stderr.startswith(f"Error: no price of {HAIKU}")
    document("prices", "unset", HAIKU, "--region", "eu-west-1", "--from", "2030-01-01")
    assert rows(run, "store") == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((HAIKU, "--input", 1), 2),
        ((HAIKU, "--input", -1, "--output", 1), 2),
        ((HAIKU, "--input", 1, "--output", "1e-10"), 2),
        ((HAIKU, "--input", 1, "--output", 1, "--from", "soon"), 2),
        ((HAIKU, "--input", 1, "--output", 1, "--region", "here"), 1),
        ((HAIKU, "--input", 1, "--output", 1, "--from", "2030-01-02", "--until", "2030-01-02"), 1),
        (("gpt-4", "--input", 1, "--output", 1), 1),
    ],
)
def test_bad_input(run, words, code):
    result = run("prices", "set", *words)
    assert (result.exit_code, result.stdout) == (code, "")
    assert rows(run, "store") == []


def test_a_mapped_name_has_no_price_of_its_own(run, document):
    document("models", "map", "fast", HAIKU)
    refused = run("prices", "set", "fast", "--input", 1, "--output", 1)
    assert refused.exit_code == 1
    assert f"fast stands for {HAIKU}" in refused.stderr


LIST = {
    "us.anthropic.claude-opus-5": {
        "litellm_provider": "bedrock_converse",
        "mode": "chat",
        "input_cost_per_token": 5e-06,
        "output_cost_per_token": 2.75e-05,
    },
    "us.anthropic.claude-new": {
        "litellm_provider": "bedrock",
        "mode": "chat",
        "input_cost_per_token": 1e-06,
        "output_cost_per_token": 2e-06,
    },
}


@both
def test_a_public_list_is_taken_over_and_the_operator_s_word_stays(run, document, tmp_path):
    public = tmp_path / "list.json"
    public.write_text(json.dumps(LIST))
    document("prices", "set", "claude-opus-5", "--input", 9, "--output", 9)
    tried = run("prices", "sync", str(public), "--dry-run")
    assert "new      anthropic.claude-new us" in tried.stdout
    assert "changed  anthropic.claude-opus-5 us: input 5.50 -> 5.00" in tried.stdout
    assert "1 new, 1 changed, 0 gone; nothing was stored" in tried.stdout
    assert rows(run, "synced") == []
    done = document("prices", "sync", str(public))
    assert done["new"] == [{"model": "anthropic.claude-new", "place": "us"}]
    assert (done["stored"], done["source"]) == (True, str(public))
    assert len(rows(run, "synced")) == 2
    listed = json.loads(run("prices", "list", "claude-opus-5", "--json").stdout)["prices"]
    assert [row["source"] for row in listed[:3]] == ["store", "synced", "shipped"]
    again = document("prices", "sync", str(public))
    assert (again["new"], again["changed"], again["gone"]) == ([], [], [])
    fewer = {name: entry for name, entry in LIST.items() if "new" not in name}
    public.write_text(json.dumps(fewer))
    assert document("prices", "sync", str(public))["gone"] == done["new"]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("http://127.0.0.1/x", "only https URLs"),
        ("https://127.0.0.1:9/x", "cannot be fetched"),
        ("https://127.0.0.1:x/?secret", "is no URL"),
        ("https://me:secret@127.0.0.1:9/x", "a user name or a password"),
        ("https://127.0.0.1:9/x#secret", "cannot be fetched"),
        ("/dev/zero", "longer than 32 MB"),
        ("bad.json", "is no price list"),
        ("gone.json", "cannot be read"),
    ],
)
def test_what_is_no_list_changes_nothing(run, source, told):
    Path("bad.json").write_text("[]")
    result = run("prices", "sync", source)
    assert result.exit_code != 0
    assert told in result.stderr
    assert "secret" not in result.stderr
    assert rows(run, "synced") == []


def test_the_settings_say_which_entries_of_a_public_list_are_taken(document, tmp_path):
    public = tmp_path / "list.json"
    entry = {"mode": "chat", "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06}
    named = {"us.anthropic.claude-opus-5": "bedrock", "us.m.new": "bedrock_converse"}
    listed = {name: entry | {"litellm_provider": one} for name, one in named.items()}
    public.write_text(json.dumps(listed))
    only = {"PRICING_SYNC_PROVIDERS": "bedrock_converse"}
    found = document("prices", "sync", str(public), "--dry-run", **only)
    assert [row["model"] for row in found["new"]] == ["m.new"]
    assert found["changed"] == []
    only = {"PRICING_SYNC_CREATE_MISSING": "false"}
    found = document("prices", "sync", str(public), "--dry-run", **only)
    assert [row["model"] for row in found["changed"]] == ["anthropic.claude-opus-5"]
    assert found["new"] == []


@pytest.fixture
def aws(bedrock):
    """The environment in which the simulator is AWS's price list, too."""
    SimClient(bedrock["BEDROCK_ENDPOINT_URL"]).reset()
    return {**bedrock, "PRICING_ENDPOINT_URL": bedrock["BEDROCK_ENDPOINT_URL"]}


OPUS = "anthropic.claude-opus-5-5"


def test_aws_s_own_list_is_taken_over_for_the_regions_in_use(run, document, aws):
    other = {"PROVIDERS": '{"eu": {"region": "eu-west-1"}}'}
    tried = document("prices", "sync", "--dry-run", **aws)
    assert (tried["source"], tried["stored"]) == ("AWS Price List", False)
    assert {row["place"].rpartition("/")[2] for row in tried["changed"]} == {"us-east-1"}
    assert tried["skipped"]["a model that is not known by this name"] == 1
    assert rows(run, "synced") == []
    done = document("prices", "sync", **aws, **other)
    assert done["stored"]
    synced = {(row["model"], row["place"]): row for row in rows(run, "synced")}
    assert {place.rpartition("/")[2] for _, place in synced} == {"us-east-1", "eu-west-1"}
    assert synced[OPUS, "global/us-east-1"]["input_usd"] == 4
    assert synced[OPUS, "eu-west-1"]["output_usd"] == 22
    assert synced["zai.glm-5", "mantle/us-east-1"]["input_usd"] == 1
    assert "anthropic.claude-saga-9" not in {model for model, _ in synced}
    said = run("prices", "sync", "--dry-run", **aws, **other).stdout.splitlines()
    assert any(line.startswith("left out 4: no use of text tokens") for line in said)
    assert said[-1].endswith("0 new, 0 changed, 0 gone; nothing was stored")


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        ({"PRICING_ENDPOINT_URL": "http://127.0.0.1:1"}, "cannot be asked"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "signature"),
        ({"AWS_REGION": "mars-north-1"}, "none is understood"),
    ],
)
def test_without_aws_s_list_nothing_changes(run, aws, trouble, told):
    result = run("prices", "sync", "--json", **{**aws, **trouble})
    assert (result.exit_code, result.stdout) == (1, "")
    assert told in result.stderr
    assert "Traceback" not in result.stderr
    assert rows(run, "synced") == []


def test_the_operator_s_prices_stand_over_aws_s(run, document, aws):
    document("prices", "set", "claude-opus-5-5", "--input", 9, "--output", 9)
    document("prices", "sync", **aws)
    listed = json.loads(run("prices", "list", "claude-opus-5-5", "--json").stdout)["prices"]
    assert [row["source"] for row in listed][:2] == ["store", "synced"]
    assert listed[0]["input_usd"] == 9
