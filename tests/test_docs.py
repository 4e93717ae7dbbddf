"""The docs name what exists, and what exists is in the docs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import msgspec
import pytest
from factories import make_routes

from anthropic_bedrock_proxy import errors
from anthropic_bedrock_proxy.app.executor import executor_options, size_in_bytes
from anthropic_bedrock_proxy.cli.demo import own_data
from anthropic_bedrock_proxy.cli.main import COMMANDS, cli
from anthropic_bedrock_proxy.config import load_settings
from anthropic_bedrock_proxy.config.aws_names import SDK
from anthropic_bedrock_proxy.config.sections.sandbox import SandboxSettings
from anthropic_bedrock_proxy.http.cors import EXPOSED
from anthropic_bedrock_proxy.http.server.bounds import ConnectionBounds
from anthropic_bedrock_proxy.sandbox import client, wire
from anthropic_bedrock_proxy.sandbox.address import ExecutorAddress
from anthropic_bedrock_proxy.sandbox.executor import (
    cell_queue,
    cell_run,
    container,
    frames,
    guard,
    pool,
    runner_link,
    transfers,
)
from anthropic_bedrock_proxy.sandbox.isolation.docker import config
from anthropic_bedrock_proxy.sandbox.isolation.sandlock import launcher
from anthropic_bedrock_proxy.sandbox.runner import commands, functions
from anthropic_bedrock_proxy.tools.code_execution import container as code_container
from anthropic_bedrock_proxy.tools.code_execution import functions as code_functions
from anthropic_bedrock_proxy.tools.code_execution import uploads

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("bench/*.md")]
SECURITY = (ROOT / "docs/security.md").read_text()
THREATS = (ROOT / "docs/threat-model.md").read_text()
HTTP = (ROOT / "docs/reference/http.md").read_text()
CLI = (ROOT / "docs/reference/cli.md").read_text()
SOURCES = "".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))

SOURCES_OF_ANSWERS = "".join(
    path.read_text()
    for part in ("http", "gateway", "admin", "errors.py")
    for root in [ROOT / "src/anthropic_bedrock_proxy" / part]
    for path in ([root] if root.is_file() else root.rglob("*.py"))
)


def routes():
    """The routes by their templates, as the page has them; `*` is no path."""
    made = make_routes(build_admin=lambda: None)
    return {
        route.template.replace(":path", ""): route.methods
        for route in made
        if route.template != "*"
    }


def test_every_route_with_its_methods_is_documented_and_the_reverse():
    documented = dict(re.findall(r"^\| `(/[^`]*)`[^|]*\| ([A-Z, ]+) \|", HTTP, re.MULTILINE))
    assert {path: ", ".join(methods) for path, methods in routes().items()} == documented


def test_every_error_type_is_documented():
    def all_of(cls):
        return {cls, *(leaf for child in cls.__subclasses__() for leaf in all_of(child))}

    for error in all_of(errors.ProxyError):
        assert f"| {error.status} | `{error.type}` |" in HTTP, error


def test_the_settings_that_a_demonstration_does_not_use_are_documented():
    paragraph = CLI.partition("**The demo.**")[2].partition("\n\n")[0]
    own = own_data(load_settings(environ={}, env_file=None))
    assert own
    assert {name for name in own if f"`{name}`" not in paragraph} == set()


def test_every_command_is_documented_and_the_reverse():
    documented = re.findall(r"^\| `([a-z-]+)` \|", CLI, re.MULTILINE)
    assert set(documented) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_loads_and_has_help(name):
    command = cli.get_command(None, name)
    assert command.help


def commands_in(page):
    """The commands of a page as they are typed, each as its words, without what it is piped to."""
    text = page.read_text().replace("\\\n", " ")
    for block in re.findall(r"^ *```console\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL):
        for line in re.findall(r"^ *(?:\$|>) (.+)$", block, re.MULTILINE):
            typed = re.search(r"(?:^|\s|/)anthropic-bedrock-proxy (?=[a-z-])(.*)", line)
            if typed and not re.search(r"git|pip|cd ", line):
                yield shlex.split(re.sub(r"[<>|&].*", "", typed[1]), comments=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_exist_as_they_are_written(page):
    for words in commands_in(page):
        command, rest = cli, list(words)
        while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
            name = rest.pop(0)
            command = command.get_command(None, name)
            assert command is not None, f"{name} in {words}"
        known = {"--version", "--help"}
        known |= {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
        for word in rest:
            if word.startswith("--"):
                assert word.partition("=")[0] in known, f"{word} in {words}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_with_commands_says_where_the_command_is(page):
    if page.name not in {"install.md", "README.md"} and any(commands_in(page)):
        assert "install.md#the-command)" in page.read_text()
    assert not re.search(r"\.venv/bin/anthropic|-m anthropic_bedrock_proxy", page.read_text())
    assert "pip install 'anthropic-bedrock-proxy" not in page.read_text(), "no index has it"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    for heading in re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_anchors_exist(page):
    for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text()):
        there = page.parent / target if target else page
        assert anchor in anchors(there), f"{target}#{anchor}"


def test_tests_that_the_docs_name_exist():
    for page in PAGES:
        for name in re.findall(r"`(tests/[\w/.]+)`", page.read_text()):
            assert (ROOT / name).exists(), f"{page.name}: {name}"


def test_every_error_code_is_documented_and_the_reverse():
    named = r'(?:error_code=|(?:BUDGET_EXCEEDED|MODEL_UNPRICED|NOT_ALLOWED): Final = )"(\w+)"'
    codes = set(re.findall(named, SOURCES))
    reasons = {"revoked", "disabled"}  # of keys and owners that are not active
    tables = HTTP.partition("### What a key may not do")[2].partition("\n## ")[0]
    documented = set(re.findall(r"^\| `(\w+)` \|", tables, re.MULTILINE))
    assert codes | reasons == documented
    assert all(f'"{reason}"' in SOURCES for reason in reasons)


def test_every_table_of_the_sqlite_file_is_documented():
    data = (ROOT / "docs/reference/data.md").read_text()
    scripts = (ROOT / "src").rglob("*.sql")
    for script in scripts:
        for table in re.findall(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+)", script.read_text()):
            assert f"`{table}`" in data, table


def test_every_permission_for_dynamodb_is_documented():
    page = (ROOT / "docs/how-to/dynamodb.md").read_text()
    stores = (ROOT / "src/anthropic_bedrock_proxy/store/dynamodb").glob("*.py")
    called = {
        operation
        for path in stores
        for operation in re.findall(r'(?:call|_conditional|_pages)\("(\w+)"', path.read_text())
    }
    assert len(called) > 5
    for operation in called:
        assert operation in page, operation


def test_names_of_settings_in_the_docs_exist():
    known = (ROOT / "docs/reference/settings.md").read_text()
    for page in PAGES:
        for name in re.findall(r"`([A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+)`", page.read_text()):
            assert f"`{name}`" in known or name in OTHER_NAMES | SDK, f"{page.name}: {name}"


KINDS = ("requests", "tokens", "input-tokens", "output-tokens")


def test_every_answer_header_is_one_that_pages_of_other_origins_may_read_and_the_reverse():
    table = HTTP.partition("## Answer headers")[2].partition("\n## ")[0]
    documented = set()
    for first, rest in re.findall(r"^\| `([\w-]+)[^`]*`([^|]*)\|", table, re.MULTILINE):
        stem = first.rpartition("-")[0]
        for name in (first, *(stem + part for part in re.findall(r"`(-\w+)`", rest))):
            documented |= {name.replace("KIND", kind) for kind in KINDS}
    assert documented == set(EXPOSED)
    assert not re.search(r"[^a-z, -]", ", ".join(EXPOSED))


def test_every_header_that_the_proxy_writes_is_documented():
    own = r"(?:x-[a-z]+(?:-[a-z]+)+|retry-after|request-id|allow)"
    written = set(re.findall(rf'b"(?:%b)*({own}): ', SOURCES_OF_ANSWERS))
    written |= set(re.findall(rf'(?<!get)\(b"({own})",', SOURCES_OF_ANSWERS))
    assert len(written) > 5
    # Those two are for proxies and for browsers, not for clients.
    assert written - {"x-accel-buffering", "x-content-type-options"} <= set(EXPOSED)


def shown(name, value):
    """A bound's value as people read it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name.endswith("_bytes"):
        return f"{value // 1024} KiB"
    return f"{value:g} s" if name.endswith("_seconds") else f"{value:,}"


