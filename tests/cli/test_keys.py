"""`keys`, as a user types it."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from anthropic_bedrock_proxy.cli.main import cli
from anthropic_bedrock_proxy.store.secrets import hash_secret
from anthropic_bedrock_proxy.store.sqlite.store import SQLiteStore

both = pytest.mark.parametrize("run", ["local", "remote"], indirect=True)


def find(secret: str, *, now: float | None = None):
    async def story():
        store = SQLiteStore(Path("s.db"))
        await store.open()
        try:
            caller = await store.keys.find(hash_secret(secret), now=int(now or time.time()))
            return caller and caller.key
        finally:
            await store.close()

    return asyncio.run(story())


@both
def test_create_with_everything(document):
    words = "--name dev --user-id u1 --rate-limit 60 --tpm-limit 100000 --monthly-budget 12.50"
    more = "--service-tier flex --cache-ttl 1h --expires-at 2030-01-31 --team red"
    most = "--input-tpm-limit 7 --output-tpm-limit 8 --concurrency-limit 9 --daily-budget 0.1"
    lists = "--total-budget 100 --allow-model claude-* --allow-model x --allow-tool web_search*"
    last = "--allow-network 10.0.0.0/8 --allow-network ::1 --admin-scope usage:read"
    typed = f"{words} {more} {most} {lists} {last}".split()
    created = document("keys", "create", *typed)
    secret = created.pop("key")
    (warning,) = created.pop("warnings")
    assert warning.startswith("no price is known of claude-fable-5-2, claude-mythos-5-2: ")
    assert secret.startswith("sk-")
    assert find(secret).id == created["id"]
    assert find(secret).monthly_budget_nano == 12_500_000_000
    shown = document("keys", "show", created["id"])
    assert shown == created
    assert shown.pop("created_at") == shown.pop("updated_at")
    assert shown == {
        "id": created["id"],
        "name": "dev",
        "user_id": "u1",
        "team_id": "red",
        "secret_hint": "sk-..." + secret[-4:],
        "is_active": True,
        "deactivated_reason": None,
        "expires_at": "2030-01-31T00:00:00Z",
        "rate_limit": 60,
        "tpm_limit": 100000,
        "monthly_budget_usd": 12.5,
        "service_tier": "flex",
        "cache_ttl": "1h",
        "provider": None,
        "input_tpm_limit": 7,
        "output_tpm_limit": 8,
        "concurrency_limit": 9,
        "daily_budget_usd": 0.1,
        "total_budget_usd": 100,
        "allowed_models": ["claude-*", "x"],
        "allowed_tools": ["web_search*"],
        "allowed_networks": ["10.0.0.0/8", "::1/128"],
        "admin_scopes": ["usage:read"],
    }
    assert list(shown)[:2] == ["id", "name"]


@both
def test_the_secret_is_shown_by_create_and_rotate_only(run, document):
    created = document("keys", "create", "--name", "a")
    for words in (["list"], ["show", created["id"]], ["update", created["id"], "--name", "b"]):
        for result in (run("keys", *words), run("keys", *words, "--json")):
            assert result.exit_code == 0
            assert created["key"] not in result.output
            assert created["id"] in result.stdout
    text = run("keys", "create", "--name", "b")
    assert "sk-" in text.stdout
    assert "cannot be shown again" in text.stderr


@both
def test_list_is_oldest_first_and_empty_at_first(run, document):
    assert document("keys", "list") == {"keys": []}
    assert run("keys", "list").stdout.startswith("ID")
    created = [document("keys", "create", "--name", name) for name in "ab"]
    listed = document("keys", "list")["keys"]
    assert sorted(key["id"] for key in listed) == sorted(key["id"] for key in created)
    assert all("key" not in key for key in listed)


@both
def test_update_changes_what_is_given_and_clears_with_none(run, document):
    options = ["--rate-limit", 5, "--monthly-budget", "1", "--user-id", "u", "--cache-ttl", "5m"]
    key_id = document("keys", "create", "--name", "a", *options)["id"]
    changed = document("keys", "update", key_id, "--monthly-budget", "0.000000001", "--name", "b")
    assert (changed["monthly_budget_usd"], changed["name"], changed["rate_limit"]) == (1e-9, "b", 5)
    cleared = document(
        "keys", "update", key_id, "--rate-limit", "none", "--user-id", "", "--cache-ttl", "none",
        "--monthly-budget", "none", "--service-tier", "none", "--expires-at", "none",
    )  # fmt: skip
    unset = ("rate_limit", "user_id", "cache_ttl", "monthly_budget_usd", "expires_at")
    assert [cleared[name] for name in unset] == [None] * 5
    assert cleared["name"] == "b"
    listed = document("keys", "update", key_id, "--allow-model", "a", "--admin-scope", "keys:read")
    assert (listed["allowed_models"], listed["admin_scopes"]) == (["a"], ["keys:read"])
    bare = document("keys", "update", key_id, "--allow-model", "none", "--admin-scope", "none")
    assert (bare["allowed_models"], bare["admin_scopes"]) == ([], [])
    nothing = run("keys", "update", key_id)
    assert nothing.exit_code == 2
    assert "nothing to change" in nothing.stderr


@both
def test_revoke_and_reactivate(run, document):
    created = document("keys", "create", "--name", "a")
    for _ in range(2):
        revoked = document("keys", "revoke", created["id"])
        assert (revoked["is_active"], revoked["deactivated_reason"]) == (False, "revoked")
    assert not find(created["key"]).is_active
    assert "revoked" in run("keys", "list").stdout
    active = document("keys", "reactivate", created["id"])
    assert (active["is_active"], active["deactivated_reason"]) == (True, None)


def test_an_expired_key_is_listed_as_such(run):
    run("keys", "create", "--name", "a", "--expires-at", "2001-01-01T00:00:00+02:00")
    assert "expired" in run("keys", "list").stdout


@both
def test_a_key_that_may_administer_more_gets_a_new_secret(run, document):
    made = document("keys", "create", "--name", "a")
    granted = document("keys", "update", made["id"], "--admin-scope", "usage:read")
    assert find(made["key"]) is None
    assert find(granted["key"]).id == made["id"]
    assert "key" not in document("keys", "update", made["id"], "--name", "b")
    text = run("keys", "update", made["id"], "--admin-scope", "keys:read").output
    assert find(granted["key"]) is None
    assert "sk-" in text
    assert "cannot be shown again" in text


@both
def test_rotate_keeps_the_id(document):
    first = document("keys", "create", "--name", "a")
    second = document("keys", "rotate", first["id"])
    assert second["id"] == first["id"]
    assert second["key"] != first["key"]
    assert second["secret_hint"] == "sk-..." + second["key"][-4:]
    assert find(first["key"]) is None
    third = document("keys", "rotate", first["id"], "--overlap", 3600)
    assert find(second["key"]).id == find(third["key"]).id == first["id"]
    assert find(second["key"], now=time.time() + 3601) is None


@both
@pytest.mark.parametrize("word", ["show", "update", "revoke", "reactivate", "rotate"])
def test_an_unknown_id(run, word):
    options = ["--name", "x"] if word == "update" else []
    result = run("keys", word, "key_missing", *options, "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: no key has the id key_missing, and no key is named so\n"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--monthly-budget", "-1"),
        ("--monthly-budget", "-0"),
        ("--monthly-budget", "nan"),
        ("--monthly-budget", "inf"),
        ("--monthly-budget", "ten"),
        ("--monthly-budget", "0.0000000001"),
        ("--monthly-budget", "1.0000000000000000000000000000000000001"),
        ("--monthly-budget", "1e-999999999"),
        ("--monthly-budget", "1e999999999"),
        ("--rate-limit", "0"),
        ("--rate-limit", "1.5"),
        ("--tpm-limit", "99999999999999999999"),
        ("--service-tier", "gold"),
        ("--cache-ttl", "2h"),
        ("--expires-at", "tomorrow"),
        ("--expires-at", "1969-12-31"),
        ("--name", " "),
        ("--concurrency-limit", "0"),
        ("--total-budget", "-1"),
        ("--allow-network", "10.0.0.1/8"),
        ("--allow-network", "example.com"),
        ("--admin-scope", "keys:everything"),
    ],
)
def test_bad_input_is_refused_by_name(run, option, value):
    result = run("keys", "create", "--name", "a", option, value)
    assert (result.exit_code, result.stdout) == (2, "")
    assert option in result.stderr.splitlines()[-1]
    assert json.loads(run("keys", "list", "--json").stdout) == {"keys": []}


@both
def test_money_is_exact(document):
    created = document("keys", "create", "--name", "a", "--monthly-budget", "8999999999.123456789")
    assert find(created["key"]).monthly_budget_nano == 8_999_999_999_123_456_789
    assert document("keys", "create", "--name", "b", "--monthly-budget", "0e-99999")[
        "monthly_budget_usd"
    ] == 0  # fmt: skip


def test_a_store_that_cannot_be_opened(run):
    result = run("keys", "list", "--json", url="sqlite:////dev/null/s.db")
    assert (result.exit_code, result.stdout) == (1, "")
    (only,) = result.stderr.splitlines()
    assert only.startswith("Error: ")


def test_settings_from_a_file_and_wrong_ones(run, tmp_path):
    (tmp_path / "proxy.toml").write_text('[store]\nurl = "sqlite:///from-toml.db"\n')
    result = CliRunner(env={"STORE_URL": None}).invoke(
        cli, ["keys", "create", "--name", "a", "--config", "proxy.toml"]
    )
    assert result.exit_code == 0
    assert (tmp_path / "from-toml.db").exists()
    missing = run("keys", "list", "--config", "missing.toml")
    assert missing.exit_code == 1
    assert "missing.toml" in missing.stderr
    assert "Traceback" not in missing.stderr


@both
def test_what_is_no_text_is_refused(run):
    for words in (
        ("create", "--name", "\udcff"),
        ("create", "--name", "a", "--user-id", "\udcff"),
        ("show", "\udcff"),
    ):
        result = run("keys", *words)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "is not written in UTF-8" in result.stderr
        assert "Traceback" not in result.stderr


@both
def test_no_name_moves_the_cursor(run, document):
    name = "\x1b[2Jgone\r\n\u202e=\x9b1"
    assert document("keys", "create", "--name", name)["name"] == name
    key_id = document("keys", "list")["keys"][0]["id"]
    for words in (("list",), ("show", key_id)):
        lines = run("keys", *words).stdout
        assert r"\x1b[2Jgone\r\n\u202e=\x9b1" in lines
        assert lines.replace("\n", "").isprintable()


@both
@pytest.mark.parametrize(
    ("unpriced", "means"),
    [("serve", "does not count requests"), ("refuse", "are refused (UNPRICED_MODELS=refuse)")],
)
def test_whoever_sets_a_budget_is_warned_of_what_it_does_not_count(run, document, unpriced, means):
    settings = {"UNPRICED_MODELS": unpriced}
    created = run("keys", "create", "--name", "a", "--daily-budget", 1, **settings)
    assert created.exit_code == 0
    assert "warnings" not in created.stdout
    assert "Warning: no price is known of claude-fable-5-2, claude-mythos-5-2: " in created.stderr
    assert means in created.stderr
    quiet = document("keys", "create", "--name", "b")
    assert "warnings" not in quiet
    update = ("keys", "update", quiet["id"])
    assert "warnings" not in document(*update, "--rate-limit", 5)
    assert "warnings" in document(*update, "--total-budget", 5)
    assert "warnings" not in document(*update, "--total-budget", "none")
    assert "warnings" not in document(*update, "--total-budget", 5, "--allow-model", "*haiku*")
    assert "warnings" not in document(*update, "--total-budget", 6), "by what it may use already"


def test_a_mapped_name_without_a_price_is_named_until_it_has_one(document):
    future = "us.anthropic.claude-sonnet-9-20300101-v1:0"
    document("models", "map", "next", future)
    words = ("--name", "a", "--daily-budget", 1, "--allow-model", "next")
    (warning,) = document("keys", "create", *words)["warnings"]
    assert "is known of next: " in warning
    document("prices", "set", future, "--input", 1, "--output", 2)
    assert "warnings" not in document("keys", "create", *words)
