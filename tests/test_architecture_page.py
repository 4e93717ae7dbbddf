"""The map (docs/architecture.md) held against the tree: rooms, files, names, seams."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from test_architecture import ALLOWED, COMPOSITION, GROUND, layer_of

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "anthropic_bedrock_proxy"
PAGE = (ROOT / "docs" / "architecture.md").read_text()
ABOVE, BETWEEN, BELOW = re.split(r"\n-+\n", PAGE.partition("```text\n")[2].partition("\n```")[0])
SEAMS = PAGE.partition("\n## The seams\n")[2].partition("\n## ")[0]

_PATH = r"(?:[a-z_]+/)*\w+\.(?:py|toml)|(?:[a-z_]+/)+"
# A file or a folder, where it is no part of a link (test_docs.py knows those); a name in that file.
NAMED = sorted(set(re.findall(rf"(?<![\w./(])({_PATH})(?::(\w+(?:\.\w+)?))?", PAGE)))


@cache
def tree(path):
    return ast.parse(path.read_text())


def place(name):
    """Returns where a path of the page leads to."""
    inside = PACKAGE / name
    return inside if inside.exists() else ROOT / name


def defines(parent, name):
    """Tells whether a module or class has something of this name, which may be dotted."""
    first, _, rest = name.partition(".")
    for node in parent.body:
        targets = getattr(node, "targets", [getattr(node, "target", None)])
        names = {getattr(node, "name", None), *(getattr(one, "id", None) for one in targets)}
        if first in names:
            return not rest or defines(node, rest)
    return False


def rooms():
    """Returns the rooms as they are drawn, from above to below: what each may import."""
    drawn = {}
    for line in BETWEEN.splitlines():
        if line[0].isalpha():
            room = line.split()[0].rstrip("/")
            drawn[room] = ""
        drawn[room] += line
    return {
        room: {*filter(None, text.partition("-> ")[2].replace(" ", "").split(","))}
        for room, text in drawn.items()
    }


def test_the_rooms_are_drawn_as_they_are():
    allowed = {layer: others - {"__version__"} for layer, others in ALLOWED.items()}
    assert rooms() == allowed


def test_every_room_is_drawn_above_what_it_may_import():
    order = list(rooms())
    for room, others in rooms().items():
        for other in {layer_of(name.replace(".", "/") + "/") for name in others}:
            assert order.index(room) < order.index(other), f"{room}, {other}"


def test_the_composition_stands_above_and_the_ground_below():
    assert {f"{name}/" for name in COMPOSITION - {"__main__"}} == set(re.findall(r"\w+/", ABOVE))
    assert {f"{name}.py" for name in GROUND} == set(re.findall(r"\w+\.py", BELOW))


@pytest.mark.parametrize(
    ("path", "name"), NAMED, ids=[f"{path}:{name}" if name else path for path, name in NAMED]
)
def test_every_name_of_the_page_is_in_the_tree(path, name):
    found = place(path)
    assert found.exists()
    assert found.is_dir() == path.endswith("/")
    assert not name or defines(tree(found), name), f"{name} is not in {path}"


def test_every_class_that_is_named_without_its_file_is_in_the_tree():
    classes = {
        node.name
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef)
    }
    named = set(re.findall(r"`([A-Z][a-z]\w*)`", PAGE))
    assert len(named) > 5
    assert named <= classes


def test_every_port_of_a_room_is_among_the_seams():
    """A room shows its ports in its `base.py`, or in a folder of that name."""
    ports = {
        node.name
        for path in (*PACKAGE.rglob("base.py"), *PACKAGE.rglob("base/*.py"))
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef)
        and any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases)
    }
    assert len(ports) > 10
    assert {port for port in ports if not re.search(rf"\b{port}\b", SEAMS)} == set()


@pytest.mark.parametrize(
    ("path", "name", "is_there"),
    [
        ("upstream/base.py", "Upstream.stream", True),
        ("upstream/base.py", "Upstream.flow", False),
        ("upstream/base.py", "stream", False),
        ("models/table.py", "DIALECTS", True),
    ],
)
def test_names_are_looked_for_where_the_page_says(path, name, is_there):
    assert defines(tree(PACKAGE / path), name) is is_there
