"""Output of commands on a terminal: nothing that clients or AWS named moves its cursor."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from test_cli_explain import NOTED
from test_top import drawn, requests, scrape

from anthropic_bedrock_proxy.cli import terminal
from anthropic_bedrock_proxy.cli.top_figures import figures
from anthropic_bedrock_proxy.telemetry.access_log import RequestLine
from anthropic_bedrock_proxy.telemetry.request_log.record import RequestRecord, encode

EVIL = "m\x1b[2J\x9b31m\x7f\u202e\r\nok"
ESCAPED = r"m\x1b[2J\x9b31m\x7f\u202e\r\nok"
both = pytest.mark.parametrize("run", ["local", "remote"], indirect=True)


def clean(text):
    return all(one.isprintable() or one == "\n" for one in text)


def note():
    line = RequestLine("1970-01-01T00:00:01.000Z", f"GET /{EVIL}", 200, NOTED, 12.0, model=EVIL)
    record = RequestRecord(line=msgspec.Raw(msgspec.json.encode(line)), started=1.0, ended=2.0)
    Path("requests").mkdir()
    Path("requests/00000000001-1-x.jsonl").write_bytes(encode(record) + b"\n")


@both
def test_explain_escapes_what_clients_named(run):
    note()
    result = run("explain", NOTED)
    assert clean(result.stdout)
    assert result.stdout.startswith(f"GET /{ESCAPED} at ")
    facts = run("explain", NOTED, "--json").stdout
    assert clean(facts)
    assert json.loads(facts)["facts"]["model"] == EVIL


@both
def test_an_error_escapes_what_it_quotes(run):
    result = run("explain", f"req_{EVIL}")
    assert result.exit_code == 1
    assert clean(result.stderr)
    assert r"\x1b[2J" in result.stderr


def test_tables_and_lines_escape_names(run, capsys):
    run("keys", "create", "--name", EVIL)
    assert ESCAPED in run("keys", "list").stdout
    terminal.say(EVIL)
    assert capsys.readouterr().out == f"{ESCAPED}\n"


def test_top_draws_names_of_models_and_errors_escaped():
    now = scrape(1.0, requests("[bold]4\x1b", 1), ("model_requests_total", {"model": EVIL}, 5))
    text = drawn(figures(scrape(0.0), now).stale("\x1b[31mgone"))
    assert clean(text)
    for words in (ESCAPED, r"[bold]4\x1b", r"\x1b[31mgone"):
        assert words in text


def test_doctor_escapes_what_it_found(run):
    assert clean(run("doctor", "--no-model-calls", BEDROCK_ENDPOINT_URL="nonsense\x1b").stdout)


@pytest.mark.parametrize("on_terminal", [True, False])
def test_an_export_stays_exact_unless_a_terminal_shows_it(monkeypatch, capsys, on_terminal):
    monkeypatch.setattr("sys.stdout.isatty", lambda: on_terminal)
    terminal.say_exactly("a\x1b,b\r\n")
    assert capsys.readouterr().out == ("a\\x1b,b\n" if on_terminal else "a\x1b,b\r\n")