def test_every_bound_of_a_connection_is_documented_with_its_default_and_the_reverse():
    table = SECURITY.partition("### Of a connection")[2].partition("\n### ")[0]
    documented = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", table, re.MULTILINE)
    bounds = msgspec.structs.asdict(ConnectionBounds())
    assert dict(documented) == {name: shown(name, value) for name, value in bounds.items()}
    assert len(documented) == len(bounds)


def test_every_promise_of_the_threat_model_names_a_test():
    boundaries = SECURITY.partition("## The boundaries")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (?!promise|---)(.+) \|$", boundaries, re.MULTILINE)
    assert len(rows) > 20
    for row in rows:
        assert re.search(r"\| `tests/", row), row


def mib(size):
    """A size as people read it: of bytes, or as settings have it."""
    return f"{(size_in_bytes(size) if isinstance(size, str) else size) // 1024**2} MiB"


def bounds_of_sandboxes():
    """How each row of the table begins: its bound, and its default as the code has it."""
    settings = SandboxSettings()
    options = executor_options(settings, ExecutorAddress.from_url("unix:///run/x"))
    seconds, runners = options.seconds, options.runners
    held, spool = options.containers, options.spool
    times = (spool.owner_bytes // spool.file_bytes, spool.total_bytes // spool.file_bytes)
    grace = f"{seconds.grace:g} s"
    return {
        "memory, without swap": f"{mib(settings.ptc_memory_limit)} (",
        "processes and threads": f"{settings.ptc_pids_limit} (",
        "disk, in memory": f"{mib(settings.disk_limit)} (",
        "`/tmp` and `/dev/shm`, with Docker": (
            f"{mib(config._TMP_BYTES)} and {mib(config._SHARED_MEMORY_BYTES)}"
        ),
        "CPUs": f"{settings.cpus:g} (",
        "open files": f"{config._OPEN_FILES:,}; {launcher._OPEN_FILES} with sandlock",
        "Python": (
            f"{seconds.python:g} s (`PTC_EXECUTION_TIMEOUT`) without the waiting, then {grace}"
        ),
        "bash": f"{seconds.bash:g} s (`STANDALONE_BASH_TIMEOUT`), then {grace}",
        "the text editor": (
            f"{commands.EDIT_SECONDS:g} s; "
            f"{cell_run.EDIT_SECONDS + seconds.grace:g} s at the executor"
        ),
        "a call that is unanswered": f"{seconds.call:g} s (",
        "calls that are unanswered": (
            f"{frames.MAX_CALLS:,}, with {mib(cell_run._MAX_CALLS_BYTES)} of arguments, "
            f"{mib(functions.MAX_INPUT_BYTES)} each"
        ),
        "stdout, and stderr": f"{runners.max_output:,} characters",
        "a line between runner and executor": (
            f"{mib(frames.MAX_LINE_BYTES)}; {mib(frames.MAX_END_BYTES)} at the end of a cell"
        ),
        "lines that are read ahead": (
            f"{runner_link._READ_AHEAD}, with {mib(runner_link._READ_AHEAD_BYTES)}"
        ),
        "files that a cell leaves": f"{frames.MAX_FILES}, of {mib(runners.max_file)} each (",
        "cells that wait": (
            f"{cell_queue.MAX_QUEUE}, with {mib(cell_queue.MAX_QUEUE_BYTES)}; "
            f"{mib(cell_queue.MAX_QUEUED_BYTES)} in all"
        ),
        "outcomes that are kept": (
            f"{container.KEPT_OUTCOMES}, with {mib(container.KEPT_BYTES)}; "
            f"{container.KEPT_IDS:,} ids behind them"
        ),
        "idle time": f"{held.idle_seconds:g} s (",
        "containers": (f"{held.per_owner} (`SANDBOX_MAX_CONTAINERS_PER_KEY`) and {held.total} ("),
        "files that are kept": (
            f"{spool.owner_files:,}, with {times[0]} times the size of one; "
            f"{times[1]} times for all; a day"
        ),
        "calls of a request that have not ended": f"{code_container.MAX_CELLS}",
        "schemas of tools that code may call": f"{code_functions.MAX_PARTS:,} parts",
        "a result for code": f"{mib(client._BATCH_BYTES)} as JSON",
        "calls that lapse one after the other": f"{cell_run.MAX_LAPSES}",
        "the fetching of files that a cell left": f"{transfers.FETCH_SECONDS:g} s",
        "files that are brought in": f"{uploads.MAX_UPLOADS}",
        "a body": f"{mib(wire.MAX_BODY_BYTES)};",
        "connections": (
            f"{guard.MAX_CONNECTIONS:,}; {guard.FIRST_REQUEST_SECONDS:g} s to show the token"
        ),
        "rounds of the model": f"{settings.standalone_max_iterations} (",
        "a start of a sandbox": (
            f"{runners.start_seconds:g} s; {pool._STARTS_AT_ONCE} at once; "
            f"failures in a row pause up to {pool._LONGEST_PAUSE:g} s"
        ),
    }


def test_every_bound_of_sandboxes_is_documented_as_the_code_has_it():
    table = THREATS.partition("## Bounds")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| (?!bound |---)([^|]+) \| ([^|]+) \|", table, re.MULTILINE))
    bounds = bounds_of_sandboxes()
    assert rows.keys() == bounds.keys()
    for name, begins in bounds.items():
        assert f"{rows[name]} ".startswith(begins if begins.endswith(("(", ";")) else f"{begins} ")


def test_every_layer_around_sandboxes_names_a_test():
    layers = THREATS.partition("## The layers")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (?!layer|---)(.+) \|$", layers, re.MULTILINE)
    assert len(rows) > 10
    for row in rows:
        assert re.search(r"\| `tests/", row), row


# Environment variables of other programs that the docs mention.
OTHER_NAMES = {
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_BASE_URL",
    "FORCE_COLOR",
    "NO_COLOR",
    "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY",
    "GRAFANA_ADMIN_PASSWORD",
    "METRICS_TOKEN_FILE",
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_COMPRESSION",
    "OTEL_EXPORTER_OTLP_INSECURE",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OUTPUT_DIR",
    "PROXY_TARGETS",
    "REPOSITORY_URL",
}
