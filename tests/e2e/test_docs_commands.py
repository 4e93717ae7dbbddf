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
from doc_stand_ins import STAND_INS, stands_in
from doc_world import DocWorld, need_namespaces
from environments import environment
from servers import ROOT
from walls import docker_image

MASTER = "sk-master-of-the-docs"
SECRET = "5ecre7" * 11
SETTINGS = f"""
AWS_REGION=us-east-1
AWS_ACCESS_KEY_ID=any
AWS_SECRET_ACCESS_KEY=any
BEDROCK_ENDPOINT_URL=http://127.0.0.1:8099
DYNAMODB_ENDPOINT_URL=http://127.0.0.1:8002
PRICING_ENDPOINT_URL=http://127.0.0.1:8099
MASTER_API_KEY={MASTER}
PROVIDER_KEY_ENCRYPTION_SECRET={SECRET}
"""
# What pages leave to the reader, and what this world has in its place; `World.put_in` adds to it
# what is made here.
PUT_IN = {
    "AKIA...": "AKIAIOSFODNN7EXAMPLE",
    "AWS_BEARER_TOKEN_BEDROCK=...": "AWS_BEARER_TOKEN_BEDROCK=any",
    "MASTER_API_KEY=...": f"MASTER_API_KEY={MASTER}",
    "PROVIDER_BEARER_TOKEN=...": "PROVIDER_BEARER_TOKEN=any",
    "PROVIDER_SECRET_ACCESS_KEY=...": "PROVIDER_SECRET_ACCESS_KEY=any",
    "SANDBOX_TOKEN=...": f"SANDBOX_TOKEN={SECRET}",
    "pk-lf-…:sk-lf-…": "pk-lf-1:sk-lf-2",
    "litellm.example.com": "127.0.0.1",
    "redis.internal": "127.0.0.1",
    # Places on the reader's machine.
    "/backups": "$HOME/backups",
    "/var/lib/anthropic-bedrock-proxy": "$HOME/root",
    ".venv/bin/python": "python",
    "/opt/proxy/bin/anthropic-bedrock-proxy": "anthropic-bedrock-proxy",
    "/opt/proxy/bin/pip": "pip",
    "/opt/proxy": "opt/proxy",
    ".proxy/bin/pip": "pip",
    "python3 -m pip wheel": f"{sys.executable} -m pip wheel --no-build-isolation",
    "python3 -m venv": "python3 -m venv --without-pip",  # which would take seconds, and is not used
    # There is no terminal: the page says so beside it.
    "tables migrate\n": "tables migrate --yes\n",
}

