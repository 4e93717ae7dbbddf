"""Docstrings of the sources: each names its subject instead of asking a riddle about it."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "anthropic_bedrock_proxy"
RIDDLE = re.compile(r"(?:What|Which|Who|How|Whether|Where|Of|As|Like)\b")
FOLDERS = sorted({path.relative_to(PACKAGE).parts[0] for path in PACKAGE.rglob("*.py")})


def docstrings(source):
    """Returns the docstrings of a module's text: its own, and those of classes and functions."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]
    return [doc for node in nodes if (doc := ast.get_docstring(node))]


def riddles(folder):
    """Counts the riddles of a folder or module, by file; lists only files that have some."""
    path = PACKAGE / folder
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    counts = Counter()
    for file in files:
        counts[str(file.relative_to(PACKAGE))] += sum(
            bool(RIDDLE.match(doc)) for doc in docstrings(file.read_text())
        )
    return +counts


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_docstring_is_a_riddle(folder):
    assert not riddles(folder)


@pytest.mark.parametrize(
    ("docstring", "is_riddle"),
    [
        ("What is told of some.", True),
        ("As it is.", True),
        ("Of a call that was opened all the same.", True),
        ("Tells whether it is one.", False),
        ("Whoever asks, gets it.", False),
    ],
)
def test_riddles_are_told_by_their_first_word(docstring, is_riddle):
    (found,) = docstrings(f'async def it():\n    """{docstring}"""\n')
    assert bool(RIDDLE.match(found)) is is_riddle
