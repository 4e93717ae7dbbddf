"""Keys, users and teams by their names, on the store and over HTTP."""

from __future__ import annotations

import pytest

both = pytest.mark.parametrize("run", ["local", "remote"], indirect=True)


@both
def test_a_key_answers_to_its_name(run, document):
    made = document("keys", "create", "--name", "build server")
    assert document("keys", "show", "build server")["id"] == made["id"]
    assert document("keys", "update", "build server", "--rate-limit", 5)["rate_limit"] == 5
    assert document("keys", "revoke", "build server")["is_active"] is False
    assert document("keys", "reactivate", "build server")["is_active"] is True
    assert document("keys", "rotate", "build server")["id"] == made["id"]
    assert document("budgets", "show", "key", "build server")["id"] == made["id"]
    assert document("budgets", "history", "key", "build server")["id"] == made["id"]
    assert document("usage", "--key", "build server")["rows"] == []


@both
@pytest.mark.parametrize("words", [("show",), ("revoke",), ("update", "--rate-limit", 1)])
def test_a_name_of_two_keys_is_none(run, document, words):
    ids = [document("keys", "create", "--name", "twin")["id"] for _ in range(2)]
    result = run("keys", words[0], "twin", *words[1:])
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: 2 keys are named twin: ")
    assert all(key_id in result.stderr for key_id in ids)
    assert "Error: 2 keys are named twin" in run("usage", "--key", "twin").stderr
    assert [key["is_active"] for key in document("keys", "list")["keys"]] == [True, True]


@both
@pytest.mark.parametrize("kind", ["user", "team"])
def test_users_and_teams_answer_to_theirs(run, document, kind):
    document(f"{kind}s", "create", "u1", "--name", "Ada")
    document(f"{kind}s", "create", "Ada2", "--name", "u1")
    assert document(f"{kind}s", "show", "Ada")["id"] == "u1"
    assert document(f"{kind}s", "show", "u1")["id"] == "u1", "an id comes before a name"
    assert document(f"{kind}s", "update", "Ada", "--rate-limit", 5)["id"] == "u1"
    assert document("budgets", "show", kind, "Ada")["id"] == "u1"
    assert run(f"{kind}s", "remove", "Ada").stdout == "u1 is removed\n"


@both
def test_a_filter_takes_names_and_ids_of_the_past(run, document):
    document("users", "create", "u1", "--name", "Ada")
    mine = document("keys", "create", "--name", "a", "--user-id", "u1")["id"]
    gone = document("keys", "create", "--name", "b", "--user-id", "nobody-recorded")["id"]
    for user, found in (("Ada", [mine]), ("u1", [mine]), ("nobody-recorded", [gone]), ("x", [])):
        listed = document("keys", "list", "--user", user)["keys"]
        assert [key["id"] for key in listed] == found
    assert document("usage", "--key", "key_aaaaaaaaaaaaaaaa")["rows"] == []
    assert document("usage", "--key", "deleted long ago")["rows"] == []


@both
@pytest.mark.parametrize(
    "words",
    [
        *(("keys", verb) for verb in ("show", "update", "revoke", "reactivate", "rotate")),
        ("users", "show"),
        ("teams", "show"),
        ("budgets", "show", "key"),
        ("providers", "remove"),
        ("explain",),
    ],
)
@pytest.mark.parametrize(
    ("text", "told"), [("", "the id is empty"), ("\udcff", "not written in UTF-8")]
)
def test_an_id_that_none_can_be_is_said_to_be_so(run, document, words, text, told):
    document("keys", "create", "--name", "a")
    more = ("--rate-limit", 1) if words[-1] == "update" else ()
    result = run(*words, text, *more)
    assert result.exit_code == 2
    assert told in result.stderr
