"""Clients, connected as docs/how-to/clients.md says: text, streams, tools, structured output."""

from __future__ import annotations

import re
import shutil

import parts
import pytest
import recipes

IN_CI = sorted(name for name, client in recipes.RECIPES.items() if client.get("ci"))
PROGRAMS = {".mjs": parts.node, ".py": parts.clients_python, ".sh": lambda: shutil.which("bash")}


def rows():
    """The table of the page: for each client its version, the cases that it did, and where."""
    table = re.findall(r"^\| (.+) \|$", recipes.section("What was tried"), re.MULTILINE)
    heads, _, *lines = [row.split(" | ") for row in table]
    return {line[0]: dict(zip(heads, line, strict=True)) for line in lines}


@pytest.mark.parametrize("name", IN_CI)
def test_the_recipe_works_as_it_is_written(name, proxy, sim, tmp_path):
    cases = recipes.cases(name)
    if name == "claude_agent_sdk":
        parts.claude()  # which the SDK runs
    if name == "java":
        parts.program("java")
    recipes.script_weather(sim)
    outcomes = recipes.run(name, PROGRAMS[cases.suffix](), tmp_path, proxy)
    assert not any(outcomes.values()), outcomes
    row = rows()[recipes.RECIPES[name]["heading"]]
    assert {case for case, cell in row.items() if cell == "yes"} == set(outcomes) - {"recipe"}
    assert {one["status"] for one in sim.requests()} == {200}


def test_every_client_has_its_row_with_its_version():
    table = rows()
    for name, client in recipes.RECIPES.items():
        row = table[client["heading"]]
        assert row["version"] == recipes.version(name)
        assert (row["tried"] == "in CI") == bool(client.get("ci"))


def test_versions_that_ci_installs_are_those_of_the_table():
    python = parts.CLIENTS_REQUIREMENTS.with_suffix(".in").read_text().split()
    npm = (parts.CLIENTS / "package.json").read_text()
    for name in IN_CI:
        client = recipes.RECIPES[name]
        assert set(client.get("pip", [])) <= set(python)
        for package in client.get("npm", []):
            name_, _, version = package.rpartition("@")
            assert f'"{name_}": "{version}"' in npm
