"""The glossary (docs/glossary.md) held against the code: one word for one thing."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

from test_architecture_page import defines

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "anthropic_bedrock_proxy"
PAGE = (ROOT / "docs" / "glossary.md").read_text()
TERMS = re.findall(r"^\| ([a-z][^|]*?) \| [^|]+ \| `([^`:]+)(?::(\w+))?` \|", PAGE, re.MULTILINE)
# The words that name nothing, in whatever sense, by the third column of the last table.
BANNED = re.findall(r"^\| (\w+) \| [^|]+ \| never \|$", PAGE, re.MULTILINE)


@cache
def trees():
    return {
        path.relative_to(PACKAGE): ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")
    }


@pytest.mark.parametrize(("term", "path", "name"), TERMS, ids=[term for term, *_ in TERMS])
def test_every_term_lives_where_the_page_says(term, path, name):
    tree = trees()[Path(path)]
    assert not name or defines(tree, name), f"{name} is not defined in {path}"


def test_the_page_has_terms_and_each_once():
    names = [term for term, *_ in TERMS]
    assert len(names) > 40
    assert len(set(names)) == len(names)


def test_no_two_classes_share_a_name():
    """The simulator may: it is an independent judge, with models and replies of its own."""
    found = defaultdict(list)
    for path, tree in trees().items():
        if path.parts[0] != "sim":
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef):
                    found[node.name].append(str(path))
    assert {name: paths for name, paths in found.items() if len(paths) > 1} == {}


def words(identifier):
    """Splits an identifier into its words, without plurals: `_OldThings_of2` -> old, thing, of2."""
    return {
        word.lower().removesuffix("s")
        for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", identifier)
    }


def identifiers(tree):
    """Yields the names that a module gives: of classes, functions, parameters and variables."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.id if isinstance(node, ast.Name) else node.attr


@pytest.mark.parametrize(
    "path", sorted(path for path in trees() if path.parts[0] != "sim"), ids=str
)
def test_nothing_is_named_by_a_word_that_is_not_used(path):
    found = {
        name
        for name in identifiers(trees()[path])
        if words(name) & {word.removesuffix("s") for word in BANNED}
    }
    assert not found


def test_the_page_says_of_every_word_when_it_is_not_used():
    rows = PAGE.partition("## Words that are not used\n")[2].strip().splitlines()[2:]
    assert {row.split(" | ")[2] for row in rows} == {
        "never |",
        "in other senses |",
        "never at the end of a class's name |",
    }
    assert len(BANNED) > 5
