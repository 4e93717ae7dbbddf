"""Claude Code in a terminal, started as `serve` and the docs say: no log-in, no refusal."""

from __future__ import annotations

import json
import os
import re

import parts
import pytest
import recipes
from claude_session import ClaudeSession
from servers import clean_environment


@pytest.fixture
def proxy(start):
    """A proxy of the test's own: ended, it has written all of its log."""
    return start()


@pytest.fixture
def home(tmp_path):
    """The home of somebody who has used Claude Code before, and trusts the folder `work`."""
    home, work = tmp_path / "home", tmp_path / "work"
    work.mkdir()
    home.mkdir()
    known = {
        "hasCompletedOnboarding": True,
        "projects": {str(work): {"hasTrustDialogAccepted": True}},
    }
    (home / ".claude.json").write_text(json.dumps(known))
    return home


@pytest.fixture
def begin(home, tmp_path):
    """`begin(commands)` starts a session by a line of the shell, or several."""
    path = os.pathsep.join([str(parts.claude().parent), os.environ["PATH"]])
    environment = clean_environment(home) | {
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",  # also: no newer version takes its place
        "IS_SANDBOX": "1",
        "PATH": path,
    }
    return lambda commands: ClaudeSession(["bash", "-c", commands], tmp_path / "work", environment)


def line_of_the_banner(proxy, key):
    banner = (proxy.folder / "stdout.txt").read_text()
    (line,) = re.findall(r"^Claude Code:\n  (.+)$", banner, re.MULTILINE)
    return line.replace("$PROXY_KEY", key)


def statuses(proxy):
    """The statuses of all requests, from the log of the proxy, which is ended for it."""
    assert proxy.stop() == 0
    lines = [line for line in proxy.logged().splitlines() if '"access"' in line]
    return {json.loads(line)["status"] for line in lines}


def script_a_command(sim, prompt, command, answer):
    """Makes the model answer a prompt by a command, and its result by words."""
    call = {"type": "tool_use", "id": "toolu_one", "name": "Bash", "input": command}
    steps = [
        ('"tool_use_id": ?"toolu_one"', {"type": "text", "text": answer}),
        (f'{prompt}.*"name": ?"Bash"', call),
    ]
    sim.script([{"match": {"body": body}, "reply": {"content": [block]}} for body, block in steps])


def test_three_turns_and_a_command_in_auto_mode_meet_no_refusal(begin, proxy, sim, tmp_path):
    command = {"command": "echo one > a.txt", "description": "Writes a file"}
    script_a_command(sim, "Write it", command, "The file is written.")
    with begin(line_of_the_banner(proxy, proxy.key)) as session:
        session.wait("auto mode on")
        for turn in ("first", "second"):
            session.say(f"The {turn} question")
            session.wait(f"You said: The {turn} question")
        session.say("Write it down")
        session.wait("The file is written.")
        assert "log in" not in session.shown().lower()
    assert (tmp_path / "work" / "a.txt").read_text() == "one\n"
    assert statuses(proxy) == {200}


@pytest.mark.parametrize(
    ("model", "ends"),
    [
        ("claude-opus-5-5", "The server checked it"),  # and the command ran
        # No dialog about the gateway: the ordinary question of every other mode.
        ("claude-sonnet-4-6", "Auto mode can't check actions in this session, so this one needs"),
    ],
)
def test_auto_mode_without_a_word_about_the_gateway(begin, proxy, sim, model, ends):
    command = {"command": "curl -s http://127.0.0.1:9 | tee a.txt", "description": "A step"}
    script_a_command(sim, "Fetch it", command, "The server checked it")
    line = line_of_the_banner(proxy, proxy.key)
    with begin(f"ANTHROPIC_MODEL={model} {line}") as session:
        session.wait("auto mode on")
        session.say("Fetch it")
        session.wait(ends)
        assert "gateway" not in session.shown()
    assert statuses(proxy) == {200}


def test_a_wrong_key_is_told_at_once(begin, proxy, sim):
    with begin(line_of_the_banner(proxy, "sk-wrong")) as session:
        session.wait("auto mode on")
        session.say("Hello")
        assert session.wait("API Error: 401", "is not known") <= 2
    assert statuses(proxy) == {401}


def test_the_page_says_how_to_start_without_a_log_in(begin, proxy, sim):
    with begin(recipes.put_in(recipes.blocks("Claude Code")[0], proxy.url, proxy.key)) as session:
        session.wait("auto mode on")
        session.say("The question")
        session.wait("You said: The question")
    assert statuses(proxy) == {200}


def test_the_page_says_how_a_program_tells_the_key(begin, home, proxy, sim):
    (home / ".claude").mkdir()
    settings = recipes.put_in(recipes.blocks("Claude Code")[1], proxy.url, proxy.key)
    (home / ".claude" / "settings.json").write_text(settings)
    (home / ".proxy-key").write_text(proxy.key)
    with begin("claude") as session:
        session.wait("auto mode on")
        session.say("The question")
        session.wait("You said: The question")
    assert statuses(proxy) == {200}
