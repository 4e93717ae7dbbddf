"""`tables migrate` asks before it writes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from dynamo_servers import server
from terminals import on_terminal

WORDS = [sys.executable, "-m", "anthropic_bedrock_proxy"]


@pytest.fixture
def tables(tmp_path):
    """`tables("migrate", answer="y")`: the exit code and all that is printed."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(sys.path),
        "STORE_URL": "dynamodb://",
        "DYNAMODB_ENDPOINT_URL": server("moto"),
        "AWS_ACCESS_KEY_ID": "AKIDIMITATION",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_REGION": "us-east-1",
    }
    options = {"cwd": tmp_path, "env": environment}

    def invoke(*words, answer=None):
        if answer is None:
            done = subprocess.run(
                [*WORDS, "tables", *words], capture_output=True, text=True, check=False, **options
            )
            return done.returncode, done.stdout + done.stderr
        command = [*WORDS, "tables", *words]
        code, printed, said = on_terminal(command, tmp_path, environment, answer)
        return code, printed + said

    assert invoke("create", "--json")[0] == 0
    return invoke


def test_what_was_made_is_told_in_words(tables):
    code, said = tables("create")
    assert code == 0
    created, present = said.splitlines()
    assert created.split() == ["created", "-"]
    assert "anthropic-proxy-api-keys, anthropic-proxy-usage" in present
    assert "(" not in said


def test_where_nobody_can_be_asked_it_needs_a_yes(tables):
    code, said = tables("migrate")
    assert code == 2
    assert "nothing was changed: --yes says that it is meant, --dry-run looks" in said
    assert tables("migrate", "--dry-run")[0] == 0
    assert tables("migrate", "--yes")[0] == 0


@pytest.mark.parametrize(("answer", "expected"), [("n", 2), ("", 2), ("y", 0)])
def test_a_person_is_asked(tables, answer, expected):
    code, said = tables("migrate", answer=answer)
    assert code == expected
    assert "Rewrite the keys and the usage in anthropic-proxy-api-keys" in said
    assert "? [y/N]:" in said or "[y/N]" in said
