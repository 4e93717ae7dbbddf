"""`providers`, as a user types it; and the provider of a key."""

from __future__ import annotations

import json

import pytest

from anthropic_bedrock_proxy.store.sealing import ProviderCredentials, Seal

SEAL = {"PROVIDER_KEY_ENCRYPTION_SECRET": "a long random text"}
ROLE = "arn:aws:iam::111122223333:role/bedrock"
ADD = ("providers", "add", "west", "--region", "us-west-2")
both = pytest.mark.parametrize("run", ["local", "remote"], indirect=True)


@both
def test_add_with_everything_but_credentials(document, catalog):
    added = document(
        *ADD, "--endpoint-url", "https://e.example/", "--mantle-endpoint-url", "https://m.example",
        "--role-arn", ROLE, "--external-id", "x", "--profile", "p",
    )  # fmt: skip
    assert added.pop("created_at") == added.pop("updated_at")
    assert added == {
        "name": "west",
        "region": "us-west-2",
        "endpoint_url": "https://e.example",
        "mantle_endpoint_url": "https://m.example",
        "role_arn": ROLE,
        "external_id": "x",
        "profile": "p",
        "is_enabled": True,
        "credentials": None,
        "source": "store",
    }
    assert catalog("provider", "west").encrypted_credentials is None


@both
def test_a_secret_key_comes_on_stdin_and_is_stored_sealed(run, document, catalog):
    words = (*ADD, "--access-key-id", "AKIDEXAMPLEEXAMPLE")
    added = document(*words, typed="top/secret+key\n", **SEAL)
    assert added["credentials"] == "AKID****MPLE"
    token = catalog("provider", "west").encrypted_credentials
    assert Seal(SEAL["PROVIDER_KEY_ENCRYPTION_SECRET"]).open(token) == ProviderCredentials(
        access_key_id="AKIDEXAMPLEEXAMPLE", secret_access_key="top/secret+key"
    )
    for result in (run("providers", "list", **SEAL), run("providers", "list", "--json", **SEAL)):
        assert "AKID****MPLE" in result.stdout
        assert "secret+key" not in result.output
    unreadable = run("providers", "list", "--json")
    (row,) = json.loads(unreadable.stdout)["providers"]
    assert row["credentials"] == "****"
    assert "PROVIDER_KEY_ENCRYPTION_SECRET" in unreadable.stderr


@both
def test_a_bearer_token_from_stdin_or_the_environment(document):
    added = document(*ADD, "--bearer-token-stdin", typed="abcdefghijklmnopqrstuvwxyz", **SEAL)
    assert added["credentials"] == "abcd****wxyz"
    token = {"PROVIDER_BEARER_TOKEN": "bbbbbbbbbbbbbbbbbbbbbbbb"}
    replaced = document(*ADD, "--bearer-token-stdin", "--replace", **token, **SEAL)
    assert replaced["credentials"] == "bbbb****bbbb"
    assert replaced["created_at"] == added["created_at"]


def test_without_the_means_to_encrypt_nothing_is_stored(run, catalog):
    result = run(*ADD, "--bearer-token-stdin", "--json", typed="token")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "set PROVIDER_KEY_ENCRYPTION_SECRET" in result.stderr
    assert catalog("providers") == []


@pytest.mark.parametrize(
    "words",
    [
        ("default", "--region", "us-west-2"),
        ("a/b", "--region", "us-west-2"),
        ("west",),
        ("west", "--region", "west"),
        ("west", "--region", "us-west-2", "--endpoint-url", "ftp://x"),
        ("west", "--region", "us-west-2", "--endpoint-url", "https://user:hush@x"),
        ("west", "--region", "us-west-2", "--role-arn", "role"),
        ("west", "--region", "us-west-2", "--external-id", "x"),
        ("west", "--region", "us-west-2", "--profile", "p", "--access-key-id", "k"),
        ("west", "--region", "us-west-2", "--access-key-id", "k", "--bearer-token-stdin"),
        ("west", "--region", "us-west-2", "--access-key-id", "k"),
        ("west", "--region", "us-west-2", "--secret-access-key", "s"),
    ],
)
def test_bad_input(run, catalog, words):
    result = run("providers", "add", *words, typed="", **SEAL)
    assert (result.exit_code, result.stdout) == (2, "")
    assert catalog("providers") == []


@pytest.mark.parametrize("token", ["a\r\nb: c", "a b", "töken", " "])
def test_a_secret_is_one_word(run, token):
    assert run(*ADD, "--bearer-token-stdin", PROVIDER_BEARER_TOKEN=token, **SEAL).exit_code == 2


def test_a_provider_is_not_replaced_by_accident(run, document):
    document(*ADD)
    again = run(*ADD)
    assert (again.exit_code, again.stdout) == (1, "")
    assert "there is a provider west already" in again.stderr


@both
def test_disable_and_enable(run, document):
    document(*ADD)
    assert document("providers", "disable", "west")["is_enabled"] is False
    assert "disabled" in run("providers", "list").stdout
    assert document("providers", "enable", "west")["is_enabled"] is True
    assert "enabled" in run("providers", "disable", "west").stdout


@pytest.mark.parametrize("word", ["enable", "disable", "remove"])
def test_an_unknown_name(run, word):
    result = run("providers", word, "east", "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: no provider is called east; see `providers list`\n"


@both
def test_the_provider_of_a_key(run, document):
    refused = run("keys", "create", "--name", "a", "--provider", "west")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "no provider is called west" in refused.stderr
    assert document("keys", "list") == {"keys": []}
    document(*ADD)
    key = document("keys", "create", "--name", "a", "--provider", "west")
    assert key["provider"] == "west"
    bound = run("providers", "remove", "west")
    assert bound.exit_code == 1
    assert key["id"] in bound.stderr
    assert run("keys", "update", key["id"], "--provider", "east").exit_code == 1
    assert document("keys", "update", key["id"], "--provider", "default")["provider"] == "default"
    assert document("keys", "update", key["id"], "--provider", "none")["provider"] is None
    assert document("providers", "remove", "west") == {"name": "west", "removed": True}
    assert document("providers", "list") == {"providers": []}


@both
def test_providers_of_the_settings_are_listed_too(run, document):
    settings = {
        "PROVIDERS": json.dumps(
            {"east": {"region": "us-east-2", "bearer_token": "abcdefghijklmnopqrstuvwxyz"}}
        )
    }
    (row,) = document("providers", "list", **settings)["providers"]
    assert (row["name"], row["region"], row["source"]) == ("east", "us-east-2", "settings")
    assert row["credentials"] == "abcd****wxyz"
    assert document("keys", "create", "--name", "a", "--provider", "east", **settings)
    taken = run("providers", "add", "east", "--region", "us-east-2", **settings)
    assert (taken.exit_code, taken.stdout) == (1, "")
    assert "PROVIDERS" in taken.stderr
