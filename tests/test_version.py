"""The version is the same wherever it stands: the metadata of the package have it first."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import anthropic_bedrock_proxy

ROOT = Path(__file__).parents[1]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
CHART = ROOT / "deploy" / "helm" / "anthropic-bedrock-proxy" / "Chart.yaml"
# What names the version of the proxy: tags of images, wheels, labels of manifests.
NAMED = re.compile(
    r"(?:\banthropic[-_]bedrock[-_]proxy[:-]|kubernetes\.io/version: \")(\d+\.\d+\.\d+)"
)
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs" / "how-to").glob("*.md")),
    *sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml")),
    ROOT / "deploy" / "compose" / "compose.yml",
]
MANY = {"compose.yml": 2, "docker.md": 3, "install.md": 1, "production.yaml": 20}


def test_the_package_and_the_command_tell_it():
    assert anthropic_bedrock_proxy.__version__ == VERSION
    command = [sys.executable, "-m", "anthropic_bedrock_proxy", "--version"]
    told = subprocess.check_output(command, text=True)
    assert told == f"anthropic-bedrock-proxy, version {VERSION}\n"


def test_the_changelog_begins_with_it_or_with_what_is_not_released():
    heads = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert re.fullmatch(re.escape(VERSION) + r" - \d{4}-\d\d-\d\d", heads[heads[0] == "Unreleased"])


def test_the_chart_has_it_twice():
    chart = yaml.safe_load(CHART.read_text())
    assert chart["version"] == chart["appVersion"] == VERSION


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_pages_and_manifests_name_it(path):
    found = NAMED.findall(path.read_text())
    assert set(found) <= {VERSION}
    assert len(found) >= MANY.get(path.name, 0)
