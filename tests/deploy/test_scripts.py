"""Scripts tell the truth: no fault is taken for an outage, nothing half done is left."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"


def fake(folder, name, body):
    """A program of that name, which does what `body` says."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("said", "strict", "code", "shown"),
    [
        ("Found 1 known vulnerability in 1 package; CVE-2026-40404", "0", 1, "CVE-2026-40404"),
        ("ConnectionError", "0", 0, "NOT CHECKED"),
        ("ConnectionError", "1", 1, "NOT CHECKED"),
        ("a riddle", "0", 1, "a riddle"),
    ],
)
def test_a_fault_is_told_whatever_its_number(tmp_path, said, strict, code, shown):
    fake(tmp_path, "ruff", "exit 0")
    fake(tmp_path, "pip-audit", f"echo '{said}' >&2; exit 1")
    done = subprocess.run(
        [SCRIPTS / "audit.sh", tmp_path, tmp_path],
        env={**os.environ, "AUDIT_STRICT": strict},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    assert shown in done.stdout


def test_manifests_stay_whole_when_helm_fails(tmp_path):
    fake(tmp_path / "bin", "helm", "exit 1")
    out = tmp_path / "out"
    out.mkdir()
    (out / "single.yaml").write_text("kind: Deployment\n")
    environ = {**os.environ, "HELM": str(tmp_path / "bin" / "helm")}
    done = subprocess.run([SCRIPTS / "render-manifests.sh", out], env=environ, check=False)
    assert done.returncode == 1
    assert (out / "single.yaml").read_text() == "kind: Deployment\n"


def test_an_image_of_a_changed_tree_says_so(tmp_path):
    """In a folder with a space in its name."""
    tree = tmp_path / "a tree"
    (tree / "deploy" / "docker").mkdir(parents=True)
    shutil.copytree(SCRIPTS, tree / "scripts")
    shutil.copy(ROOT / "pyproject.toml", tree)
    shutil.copy(ROOT / "deploy" / "docker" / "bases.env", tree / "deploy" / "docker")
    fake(tmp_path / "bin", "docker", 'for word; do echo "$word"; done')
    environ = {**os.environ, "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}

    def run(*words):
        done = subprocess.run(
            words, cwd=tree, env=environ, capture_output=True, text=True, check=True
        )
        return done.stdout + done.stderr

    def revision():
        said = run("scripts/build-images.sh", "--variant", "minimal").splitlines()
        (label,) = [line for line in said if ".revision=" in line]
        return label.partition("=")[2].partition("=")[2]

    run("git", "init", "-q")
    run("git", "add", ".")
    who = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    run("git", *who, "commit", "-qm", "x")
    commit = run("git", "rev-parse", "HEAD").strip()
    assert revision() == commit
    (tree / "pyproject.toml").write_text('version = "0.1.0"\n')
    assert revision() == f"{commit}-dirty"
