"""Every command of the documentation is run as it is written, page by page, from top to bottom.

What is not run for real is in `doc_stand_ins.STAND_INS`. Of output that a page shows, each line has
to be found by its first three words of letters, a row of a table by its first two cells, and a line
of column heads by all of them: figures, ids and times are this world's own.

Programs in Python are compiled, and those that name a port are run. But those of clients.md are run
by test_recipes.py or, where they pin what nothing else can, by hand (client_trials.py); so is all
TypeScript.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import doc_pages
import parts
import pytest
import recipes
from doc_assumptions import (
    AFTER,
    BEFORE,
    EXIT_CODES,
    NOT_HERE,
    PROGRAMS_AFTER,
    PROXY,
    PUT_IN,
    SETTINGS,
    SIMULATOR,
)
from doc_stand_ins import STAND_INS, stands_in
from doc_world import DocWorld, need_namespaces
from environments import environment
from servers import ROOT
from walls import docker_image


def aws():
    """AWS's own command, in an environment that is on the PATH of worlds."""
    return environment(ROOT / ".venv-aws", ROOT / "requirements" / "aws.txt", "awscli")


NEEDED = {  # by pages: what they are run with
    "README.md": parts.claude,
    "docs/how-to/backup.md": aws,
    "docs/how-to/clients.md": parts.claude,
    "docs/how-to/docker.md": lambda: parts.program("docker"),
    "docs/how-to/dynamodb.md": aws,
    "docs/how-to/ecs.md": aws,
    "docs/how-to/kubernetes.md": lambda: environment(
        ROOT / ".venv-deploy", ROOT / "requirements" / "deploy.txt", "kubernetes-validate"
    ),
    "docs/how-to/limits.md": lambda: parts.program("redis-server"),
    "docs/how-to/migrate.md": parts.node,
}


@pytest.fixture(scope="module")
def furnished(tmp_path_factory):
    """(a folder with the data of a proxy that was used, what it made by the names that pages have)

    Its one request is that of explain.md: throttled at one provider, answered by another.
    """
    need_namespaces()
    folder = tmp_path_factory.mktemp("furnished")
    providers = {"ireland": {"region": "eu-west-1", "endpoint_url": "http://127.0.0.1:8099"}}
    body = {
        "model": "claude-sonnet-5",
        "max_tokens": 100,
        "top_k": 5,
        "stream": True,
        "messages": [{"role": "user", "content": "Hello"}],
    }
    throttled = {"error": {"type": "ThrottlingException", "message": "Too many requests"}}
    with DocWorld(folder) as world:
        (world.root / ".env").write_text(SETTINGS)
        world.run(SIMULATOR)
        world.run(f"curl -sSf http://127.0.0.1:8099/_sim/script -d '{json.dumps(throttled)}'")
        options = "--name me --user-id ann --rate-limit 60 --monthly-budget 10 --json"
        made = json.loads(world.run(f"anthropic-bedrock-proxy keys create {options}"))
        chains = json.dumps({"*": ["default", "ireland"]})
        world.run(f"export PROVIDERS='{json.dumps(providers)}' FAILOVER_CHAINS='{chains}'")
        world.run(f"UNSUPPORTED_SAMPLING=drop {PROXY}")
        answer = world.run(
            f"curl -sS --fail-with-body -D - http://127.0.0.1:8000/v1/messages"
            f" -H 'x-api-key: {made['key']}' -H 'content-type: application/json'"
            f" -d '{json.dumps(body)}'"
        )
        world.stop("8000")
        data = folder / "kept"
        shutil.copytree(world.root / "data", data / "data")
        (data / ".env").write_text(SETTINGS)
    request = re.search(r"^request-id: (\S+)", answer, re.MULTILINE)[1]
    return data, {
        "key_abcdefghijklmnop": made["id"],
        "req_019d2f3c41a0c4e5b2f1a98721": request,
        "sk-...": made["key"],
    }


def with_image(text):
    """A command with the name of an image for sandboxes that is here."""
    name = "sandbox:minimal"
    return text.replace(name, docker_image()) if name in text else text


def put_in(text, made, *, dots=False):
    """A command or program, or a line that is shown, with what is left to the reader."""
    text = with_image(text)
    for left, real in (PUT_IN | made).items():
        text = f"{text}\n".replace(left, real).rstrip("\n")
    assert dots or not re.search(r"(?<![\w.])\.\.\.|…", text), f"left to the reader: {text}"
    return text


def need_programs(page):
    """Skips the test where a program is missing that the page is run with."""
    for name in ("curl", "git", "jq", "openssl"):
        parts.program(name)
    NEEDED.get(page, lambda: None)()


def check_shown(page, shown, output):
    """What the page shows is what came, as far as the head of this file says."""
    for line in shown:
        cells = re.split(r" {2,}", line.strip())
        if not re.fullmatch(r"[A-Z ]+", line):  # of column heads, all
            cells = cells[:2]
        words = re.findall(r"[A-Za-z_]{2,}", " ".join(cells))
        if len(cells) == 1:
            words = words[:3]
        if not any(page == where and line.startswith(begins) for where, begins in NOT_HERE):
            assert re.search(".*?".join(words), output, re.DOTALL), f"{line}\nin:\n{output}"


