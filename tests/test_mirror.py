"""Tests mirror the tree: a module is tested by the file of its name, or where the table says.

A test file has its module's name, perhaps behind names of folders that it is in, because no two
test files may be called the same. It stands in the folder of the module, or in one above:

    store/journal.py          tests/store/test_journal.py
    limits/select.py          tests/limits/test_limits_select.py
    store/dynamodb/schema.py  tests/store/dynamodb/test_dynamodb_schema.py

Whether a line of the table (`tested_elsewhere.toml`) is stale is told by imports: the test must
still reach the module by them, or by running the program.
"""

from __future__ import annotations

import ast
import tomllib
from functools import cache
from itertools import combinations
from pathlib import Path

import pytest

from anthropic_bedrock_proxy.cli.main import COMMANDS
from test_architecture import FILES, PACKAGE, imports

TESTS = Path(__file__).parent
MODULES = {path.relative_to(PACKAGE).with_suffix("").as_posix(): path for path in FILES}
# What an import may name; that of a folder is that of its `__init__.py`.
IMPORTED = MODULES | {
    path.parent.relative_to(PACKAGE).as_posix(): path for path in PACKAGE.rglob("*/__init__.py")
}
TABLE = tomllib.loads((TESTS / "tested_elsewhere.toml").read_text())
LISTED = {module for modules in TABLE.values() for module in modules}
SUPPORT = {path.stem: path for path in TESTS.rglob("*.py")}
PROGRAM = PACKAGE.name


def own_test(module):
    """Returns the test file of a module's name, if there is one."""
    *folders, name = module.split("/")
    for depth in range(len(folders), bool(folders) - 1, -1):
        for count in range(len(folders) + 1):
            for some in combinations(folders, count):
                path = TESTS.joinpath(*folders[:depth], f"test_{'_'.join((*some, name))}.py")
                if path.exists():
                    return path
    return None


@cache
def needs(path):
    """Returns the files that a file imports, or runs as the program."""
    if PACKAGE in path.parents:
        ours, _ = imports(path, names=True)
        if path == MODULES["cli/main"]:  # which imports commands by their names
            ours |= {f"cli.{module}" for module, _ in COMMANDS.values()}
        names = {name.replace(".", "/") for name in ours}
        return {IMPORTED[name] for name in names & IMPORTED.keys()}
    found = {conftest for conftest in [path.parent / "conftest.py"] if conftest.exists()}
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.ImportFrom(module=str(module), names=names):
                dotted = {module, *(f"{module}.{alias.name}" for alias in names)}
                inside = {name.removeprefix(f"{PROGRAM}.").replace(".", "/") for name in dotted}
                found |= {IMPORTED[name] for name in inside & IMPORTED.keys()}
                found |= {SUPPORT[name] for name in dotted & SUPPORT.keys()}
            case ast.Constant(value=value) if value == PROGRAM:
                found.add(MODULES["__main__"])
    return found


@cache
def reach(test):
    """Returns all files that a test reaches."""
    found, to_do = set(), [test]
    while to_do:
        path = to_do.pop()
        if path not in found:
            found.add(path)
            to_do += needs(path)
    return found


def test_no_two_test_files_have_one_name():
    """Or pytest collects one of them, and takes the other for it."""
    names = [path.name for path in TESTS.rglob("test_*.py") if "node_modules" not in path.parts]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("module", MODULES)
def test_every_module_is_tested_by_the_file_of_its_name_or_has_a_line(module):
    test = own_test(module)
    if test is None:
        assert module in LISTED
    else:
        assert module not in LISTED, f"{test} has its name: its line can go"
        assert MODULES[module] in reach(test)


@pytest.mark.parametrize("test", TABLE)
def test_every_line_of_the_table_holds(test):
    path = TESTS / test
    assert path.name.startswith("test_")
    assert TABLE[test] == sorted(set(TABLE[test]))
    for module in TABLE[test]:
        assert MODULES[module] in reach(path), module
