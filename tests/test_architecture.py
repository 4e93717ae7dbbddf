"""Who may import whom (docs/decisions/0001), read from the sources with `ast`."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "anthropic_bedrock_proxy"
# The ground: modules that any layer may import, and what they may import of each other.
GROUND = {
    "bounded": set(),
    "money": set(),
    "redaction": set(),
    "errors": {"redaction"},
    "aws_errors": {"errors", "redaction"},
    "router": {"errors"},
    "timeline": {"aws_errors"},
}
# Layers from below to above: each may import the ground, itself, and what is listed, which stands
# above it here. A name without a dot allows the whole folder.
ALLOWED = {
    "models": set(),
    "protocol": {"models.betas", "models.prices", "models.table"},
    "aws": set(),
    "upstream": {"aws", "protocol", "__version__"},
    "fetch": {"aws", "__version__"},
    "search": {
        "aws",
        "fetch.base",
        "fetch.fair_room",
        "fetch.fair_slots",
        "fetch.spelling",
        "__version__",
    },
    "sandbox": {"aws", "__version__"},
    "tools": {
        "models.betas",
        "models.table",
        "protocol",
        "fetch.base",
        "fetch.spelling",
        "search.base",
        "sandbox.base",
    },
    "turn": {"models.betas", "models.table", "protocol", "tools", "upstream.base"},
    "store": {"aws.dynamodb", "aws.dynamodb_values"},
    "limits": set(),
    "gateway": {
        "models",
        "protocol",
        "fetch.base",
        "fetch.charset",
        "limits.base",
        "store.base",
        "tools.toolset",
        "turn",
        "upstream.base",
    },
    "telemetry": {"gateway.exchange", "__version__"},
    "admin": {
        "gateway.admission.periods",
        "models.chain_gaps",
        "models.geography",
        "models.registry",
        "models.prices",
        "models.table",
        "store.base",
        "store.sealing",
        "store.secrets",
        "store.totals",
        "telemetry.request_log.record",
    },
    "migration": {
        "admin.patterns",
        "models.geography",
        "models.names",
        "models.registry",
        "store.secrets",
    },
    "config": {"models.geography"},
    "health": set(),
    "diagnosis": {
        "aws.connect",
        "aws.http",
        "aws.skew",
        "health.findings",
        "limits.connect",
    },
    "http/server": set(),  # before the folder that it is in
    "http": {
        "admin",
        "gateway",
        "health",
        "models",
        "protocol",
        "sandbox.address",
        "sandbox.base",
        "sandbox.kept_files",
        "sandbox.wire",
        "search.state",
        "__version__",
    },
    "process": {"config", "http.server"},
    "sim": {"http.server", "protocol.aws.eventstream", "__version__"},
}
COMPOSITION = {"app", "cli", "__main__"}
PURE_FOLDERS = ("models", "protocol", "tools")
PURE_MODULES = (
    "limits/gcra.py",
    "limits/decide.py",
    "sandbox/address.py",
    "sandbox/base.py",
    "sandbox/executor/frames.py",
    "sandbox/wire.py",
    *(
        f"turn/{name}.py"
        for name in (
            "actions",
            "cited_text",
            "client_answer",
            "history",
            "loop",
            "answer_reader",
            "prepared_tools",
            "request",
            "sent_back",
            "server_call",
            "shown",
            "suspended",
            "usage",
        )
    ),
    *(
        f"http/server/{name}.py"
        for name in (
            "body_reader",
            "bounds",
            "chunked",
            "clock",
            "connection",
            "errors",
            "head",
            "head_reader",
            "phrases",
            "request_reader",
        )
    ),
)
IMPURE_MODULES = {"asyncio", "logging", "os", "socket", "threading", "time", "random", "subprocess"}
SOURCES = sorted(PACKAGE.rglob("*.py"))
FILES = [path for path in SOURCES if path.name != "__init__.py"]


def imports(path, *, names=False):
    """(ours, others): dotted names relative to the package, and top-level foreign modules.

    With `names`, each imported name is also listed below its module: it may be a module itself.
    """
    here = list(path.relative_to(PACKAGE).with_suffix("").parts)
    ours, others = set(), set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            others |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if not node.level:
                others.add(node.module.partition(".")[0])
                continue
            base = here[: len(here) - node.level]
            module = [*base, *(node.module.split(".") if node.module else [])]
            if node.module is None or not module:
                ours |= {".".join([*module, alias.name]) for alias in node.names}
            else:
                ours.add(".".join(module))
                if names:
                    ours |= {".".join([*module, alias.name]) for alias in node.names}
    return ours, others


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_only_what_its_layer_may(path):
    inside = path.relative_to(PACKAGE).with_suffix("")
    layer = layer_of(str(inside))
    if layer in COMPOSITION:
        return
    if layer in GROUND:
        allowed = GROUND[layer]
    elif layer == "__init__":
        allowed = set()  # whatever is imported of the package runs it first
    else:
        assert layer in ALLOWED, f"{layer} has no rule"
        allowed = {layer.replace("/", "."), *ALLOWED[layer], *GROUND}
    ours, others = imports(path)
    for name in ours:
        parts = name.split(".")
        assert any(".".join(parts[:length]) in allowed for length in range(1, len(parts) + 1)), (
            f"{path.name}: {name}"
        )
    if layer in PURE_FOLDERS or layer in GROUND or str(path.relative_to(PACKAGE)) in PURE_MODULES:
        assert not others & IMPURE_MODULES


def name_of(path):
    """Returns a module's dotted name in the package; that of a folder for its `__init__.py`."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def layer_of(inside):
    """Returns the layer of a module, whose path this is; itself if it is in none."""
    return next(
        (folder for folder in ALLOWED if inside.startswith(f"{folder}/")), inside.split("/")[0]
    )


