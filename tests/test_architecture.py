"""Who may import whom (docs/decisions/0001), read from the sources with `ast`."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "anthropic_bedrock_proxy"
# Folder or module -> what of ours it may import. A name without a dot allows the whole folder.
ALLOWED = {
    "errors": set(),
    "bounded": set(),
    "protocol": {"errors", "protocol"},
    "aws": {"aws"},
    "upstream": {"aws", "bounded", "errors", "protocol", "upstream", "__version__"},
    "fetch": {"aws", "errors", "fetch", "__version__"},
    "tools": {"errors", "protocol", "tools"},
    "turn": {"errors", "protocol", "tools", "turn", "upstream.base"},
    "store": {"aws.dynamodb", "aws.dynamodb_values", "bounded", "store"},
    "limits": {"limits"},
    "gateway": {
        "bounded",
        "errors",
        "gateway",
        "protocol",
        "fetch.base",
        "limits.base",
        "store.base",
        "store.records",
        "turn",
        "upstream.base",
    },
    "admin": {
        "admin",
        "errors",
        "gateway.admission.periods",
        "gateway.routing",
        "protocol.capabilities",
        "store.base",
        "store.records",
        "store.sealing",
        "store.secrets",
        "store.totals",
    },
    "http/server": {"errors", "http.server"},  # before the folder that it is in
    "http": {"admin", "errors", "gateway", "http", "protocol", "__version__"},
    "telemetry": {"errors", "telemetry", "gateway.exchange"},
    "config": {"config"},
    "process": {"app", "config", "http.server", "process"},
    "sim": {"sim", "errors", "http.server", "protocol.eventstream", "__version__"},
}
COMPOSITION = {"administration", "app", "backends", "cli", "live", "parts", "server", "__main__"}
PURE_FOLDERS = ("protocol", "tools")
PURE_MODULES = (
    "limits/gcra.py",
    "limits/decide.py",
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
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")


def imports(path):
    """(ours, others): dotted names relative to the package, and top-level foreign modules."""
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
    return ours, others


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_only_what_its_layer_may(path):
    inside = path.relative_to(PACKAGE).with_suffix("")
    layer = next(
        (folder for folder in ALLOWED if str(inside).startswith(f"{folder}/")), inside.parts[0]
    )
    if layer not in ALLOWED:
        assert layer in COMPOSITION, f"{layer} has no rule"
        return
    ours, others = imports(path)
    for name in ours:
        parts = name.split(".")
        allowed = ALLOWED[layer]
        assert any(".".join(parts[:length]) in allowed for length in range(1, len(parts) + 1)), (
            f"{path.name}: {name}"
        )
    if layer in PURE_FOLDERS or str(path.relative_to(PACKAGE)) in PURE_MODULES:
        assert not others & IMPURE_MODULES


def test_the_hot_path_never_imports_something_heavy():
    heavy = {"botocore", "boto3", "aiohttp", "pydantic", "httpx", "starlette", "requests"}
    for path in FILES:
        _, others = imports(path)
        found = others & heavy
        # A program of its own, which no worker imports: see the next test.
        assert not found or path.name == "lookup.py", f"{path}: {found}"


def test_what_imports_botocore_is_imported_by_the_child_process_alone():
    importers = {
        path.name
        for path in FILES
        if any(name.endswith(("resolver.lookup", "resolver.child")) for name in imports(path)[0])
    }
    assert importers == {"child.py"}


def test_no_vague_names():
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                assert not node.name.endswith(
                    ("Manager", "Service", "Helper", "Utils", "Processor")
                ), f"{path.name}: {node.name}"
