"""`betas`, as a user types it."""

from __future__ import annotations

import pytest

from anthropic_bedrock_proxy.store.base.catalog import CapabilityOverride

HAIKU = "anthropic.claude-haiku-4-5-20251001-v1:0"
FLAG = "fast-mode-2026-02-01"
both = pytest.mark.parametrize("run", ["local", "remote"], indirect=True)


def overrides(document, *words, **options):
    return {
        (row["name"], row["model"], row["dialect"]): (row["allowed"], row["source"])
        for row in document("betas", "list", *words, **options)[
            {"--field": "fields", "--tier": "tiers"}.get(words[0] if words else "", "betas")
        ]
    }


@both
def test_allow_block_and_forget(run, document):
    allowed = document("betas", "allow", FLAG, "--reason", "seen to work")
    assert allowed.pop("updated_at")
    assert allowed == {
        "model": "*",
        "dialect": "*",
        "kind": "beta",
        "name": FLAG,
        "allowed": True,
        "source": "operator",
        "reason": "seen to work",
        "learned_at": None,
        "confirmations": 0,
        "witnesses": [],
        "expires_at": None,
    }
    words = ("--model", "claude-haiku-4-5", "--dialect", "converse")
    assert document("betas", "block", FLAG, *words)["model"] == HAIKU
    assert overrides(document) == {
        (FLAG, "*", "*"): (True, "operator"),
        (FLAG, HAIKU, "converse"): (False, "operator"),
    }
    assert "seen to work" in run("betas", "list").stdout
    assert run("betas", "allow", FLAG).stdout == (
        f"{FLAG} is sent for every model in every dialect\n"
    )
    forgotten = document("betas", "forget", FLAG, *words)["forgotten"]
    assert [row["dialect"] for row in forgotten] == ["converse"]
    assert run("betas", "forget", FLAG).stdout == (
        f"the override on {FLAG} for every model in every dialect is forgotten\n"
    )
    assert overrides(document) == {}
    again = run("betas", "forget", FLAG)
    assert (again.exit_code, again.stderr) == (
        1,
        f"Error: there is no such override on the beta {FLAG}\n",
    )


@both
def test_fields_are_apart_from_flags(document):
    document("betas", "block", "context_management", "--field", "--model", f"us.{HAIKU}")
    assert overrides(document) == {}
    assert overrides(document, "--field") == {
        ("context_management", HAIKU, "*"): (False, "operator")
    }
    path = "tools.*.custom.eager_input_streaming"
    assert document("betas", "block", path, "--field")["name"] == path
    document("betas", "block", "flex", "--tier", "--dialect", "mantle", "--model", HAIKU)
    assert overrides(document, "--tier") == {
        ("flex", "anthropic.claude-haiku-4-5", "mantle"): (False, "operator")
    }, "as bedrock-mantle calls it"
    document("betas", "forget", "context_management", "--field")
    document("betas", "forget", path, "--field")
    assert overrides(document, "--field") == {}


def test_the_operator_s_word_replaces_a_learned_one(document, catalog):
    learned = CapabilityOverride(
        model=HAIKU, dialect="invoke", kind="beta", name=FLAG, allowed=False, source="learned",
        updated_at=1, reason="invalid beta flag",
    )  # fmt: skip
    document("betas", "list")
    assert catalog("put_override", learned)
    assert overrides(document) == {(FLAG, HAIKU, "invoke"): (False, "learned")}
    document("betas", "allow", FLAG, "--model", HAIKU, "--dialect", "invoke")
    assert not catalog("put_override", learned)
    assert overrides(document) == {(FLAG, HAIKU, "invoke"): (True, "operator")}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            {"witnesses": ("key_a",), "confirmations": 1},
            "met once by key_a, since 1970-01-01T00:00:05Z; counts for this key only; tried again",
        ),
        (
            {"witnesses": ("key_a", "key_b"), "confirmations": 9},
            "met 9 times by key_a, key_b, since 1970-01-01T00:00:05Z; counts for all; tried again",
        ),
        ({"allowed": True}, "withdrawn 1970-01-01T00:00:07Z: Bedrock took it again"),
        ({}, "counts for nobody"),
    ],
)
def test_a_learned_override_is_shown_with_its_evidence(run, catalog, fields, told):
    learned = {"allowed": False, "learned_at": 5, "expires_at": 86_400, "updated_at": 7} | fields
    run("betas", "list")
    assert catalog(
        "put_override",
        CapabilityOverride(
            model=HAIKU, dialect="invoke", kind="beta", name=FLAG, source="learned", **learned
        ),
    )
    assert told in run("betas", "list").stdout


@both
def test_a_model_is_shown_with_everything_that_holds_for_it(document):
    document("betas", "block", FLAG)
    document("betas", "block", FLAG, "--model", "claude-opus-4-8")
    settings = {"BETA_HEADERS_PASSTHROUGH": "a-1", "BETA_HEADERS_BLOCKLIST": "b-1"}
    settings["BETA_HEADER_MAPPING"] = '{"c-1": ["d-1"]}'
    shown = overrides(document, "--model", "claude-haiku-4-5", **settings)
    assert shown[FLAG, "*", "*"] == (False, "operator")
    assert not any(model == "anthropic.claude-opus-4-8" for _, model, _ in shown)
    assert shown["a-1", "*", "*"] == (True, "settings")
    assert shown["b-1", "*", "*"] == (False, "settings")
    assert shown["c-1", "*", "*"] == (True, "settings")
    assert shown["tool-search-tool-2025-10-19", HAIKU, "invoke"] == (True, "table")


@both
def test_an_unknown_model(run):
    for words in (["list"], ["allow", FLAG], ["forget", FLAG]):
        result = run("betas", *words, "--model", "gpt-4", "--json")
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == "Error: gpt-4 cannot be routed: see `models list --all`\n"


@pytest.mark.parametrize("name", ["a,b", "a b", "", "-x y", "x" * 200])
def test_a_name_is_one_name(run, name):
    assert run("betas", "allow", "--", name).exit_code == 2
