"""`serve` without click means what it means with click."""

from __future__ import annotations

import subprocess
import sys

import pytest

from anthropic_bedrock_proxy.cli.plain import FLAGS, VALUES, parse_serve
from anthropic_bedrock_proxy.cli.serve import command


def test_the_options_are_those_of_the_command():
    by_name = {name: option.name for option in command.params for name in option.opts}
    assert by_name == VALUES | FLAGS


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--port", "1", "--port", "2"],
        ["--host=::1", "--workers=2"],
        ["--demo", "--demo-without-aws"],
        ["--config", "a b.toml", "--port=0"],
    ],
)
def test_what_is_plain_is_read_as_click_reads_it(arguments):
    context = command.make_context("serve", list(arguments))
    given = {name: value for name, value in context.params.items() if value not in (None, False)}
    assert parse_serve(arguments) == given


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--port"],
        ["--port="],
        ["--port", "--demo"],
        ["--workers", "-1"],
        ["--demo=1"],
        ["--dem"],
        ["extra"],
        ["--", "--demo"],
    ],
)
def test_what_is_not_plain_is_left_to_click(arguments):
    assert parse_serve(arguments) is None


def test_serving_imports_no_click():
    program = (
        "import sys, anthropic_bedrock_proxy.cli.start, anthropic_bedrock_proxy.app.build as _;"
    )
    program += "print(sorted({'click', 'email', 'http', 'configparser'} & {*sys.modules}))"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "[]\n"


def test_a_start_that_fails_says_why(tmp_path):
    ran = subprocess.run(
        [sys.executable, "-m", "anthropic_bedrock_proxy", "serve", "--config", "missing.toml"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("Error: ")
    assert "missing.toml" in ran.stderr
