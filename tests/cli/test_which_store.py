"""Which store a command works on, and that none is made by accident."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner

from anthropic_bedrock_proxy.cli.main import cli
from anthropic_bedrock_proxy.cli.which_store import found_store
from anthropic_bedrock_proxy.config import load_settings
from anthropic_bedrock_proxy.store.sqlite.store import SQLiteStore

REFUSING = [
    "keys list",
    "keys show key_a",
    "keys revoke key_a",
    "keys rotate key_a",
    "keys update key_a --name b",
    "users list",
    "teams remove t",
    "usage",
    "usage export",
    "budgets show key key_a",
    "prices unset m",
    "models unmap a",
    "betas forget a",
    "providers remove west",
    "audit",
    "explain req_1",
    "backup copy.db",
]
MAKING = [
    "keys create --name a",
    "users create u",
    "teams create t",
    "prices set claude-haiku-4-5 --input 1 --output 2",
    "models map a claude-haiku-4-5",
    "betas block some-flag",
    "providers add west --region us-west-2",
]
BUILT_IN = ["prices list", "models list", "betas list", "providers list"]


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("STORE_URL", raising=False)
    return lambda words, **environ: CliRunner(env=environ).invoke(cli, words.split())


def make(path):
    async def story():
        store = SQLiteStore(Path(path))
        await store.open()
        await store.close()

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    asyncio.run(story())


@pytest.mark.parametrize("words", REFUSING)
def test_in_a_folder_without_a_store_nothing_is_made_and_the_mend_is_said(run, tmp_path, words):
    result = run(words)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"there is no store at {tmp_path}/data/proxy.db" in result.stderr
    assert "(STORE_URL=sqlite:///data/proxy.db, the default)" in result.stderr
    assert "set STORE_URL" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", MAKING)
def test_what_puts_something_in_makes_it_and_says_so(run, tmp_path, words):
    result = run(words)
    assert result.exit_code == 0
    assert (
        result.stderr.splitlines()[0]
        == f"store  {tmp_path}/data/proxy.db, which is new (the default)"
    )
    assert (tmp_path / "data/proxy.db").exists()
    assert "store  " not in run("keys list").stderr, "programs are told what is unexpected only"


@pytest.mark.parametrize("words", BUILT_IN)
def test_lists_of_what_is_built_in_do_without(run, tmp_path, words):
    result = run(words)
    assert result.exit_code == 0
    assert f"store  none at {tmp_path}/data/proxy.db: what is built in" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_for_programs_there_is_one_document_and_nothing_else(run):
    assert run("models list --json").stderr == ""
    assert run("keys create --name a --json").stderr == ""


def test_a_store_that_no_other_process_sees_is_refused(run):
    result = run("keys create --name a", STORE_URL="memory://")
    assert result.exit_code == 1
    assert "which no other process sees: ask the proxy with --url" in result.stderr


def test_the_store_of_a_demonstration_is_taken_where_there_is_no_other(run, tmp_path):
    make("data/demo/proxy.db")
    result = run("keys create --name a")
    assert f"store  {tmp_path}/data/demo/proxy.db, of `serve --demo`" in result.stderr
    assert not Path("data/proxy.db").exists()
    make("data/proxy.db")
    assert run("keys list").stderr == ""
    assert "key_" not in run("keys list").stdout
    assert "key_" in run("keys list", STORE_URL="sqlite:///data/demo/proxy.db").stdout


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        ({"STORE_URL": "sqlite:////there/p.db"}, "store  /there/p.db, which is new (from environ"),
        ({"STORE_URL": "dynamodb://", "AWS_REGION": "eu-west-1"}, "store  dynamodb:// eu-west-1"),
        (
            {"STORE_URL": "dynamodb://", "DYNAMODB_ENDPOINT_URL": "http://127.0.0.1:9"},
            "store  dynamodb:// http://127.0.0.1:9",
        ),
    ],
)
def test_a_store_is_named_in_a_line(environ, line):
    settings = load_settings(None, environ=environ, env_file=None)
    assert found_store(settings, "make").line.startswith(line)
