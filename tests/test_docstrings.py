"""Docstrings of the sources: each names its subject instead of asking a riddle about it."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "anthropic_bedrock_proxy"
RIDDLE = re.compile(r"(?:What|Which|Who|How|Whether|Where|Of|As|Like)\b")
# Folder, or module beside the folders -> docstrings that still are riddles. The list only shrinks:
# whoever mends one lowers its count here, and nobody raises one. All others have none.
LEFT = {
    "turn": 2,
}
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
def test_no_folder_has_more_riddles_for_docstrings_than_are_left_from_before(folder):
    found = riddles(folder)
    assert found.total() == LEFT.get(folder, 0), (
        f"{folder}: {dict(found)}; mend new ones, and lower LEFT when you mended old ones"
    )


def test_nothing_is_left_over_in_the_list_of_riddles():
    assert LEFT.keys() <= set(FOLDERS)
    assert all(LEFT.values())


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
