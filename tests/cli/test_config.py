"""The `config` command, through click."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from anthropic_bedrock_proxy.cli.main import cli
from anthropic_bedrock_proxy.config import describe, load_settings


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs `config` in an empty directory, with nothing set in the environment but `env`."""
    monkeypatch.chdir(tmp_path)
    known = load_settings(environ={}, env_file=None).sources
    cleared = {name: None for name in os.environ if name.upper() in {*known, "AWS_DEFAULT_REGION"}}

    def invoke(*args, files=None, env=None):
        for name, text in (files or {}).items():
            Path(name).write_text(text, "utf-8")
        return CliRunner().invoke(cli, ["config", *args], env=cleared | (env or {}))

    return invoke


def test_text_shows_values_sources_and_what_has_no_effect(run):
    result = run(
        "--config",
        "p.toml",
        env={"PORT": "9000", "MASTER_API_KEY": "sk-secret"},
        files={".env": "HOST=localhost\nDEBUG=1\nPROT=1\n", "p.toml": "workers = 2\n"},
    )
    assert result.exit_code == 0
    rows = {
        line.split()[0]: line.split()[1:] for line in result.stdout.splitlines() if line.strip()
    }
    assert rows["PORT"] == ["9000", "environment"]
    assert rows["HOST"] == ["localhost", ".env"]
    assert rows["WORKERS"] == ["2", "p.toml"]
    assert rows["MASTER_API_KEY"] == ["****", "environment"]
    assert rows["AWS_PROFILE"] == ["(unset)", "default"]
    assert rows["ENABLE_WEB_SEARCH"][1:] == ["default"]
    assert "DEBUG (from .env): accepted and ignored: replaced by LOG_LEVEL=DEBUG" in result.stdout
    assert "did you mean PORT?" in result.stdout


def test_json_is_one_document(run):
    result = run(
        "--json",
        env={"WEB_SEARCH_MAX_RESULTS": "10", "JOURNAL_DIR": "/j"},
        files={".env": "DEBUG=1\n"},
    )
    document = json.loads(result.stdout)
    by_name = {entry["name"]: entry for entry in document["settings"]}
    assert by_name["JOURNAL_DIR"]["value"] == "/j"
    assert by_name["WEB_SEARCH_MAX_RESULTS"] == {
        "name": "WEB_SEARCH_MAX_RESULTS",
        "section": "web",
        "key": "web_search_max_results",
        "value": 10,
        "source": "environment",
        "secret": False,
        "effective": True,
        "reason": None,
    }
    assert document["no_effect"][0]["name"] == "DEBUG"
    assert document["warnings"] == []


def test_problems_go_to_stderr_and_fail(run):
    result = run("--json", env={"PORT": "x", "WORKERS": "0"})
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "2 settings are wrong:" in result.stderr


@pytest.mark.parametrize(
    ("option", "render"),
    [("--env-example", describe.env_example), ("--markdown", describe.markdown)],
)
def test_documents_do_not_depend_on_the_environment(run, option, render):
    result = run(option, env={"PORT": "x"})
    assert result.exit_code == 0
    assert result.stdout == render()
