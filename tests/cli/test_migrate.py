"""`migrate litellm`, as a user types it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from litellm_cases import CASES, exports

CASE = next(case for case in CASES if case.name == "keys_and_budgets")
FILES = [word for kind, path in exports(CASE).items() for word in (f"--{kind}", path)]
WORDS = ("migrate", "litellm", CASE / "config.yaml", *FILES)
both = pytest.mark.parametrize("run", ["local", "remote"], indirect=True)


def test_nothing_is_changed_unless_it_is_asked_for(run, document):
    shown = run(*WORDS)
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert "MASTER_API_KEY=${LITELLM_MASTER_KEY}" in shown.stdout
    assert "key red-2, blocked  (keys[2])" in shown.stdout
    assert "keys[0], keys[1], keys[2] and 2 more" in shown.stdout
    assert "Nothing was changed: --apply keeps" in shown.stdout
    made = document(*WORDS)
    assert (made["applied"], made["outcomes"]) == (False, [])
    golden = json.loads((CASE / "plan.json").read_text())
    assert made["settings"] == golden["settings"]
    assert made["differences"] == golden["differences"]
    whats = [one["what"] for one in made["operations"]]
    assert whats == [one["what"] for one in golden["operations"]]
    assert document("keys", "list")["keys"] == []


@both
def test_what_is_applied_is_there_and_stays_so(run):
    first = json.loads(run(*WORDS, "--apply", "--json").stdout)
    assert {one["state"] for one in first["outcomes"]} == {"done"}
    listed = json.loads(run("keys", "list", "--json").stdout)["keys"]
    keys = {key["name"]: key for key in listed}
    assert keys["ci"]["secret_hint"] == "sk-...wxyz"
    assert (keys["ci"]["rate_limit"], keys["ci"]["monthly_budget_usd"]) == (60, 50)
    assert keys["red-2"]["is_active"] is False
    assert keys["red-1"]["allowed_models"] == ["sonnet", "haiku"]
    teams = {one["id"]: one for one in json.loads(run("teams", "list", "--json").stdout)["teams"]}
    assert (teams["team-red"]["tpm_limit"], teams["team-blue"]["is_active"]) == (200000, False)
    actions = json.loads(run("audit", "--json").stdout)["records"]
    assert {one["action"] for one in actions} >= {"keys.create", "teams.create", "models.map"}

    again = run(*WORDS, "--apply")
    assert again.exit_code == 0
    assert again.stderr.count("there already: ") == 9
    assert "1 done, 9 there already, 0 refused." in again.stdout
    assert len(json.loads(run("keys", "list", "--json").stdout)["keys"]) == len(keys)


def test_what_is_refused_is_told_and_the_rest_goes_on(run, tmp_path):
    keys = [
        {"token": "ab" * 32, "key_alias": "far", "expires": "in a year"},
        {"token": "cd" * 32, "key_alias": "near"},
    ]
    (tmp_path / "keys.json").write_text(json.dumps(keys))
    done = run("migrate", "litellm", CASE / "config.yaml", "--keys", "keys.json", "--apply")
    assert done.exit_code == 1
    assert "refused: key far: expires_at: " in done.stderr
    assert "2 done, 0 there already, 1 refused." in done.stdout


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("missing.yaml", None, "missing.yaml cannot be read: "),
        ("bad.yaml", "a: [", "bad.yaml: line 1 is no YAML: "),
        ("keys.json", "{", "keys.json: line 1 is no JSON: "),
    ],
)
def test_a_file_that_cannot_be_read_is_named(run, tmp_path, name, text, message):
    if text is not None:
        (tmp_path / name).write_text(text)
    words = (CASE / "config.yaml", "--keys", name) if name.endswith("json") else (name,)
    refused = run("migrate", "litellm", *words)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert message in refused.stderr


def test_without_the_extra_it_says_how_to_get_it(tmp_path):
    """A process that cannot import yaml."""
    script = (
        "import sys; sys.modules['yaml'] = None; "
        "from anthropic_bedrock_proxy.cli.main import cli; cli()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, WORDS)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "YAML needs the extra `migration`" in done.stderr
