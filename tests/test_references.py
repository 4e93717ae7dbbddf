"""Files and folders that sources and pages name do exist."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "anthropic_bedrock_proxy"
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("bench/*.md")]
FILES = [
    path
    for part in ("src", "tests", "bench", "docs", "deploy")
    for path in (ROOT / part).rglob("*")
    if path.is_file() and "node_modules" not in path.parts
]
FOLDERS = {folder for path in [*FILES, *PAGES] for folder in path.parents if ROOT in folder.parents}
BY_NAME = defaultdict(list)
for path in [*FILES, *PAGES]:
    BY_NAME[path.name].append(path)

_START = r"(?<![\w./{}<>-])"  # else it is the rest of a URL, a template or a longer path
_FILE = re.compile(_START + r"((?:[\w-]+/)*[\w-]+\.(?:py|lua|toml|sql|md))\b")
_FOLDER = re.compile(_START + r"((?:[a-z_]+/)+)(?=[\s`,.;:)]|$)")
_QUOTED_FOLDER = re.compile(r"`((?:[\w.-]+/)+)`")


def prose(path):
    """Returns the comments and docstrings of a source."""
    source = path.read_text()
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]
    return "\n".join([*comments, *(ast.get_docstring(node) or "" for node in nodes)])


def ends_a_path(name, paths):
    return any(f"/{path.relative_to(ROOT)}".endswith(f"/{name.strip('/')}") for path in paths)


def is_there(name):
    return ends_a_path(name, BY_NAME[name.rpartition("/")[2]])


def means_something_in(name, source):
    """Tells whether a name leads to a file or folder from a source's folder, or one above it.

    A bare name of a file does in its own folder; elsewhere only if it is the only one of that name.
    """
    if "/" not in name:
        return (source.parent / name).exists() or len(BY_NAME[name]) == 1
    return any((folder / name).exists() for folder in source.parents if ROOT in folder.parents) or (
        (ROOT / name).exists()
    )


@pytest.mark.parametrize("folder", sorted({path.parent for path in PACKAGE.rglob("*.py")}), ids=str)
def test_sources_name_files_and_folders_that_exist(folder):
    for source in folder.glob("*.py"):
        text = prose(source)
        for name in (*_FILE.findall(text), *_FOLDER.findall(text)):
            assert means_something_in(name, source), f"{source.name}: {name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_name_files_and_folders_that_exist(page):
    text = page.read_text()
    for name in _FILE.findall(text):
        assert is_there(name), name
    for name in _QUOTED_FOLDER.findall(text):
        assert ends_a_path(name, FOLDERS), name


@pytest.mark.parametrize("part", ["tests", "bench"])
def test_tests_and_benches_name_files_that_exist(part):
    for source in (ROOT / part).rglob("*.py"):
        if "node_modules" in source.parts:
            continue
        missing = {name for name in _FILE.findall(source.read_text()) if not is_there(name)}
        # Strings may name files that a test makes. To tell them from prose takes long.
        assert not missing or missing.isdisjoint(_FILE.findall(prose(source))), (source, missing)


@pytest.mark.parametrize(
    ("name", "exists"),
    [
        ("journal.py", True),  # beside it
        ("models.toml", True),  # the only one
        ("store/dynamodb/once.py", True),
        ("aws/resolver/", True),
        ("request.py", False),  # there are several elsewhere
        ("dynamodb_once.py", False),
        ("store/resolver/", False),
    ],
)
def test_names_are_looked_for_from_the_source_that_uses_them(name, exists):
    assert means_something_in(name, PACKAGE / "store" / "segment.py") is exists


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("see `once.py` and limits/table.py.", ["once.py", "limits/table.py"]),
        ("https://example.com/a.md, usage-{name}.py and <id>/b.py", []),
    ],
)
def test_names_of_files_are_found_in_prose(words, names):
    assert _FILE.findall(words) == names


def test_lists_of_packages_name_no_index_of_packages():
    """They would say where the machine that pinned them looks, and be wrong on any other."""
    lists = sorted((ROOT / "requirements").glob("*.txt"))
    assert len(lists) > 3
    for path in lists:
        assert not re.findall(
            r"^(?:-i|-f|--[a-z-]*(?:url|links|host)).*", path.read_text(), re.MULTILINE
        )