SIMULATOR = "anthropic-bedrock-proxy bedrock-sim --port 8099"
PROXY = "anthropic-bedrock-proxy serve"
MOTO = f"{sys.executable} -m moto.server --port 8002"
TABLES_BY_AWS = (
    "export AWS_ENDPOINT_URL_DYNAMODB=http://127.0.0.1:8002 AWS_DEFAULT_REGION=us-east-1",
    "export AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any",
)
LITELLM = ROOT / "tests" / "migration" / "golden" / "keys_and_budgets"
DYNALITE = f"node {parts.CLIENTS}/node_modules/dynalite/cli.js --port 8002 --createTableMs 0"
PREDECESSOR = f"""PYTHONPATH=$PYTHONPATH:{ROOT}/tests/support {sys.executable} - <<'END'
import asyncio
import dynamo_servers
import predecessor_tables
from anthropic_bedrock_proxy.store.dynamodb.schema import create_tables
from anthropic_bedrock_proxy.store.dynamodb.tables import TableNames

async def fill():
    client = dynamo_servers.client("http://127.0.0.1:8002")
    await create_tables(client, TableNames())
    await predecessor_tables.fill(client, TableNames())
    await client.close()

asyncio.run(fill())
END"""
ADMINISTRATOR = "--name reader --admin-scope usage:read --json | jq -r .key >billing.key"
NO_ACCESS = {
    "match": {"model": "opus-5-5"},
    "error": {"type": "AccessDeniedException", "message": "You don't have access to the model."},
    "times": "forever",
}
SUMS = (
    "import os; open(os.environ['OUTPUT_DIR'] + '/sums.csv', 'w').write(open('sales.csv').read())"
)
MODEL_WRITES_CODE = [
    {"match": {"body": "toolu_"}, "reply": {"content": [{"type": "text", "text": "Done."}]}},
    {
        "reply": {
            "content": [
                {
                    "type": "tool_use",
                    "id": "toolu_1",
                    "name": "code_execution",
                    "input": {"code": SUMS},
                }
            ]
        }
    },
]
LISTED = {
    "litellm_provider": "bedrock",
    "mode": "chat",
    "input_cost_per_token": 1e-6,
    "output_cost_per_token": 5e-6,
}
# What a page takes for granted.
BEFORE = {
    "docs/how-to/backup.md": (
        "mkdir ~/backups",
        SIMULATOR,
        MOTO,
        *TABLES_BY_AWS,
        "STORE_URL=dynamodb:// anthropic-bedrock-proxy tables create",
    ),
    "README.md": (SIMULATOR, PROXY),
    "docs/how-to/api-docs.md": (SIMULATOR, PROXY),
    "docs/how-to/budgets.md": (
        SIMULATOR,
        f"echo '{json.dumps({'anthropic.claude-haiku-4-5-20251001-v1:0': LISTED})}' >list.json",
    ),
    "docs/how-to/clients.md": (SIMULATOR, PROXY),
    "docs/how-to/doctor.md": (
        SIMULATOR,
        "export PTC_SANDBOX_IMAGE=sandbox:minimal",
        "anthropic-bedrock-proxy models map team-opus us.anthropic.claude-opus-5-5",
        f"curl -sSf http://127.0.0.1:8099/_sim/script -d '{json.dumps(NO_ACCESS)}'".replace(
            "n't", "n\\u0027t"
        ),
    ),
    "docs/how-to/dynamodb.md": (MOTO, *TABLES_BY_AWS),
    "docs/how-to/explain.md": (PROXY,),
    "docs/how-to/files.md": (
        "export PTC_SANDBOX_IMAGE=sandbox:minimal",
        "echo January,1 >sales.csv",
        f"cat >steps.json <<'END'\n{json.dumps(MODEL_WRITES_CODE)}\nEND",
        f"{SIMULATOR} --script steps.json",
        PROXY,
    ),
    "docs/how-to/health.md": (PROXY,),
    "docs/how-to/install.md": ("set -a; . ./.env; set +a",),  # in a clone, too
    "docs/how-to/limits.md": (
        "anthropic-bedrock-proxy teams create red",
        "redis-server --port 6379 --requirepass PASSWORD --save ''",
    ),
    "docs/how-to/migrate.md": (
        DYNALITE,
        PREDECESSOR,
    ),
    "docs/how-to/migrate-litellm.md": (
        SIMULATOR,
        "mkdir -p litellm/key litellm/team litellm/user",
        *(f"cp {LITELLM}/{kind}s.json litellm/{kind}/list" for kind in ("key", "team", "user")),
        f"cp {LITELLM}/config.yaml .",
        f"{sys.executable} -u -m http.server 4000 --bind 127.0.0.1 --directory litellm",
    ),
    "docs/how-to/models.md": (SIMULATOR, "echo bedrock-api-key >token.txt"),
    "docs/how-to/production.md": (SIMULATOR, "export PTC_SANDBOX_IMAGE=sandbox:minimal"),
    "docs/how-to/systemd.md": (PROXY,),
    "docs/how-to/teams.md": (
        PROXY,
        f"anthropic-bedrock-proxy keys create {ADMINISTRATOR}",
    ),
    "docs/how-to/troubleshooting.md": (SIMULATOR,),
    "docs/how-to/upgrade.md": (SIMULATOR,),
    "docs/reference/cli.md": (PROXY, f"echo {MASTER} >admin.key"),
    "docs/reference/data.md": ("mkdir ~/backups",),
}
# Pages whose programs wait until this command has been typed.
PROGRAMS_AFTER = {"docs/how-to/code-execution.md": "AWS_SECRET_ACCESS_KEY=any anthropic"}
# What the page has promised when it has been followed.
AFTER = {
    "docs/how-to/budgets.md": "anthropic-bedrock-proxy prices list | grep -q synced",
    "docs/how-to/files.md": "grep -q January sums.csv",
    "docs/how-to/keys.md": "test -s usage.csv",
    "docs/reference/data.md": "test -s ~/backups/*.db",
}
EXIT_CODES = {("docs/how-to/doctor.md", "anthropic-bedrock-proxy doctor"): 1}  # it shows a FAIL
# Lines that a page shows and this world has not, by how they begin.
NOT_HERE = {
    ("docs/how-to/doctor.md", "warn  clock"): "clocks agree here",
    ("docs/how-to/doctor.md", "                       -> let NTP"): "clocks agree here",
    ("docs/how-to/doctor.md", "ok    open files"): "how many there may be is this machine's",
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
    if page == "docs/how-to/docker.md":
        parts.program("docker")
    if page in {"README.md", "docs/how-to/clients.md"}:
        parts.claude()
    if page == "docs/how-to/migrate.md":
        parts.node()
    if page in {"docs/how-to/backup.md", "docs/how-to/dynamodb.md"}:
        parts.program("aws")
    if page == "docs/how-to/limits.md":
        parts.program("redis-server")
    if page == "docs/how-to/kubernetes.md":
        locked = ROOT / "requirements" / "deploy.txt"
        environment(ROOT / ".venv-deploy", locked, "kubernetes-validate")


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


@pytest.mark.parametrize(
    "pages",
    [{*BEFORE, *PROGRAMS_AFTER, *AFTER}, dict([*EXIT_CODES]), dict([*NOT_HERE])],
    ids=["by page", "exit codes", "not here"],
)
def test_no_table_names_what_is_on_no_page(pages):
    assert set(pages) <= set(RUN)
