"""Shell scripts and Dockerfiles are clean to those who judge them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from environments import environment

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "deploy" / "docker"
SCRIPTS = [
    *sorted((ROOT / "scripts").glob("*.sh")),
    *sorted((ROOT / "deploy").rglob("*.sh")),
    *sorted((ROOT / "requirements").glob("*.sh")),
]
DOCKERFILES = sorted((ROOT / "deploy").rglob("Dockerfile"))


@pytest.fixture(scope="module")
def tools():
    requirements = ROOT / "requirements" / "deploy.txt"
    return environment(ROOT / ".venv-deploy", requirements, "kubernetes-validate").parent


def judged(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_shell_scripts(tools):
    assert len(SCRIPTS) > 4
    judged(tools / "shellcheck", *SCRIPTS, ROOT / ".ci" / "run")


def test_dockerfiles(tools):
    assert len(DOCKERFILES) > 2
    judged(tools / "hadolint", "-c", DOCKER / "hadolint.yaml", *DOCKERFILES)
