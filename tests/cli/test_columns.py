"""Tables of commands, for programs and on a terminal of 80 columns."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import terminals

from anthropic_bedrock_proxy.cli.columns import Column, fitted

NAME = "the key of the long integration run of the whole department, every night"
WORDS = ("-m", "anthropic_bedrock_proxy")


def environment(folder, **extra):
    kept = {n: v for n, v in os.environ.items() if n.startswith("COVERAGE_")}
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": os.pathsep.join(sys.path),
        "TERM": "xterm-256color",
        "COLUMNS": "80",
        **kept,
        **extra,
    }


def on_terminal(folder, *words, code=0, **extra):
    """What a command prints where a person reads along; stderr goes elsewhere."""
    command = [sys.executable, *WORDS, *words]
    ended, printed, said = terminals.on_terminal(command, folder, environment(folder, **extra))
    assert ended == code
    return printed, said


def piped(folder, *words, **extra):
    done = subprocess.run(
        [sys.executable, *WORDS, *words],
        cwd=folder,
        env=environment(folder, **extra),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.fixture
def folder(tmp_path):
    limits = ("--rate-limit", "60", "--tpm-limit", "100000", "--monthly-budget", "50")
    piped(tmp_path, "keys", "create", "--name", NAME, "--user-id", "u" * 30, *limits)
    return tmp_path


def test_keys_can_be_read_in_80_columns(folder):
    printed, said = on_terminal(folder, "keys", "list")
    lines = printed.replace("\x1b[1m", "").replace("\x1b[0m", "").splitlines()
    assert max(map(len, lines)) <= 80
    key_id = piped(folder, "keys", "list").splitlines()[1].split()[0]
    assert lines[1].startswith(f"{key_id}  the key of"), "an id is never cut"
    assert "…" in lines[1]
    assert {"ID", "NAME", "STATUS", "LIMITS"} <= set(lines[0].split())
    assert f"store  {folder}/data/proxy.db\n" in said
    assert "Not shown for lack of width: " in said


@pytest.mark.parametrize(
    "words",
    [
        ("users", "list"),
        ("usage",),
        ("prices", "list"),
        ("models", "list"),
        ("providers", "list"),
        ("betas", "list"),
        ("audit",),
        ("budgets", "show", "key", NAME),
    ],
)
def test_others_can_be_read_too(folder, words):
    printed, _ = on_terminal(folder, *words, NO_COLOR="1")
    assert "\x1b" not in printed
    assert max(map(len, printed.splitlines()), default=0) <= 80


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("keys", "list", "--name", "nobody"), "no such keys: `keys create` makes one"),
        (("teams", "list"), "no teams: `teams create` makes one"),
        (("prices", "list", "haiku"), "no price is known of haiku: `models list` has"),
        (("betas", "list"), "no overrides"),
        (("providers", "list"), "none beside that of the AWS_* settings"),
        (("budgets", "history", "key", NAME), "nothing was spent yet"),
    ],
)
def test_where_there_is_nothing_it_says_so(folder, words, told):
    printed, said = on_terminal(folder, *words)
    assert printed == ""
    assert told in said
    assert "for lack of width" not in said
    assert len(piped(folder, *words).splitlines()) == 1, "a program gets the header"


def test_the_doctor_can_be_read_too(folder):
    words = ("doctor", "--no-model-calls")
    environ = {"AWS_EC2_METADATA_DISABLED": "true"}
    for plain in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        printed, _ = on_terminal(folder, *words, code=1, **environ, **plain)
        assert "\x1b" not in printed
    assert "\x1b[31mFAIL" in on_terminal(folder, *words, code=1, **environ)[0]
    lines = printed.splitlines()
    assert [line for line in lines if len(line) > 80 and " " in line[25:]] == []
    assert any(line.startswith("FAIL  credentials   none are") for line in lines)
    assert any(line.startswith(" " * 23) for line in lines), "a mend that goes on"


def test_a_program_gets_all_in_plain_columns(folder):
    printed = piped(folder, "keys", "list")
    assert NAME in printed
    assert "\x1b" not in printed
    assert "…" not in printed


@pytest.mark.parametrize(
    ("extra", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
)
def test_colour_is_as_the_environment_wants_it(folder, extra, coloured):
    printed, _ = on_terminal(folder, "keys", "list", **extra)
    assert ("\x1b[" in printed) == coloured


def test_colour_can_be_forced_into_a_pipe_and_nothing_is_cut_there(folder):
    printed = piped(folder, "keys", "list", FORCE_COLOR="1")
    assert "\x1b[" in printed
    assert NAME in printed


def test_prices_say_their_unit(folder):
    printed, _ = on_terminal(folder, "prices", "list", "claude-haiku-4-5")
    assert printed.splitlines()[-1] == "USD per million tokens"
    assert "USD per million" not in piped(folder, "prices", "list")


COLUMNS = [Column("ID"), Column("NAME", cut=True), Column("B", rank=1), Column("A", rank=2)]


@pytest.mark.parametrize(
    ("room", "shown"),
    [
        (None, {0: 20, 1: 30, 2: 8, 3: 8}),
        (80, {0: 20, 1: 30, 2: 8, 3: 8}),
        (60, {0: 20, 1: 18, 2: 8, 3: 8}),
        (45, {0: 20, 1: 13, 2: 8}),
        (32, {0: 20, 1: 10}),
        (40, {0: 20, 1: 18}),
        (10, {0: 20, 1: 10}),
    ],
)
def test_what_matters_least_goes_first_and_an_id_never(room, shown):
    assert fitted(COLUMNS, [20, 30, 8, 8], room) == shown


def test_a_narrow_column_takes_the_place_of_a_wide_one_that_matters_more():
    columns = [Column("ID"), Column("WIDE", rank=1), Column("SLIM", rank=2)]
    assert fitted(columns, [20, 40, 8], 40) == {0: 20, 2: 8}


def test_serving_draws_no_tables():
    program = (
        "import sys, anthropic_bedrock_proxy.cli.start, anthropic_bedrock_proxy.cli.first_key,"
        "anthropic_bedrock_proxy.cli.banner, anthropic_bedrock_proxy.app.build as _;"
        "print(sorted({'click', 'rich'} & {*sys.modules}))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "[]\n"