def test_no_layer_imports_one_above_it():
    below = set()
    for layer, others in ALLOWED.items():
        for other in {layer_of(name.replace(".", "/") + "/") for name in others - {"__version__"}}:
            assert other in below, f"{layer} may import {other}, which is not below it"
        below.add(layer)


def test_no_modules_import_each_other_in_a_circle():
    """Imports for types and in functions count, too: who reads one file must not need the other."""
    names = {path: name_of(path) for path in SOURCES}
    known = set(names.values())
    TopologicalSorter(
        {name: imports(path, names=True)[0] & known for path, name in names.items()}
    ).prepare()  # raises CycleError, which names the circle


def test_the_hot_path_never_imports_something_heavy():
    heavy = {"botocore", "boto3", "aiohttp", "pydantic", "httpx", "starlette", "requests"}
    for path in SOURCES:
        _, others = imports(path)
        found = others & heavy
        # Programs of their own, which no worker imports: see the next tests.
        assert not found or path.name == "lookup.py" or is_executor(path), f"{path}: {found}"


def is_executor(path):
    """Tells whether a module is of the executor, which is a process of its own."""
    return bool({"executor", "isolation"} & {*path.relative_to(PACKAGE).parts[1:-1]})


def test_what_is_of_the_executor_is_imported_by_its_commands_alone():
    importers = {
        path.relative_to(PACKAGE).as_posix()
        for path in SOURCES
        if not is_executor(path)
        and any(
            name.startswith(("sandbox.executor", "sandbox.isolation")) for name in imports(path)[0]
        )
    }
    assert "cli/sandboxd.py" in importers
    assert importers <= {"cli/sandboxd.py", "cli/sandbox.py", "app/executor.py"}


def test_what_reads_markup_is_imported_by_the_child_process_alone():
    importers = {
        path.relative_to(PACKAGE).as_posix()
        for path in SOURCES
        if imports(path)[1] & {"lxml", "trafilatura", "charset_normalizer"}
        or any(
            name.endswith(("reading.worker", "reading.markup"))
            for name in imports(path, names=True)[0]
        )
    }
    assert importers == {"fetch/reading/markup.py", "fetch/reading/worker.py"}


def test_what_imports_botocore_is_imported_by_the_child_process_alone():
    importers = {
        path.name
        for path in SOURCES
        if any(name.endswith(("resolver.lookup", "resolver.child")) for name in imports(path)[0])
    }
    assert importers == {"child.py"}


def test_no_vague_names():
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                assert not node.name.endswith(
                    ("Manager", "Service", "Helper", "Utils", "Processor")
                ), f"{path.name}: {node.name}"