def type_in(world, page, command, made):
    """Runs a command of the page; where a stand-in is used, the list has to say so."""
    if command.text.startswith("cat ") and command.shown:  # a file that the reader makes
        (world.root / command.text.split()[1]).write_text("\n".join(command.shown) + "\n")
    text = put_in(command.text, made)
    before = world.stood_in
    output = world.run(text, EXIT_CODES.get((page, command.text), 0))
    stood_in = world.stood_in > before
    assert stood_in == stands_in(text), f"{text}: stood in: {stood_in}"
    check_shown(page, [put_in(line, made, dots=True) for line in command.shown], output)


def as_lines(text):
    """A block without prompts: a script, else lines of .env or of a shell's start-up file."""
    if text.startswith("#!"):
        return f"cat >script <<'END'\n{text}\nEND\nchmod +x script && ./script"
    return f"set -a\n{text}\nset +a\nanthropic-bedrock-proxy config >config.txt"


def runs_here(page, block):
    """Whether a program of a page is run by this test."""
    elsewhere = page == "docs/how-to/clients.md" or "@pytest.fixture" in block.text
    return block.language == "python" and "127.0.0.1:" in block.text and not elsewhere


RUN = [
    page
    for page in doc_pages.PAGES
    if page in doc_pages.COMMANDS or any(runs_here(page, block) for block in doc_pages.blocks(page))
]


def run_program(world, page, block, made):
    program = world.root / f"program-{block.line}.py"
    program.write_text(put_in(block.text, made))
    output = world.run(f"ANTHROPIC_API_KEY={made['sk-...']} {sys.executable} {program}")
    behind = [each for each in doc_pages.blocks(page) if each.line > block.line]
    shown = next((each.text.splitlines() for each in behind if each.language == "text"), ())
    check_shown(page, shown, output)


@pytest.mark.parametrize("page", RUN)
def test_the_commands_of_a_page_work(page, furnished, tmp_path):
    need_programs(page)
    data, made = furnished
    waiting = []
    with DocWorld(tmp_path, data) as world:
        for text in BEFORE.get(page, ()):
            world.run(with_image(text))
        for block in doc_pages.blocks(page):
            if named := re.match(r"# ([\w./-]+\.(?:yaml|yml|json))\n", block.text):
                (world.root / named[1]).write_text(block.text)
            if block.language == "terraform":
                (world.root / "main.tf").write_text(block.text)
            if block.language in {"sh", "bash"}:
                world.run(as_lines(put_in(block.text, made)))
            elif runs_here(page, block):
                waiting.append(block)
            for command in block.commands if block.language == "console" else ():
                type_in(world, page, command, made)
                if PROGRAMS_AFTER.get(page, "") in command.text:
                    while waiting:
                        run_program(world, page, waiting.pop(0), made)
        for program in waiting:
            run_program(world, page, program, made)
        world.run(AFTER.get(page, "true"))


PROGRAMS = [
    pytest.param(page, block, id=f"{page}:{block.line}")
    for page in doc_pages.PAGES
    for block in doc_pages.blocks(page)
    if block.language == "python"
]


@pytest.mark.parametrize(("page", "block"), PROGRAMS)
def test_a_program_in_python_compiles(page, block):
    compile(block.text, f"{page}:{block.line}", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


SCRIPTS = [
    pytest.param(block, id=f"{page}:{block.line}")
    for page in doc_pages.PAGES
    for block in doc_pages.blocks(page)
    if block.language == "typescript"
]


@pytest.mark.parametrize("block", SCRIPTS)
def test_a_program_in_typescript_parses_and_is_a_recipe(block, tmp_path):
    script = tmp_path / "script.mjs"
    script.write_text(block.text)
    subprocess.run([parts.node(), "--check", script], check=True)
    firsts = [recipes.blocks(client["heading"])[0] for client in recipes.RECIPES.values()]
    assert block.text in firsts or "dangerouslyAllowBrowser" in block.text  # which pages use


def test_every_page_and_every_command_is_counted():
    everything = [one for commands in doc_pages.COMMANDS.values() for one in commands]
    stood_in = [one for one in everything if stands_in(put_in(one.text, {"sk-...": "sk-1"}))]
    print(
        f"{len(everything)} commands on {len(doc_pages.COMMANDS)} pages: "
        f"{len(everything) - len(stood_in)} run for real, {len(stood_in)} by a stand-in"
    )
    with_blocks = {
        page
        for page in doc_pages.PAGES
        if re.search(r"^ *(\$ |```(bash|sh|console)$)", Path(ROOT, page).read_text(), re.MULTILINE)
    }
    assert with_blocks == doc_pages.COMMANDS.keys()
    assert len(stood_in) * 3 < len(everything)


@pytest.mark.parametrize("each", STAND_INS, ids=lambda each: each.pattern)
def test_every_stand_in_is_needed(each):
    texts = [one.text for commands in doc_pages.COMMANDS.values() for one in commands]
    assert any(re.search(each.pattern, put_in(text, {"sk-...": "sk-1"})) for text in texts)


def test_no_table_has_what_is_on_no_page():
    assert {*BEFORE, *PROGRAMS_AFTER, *AFTER, *NEEDED} <= set(RUN)
    typed = {(page, one.text) for page, found in doc_pages.COMMANDS.items() for one in found}
    assert EXIT_CODES.keys() <= typed
    for where, begins in NOT_HERE:
        lines = [line for one in doc_pages.COMMANDS[where] for line in one.shown]
        assert any(line.startswith(begins) for line in lines), begins
    texts = "\n".join(f"{block.text}\n" for page in RUN for block in doc_pages.blocks(page))
    assert {left for left in PUT_IN if left not in texts} == set()
