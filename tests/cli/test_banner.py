"""The addresses that `serve` tells."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import msgspec
import pytest

from anthropic_bedrock_proxy.cli.banner import banner
from anthropic_bedrock_proxy.config import load_settings


def test_claude_code_is_given_the_key_that_it_does_not_ask_about():
    settings = load_settings(None, environ={}, env_file=None)
    text = banner(settings, "127.0.0.1", 8000, "Bedrock", None, first_key="sk-1", keyless=False)
    line = "ANTHROPIC_BASE_URL=http://127.0.0.1:8000 ANTHROPIC_AUTH_TOKEN=sk-1 claude"
    assert f"Claude Code:\n  {line}" in text


@pytest.mark.parametrize(
    ("host", "tls", "listening", "curl"),
    [
        ("127.0.0.1", False, "http://127.0.0.1:8000", "curl http://127.0.0.1:8000/v1/messages"),
        ("0.0.0.0", False, "http://0.0.0.0:8000", "curl http://127.0.0.1:8000/v1/messages"),
        ("::", True, "https://[::]:8000", "curl https://[::1]:8000/v1/messages"),
        (
            "fe80::1%eth0",
            False,
            "http://[fe80::1%eth0]:8000",
            "curl http://[fe80::1%25eth0]:8000/v1/messages",
        ),
        ("a.example", True, "https://a.example:8000", "curl https://a.example:8000/v1/messages"),
        (
            "unix:///run/proxy.sock",
            False,
            "unix:///run/proxy.sock",
            "curl --unix-socket /run/proxy.sock http://localhost/v1/messages",
        ),
    ],
)
def test_the_address_can_be_pasted(host, tls, listening, curl):
    settings = load_settings(None, environ={"HOST": host}, env_file=None)
    if tls:
        server = msgspec.structs.replace(settings.server, tls_certificate="cert.pem")
        settings = msgspec.structs.replace(settings, server=server)
    text = banner(settings, host, 8000, "Bedrock", None, first_key=None, keyless=False)
    assert f"  listening  {listening}\n" in text
    assert f"  {curl} -H " in text


def told(**environ):
    settings = load_settings(None, environ=environ, env_file=None)
    return banner(settings, "127.0.0.1", 8000, "Bedrock", None, first_key=None, keyless=False)


def test_pages_are_told_unless_they_are_switched_off():
    assert (
        "  pages      http://127.0.0.1:8000/docs (the API), /health, /ready, /metrics\n" in told()
    )
    off = told(DOCS_URL="", ENABLE_METRICS="false")
    assert "  pages      http://127.0.0.1:8000/health, /ready\n" in off
    assert "/docs" not in told(OPENAPI_URL="")
    assert "/reference (the API)" in told(DOCS_URL="/reference")


def test_commands_are_told(monkeypatch):
    monkeypatch.setattr(
        "sys.argv", [str(Path(sys.executable).with_name("anthropic-bedrock-proxy"))]
    )
    (line,) = (line for line in told().splitlines() if line.startswith("  commands"))
    program, commands = line.split(maxsplit=1)[1].split(" doctor, ")
    assert shutil.which(program.split()[0])
    assert commands == "top, explain REQUEST_ID, keys, usage; --help names all"


def test_notes_are_told():
    settings = load_settings(None, environ={}, env_file=None)
    notes = ["FAILOVER_CHAINS, m: far is left out"]
    text = banner(settings, "h", 8000, "Bedrock", None, first_key=None, keyless=False, notes=notes)
    assert "  note       FAILOVER_CHAINS, m: far is left out\n" in text


def test_sentences_are_folded_for_the_terminal_and_what_is_pasted_is_not():
    settings = load_settings(None, environ={}, env_file=None)
    notes = ["a word, and many others " * 8]
    text = banner(
        *(settings, "127.0.0.1", 8000, "the built-in simulator (demo)", None),
        first_key="sk-1",
        keyless=False,
        notes=notes,
        width=80,
    )
    sentences, pasted = text.split("\n\ncurl:\n")
    long = [line for line in sentences.splitlines() if len(line) > 80]
    assert [line.split()[-1] for line in long] == ["doctor,"] * len(long), "a long path"
    assert "\n             " in sentences
    assert len(pasted.splitlines()[0]) > 80


def test_unsafe_choices_are_told():
    assert "  note " not in told()
    assert "looks like a sample" in told(MASTER_API_KEY="sk-change-me")
    assert "looks like a sample" not in told(MASTER_API_KEY="sk-Yz81bQh27Lw0")
    settings = load_settings(None, environ={"REQUIRE_API_KEY": "false"}, env_file=None)
    for host, warned in (("127.0.0.1", False), ("unix:///x", False), ("0.0.0.0", True)):
        text = banner(settings, host, 8000, "Bedrock", None, first_key=None, keyless=False)
        assert ("REQUIRE_API_KEY is off" in text) == warned


def test_settings_without_effect_are_named():
    assert "(`config` says why): DEBUG, ENABLE_TOOL_USE\n" in told(DEBUG="1", ENABLE_TOOL_USE="1")


def test_the_region_says_where_it_is_from(tmp_path):
    assert "region us-east-1 (the default: set AWS_REGION)" in told(HOME=str(tmp_path))
    assert "region eu-west-1 (from environment)" in told(AWS_REGION="eu-west-1")
