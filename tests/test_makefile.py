"""The Makefile makes an environment of the Python that it is told, and keeps one that it has."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAKES = "-m venv --clear"


@pytest.fixture
def said(tmp_path):
    """`said(python, base)`: what `make run` would do; `base` is that of the environment."""
    make = shutil.which("make")
    if make is None:
        pytest.skip("make is needed")

    def interpreter(path: Path, base: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\necho {base}\n")
        path.chmod(0o755)
        return path

    def dry_run(python: str | None, base: str | None) -> str:
        if base is not None:
            interpreter(tmp_path / "venv" / "bin" / "python", base)
        named = [] if python is None else [f"PYTHON={interpreter(tmp_path / 'python', python)}"]
        done = subprocess.run(
            [make, "-n", "run", f"VENV={tmp_path / 'venv'}", *named],
            cwd=ROOT,
            env={"PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    return dry_run


@pytest.mark.parametrize(
    ("python", "base", "made"),
    [
        (None, None, True),
        (None, "3.11", False),
        ("3.12", "3.12", False),
        ("3.12", "3.11", True),
        ("3.12", None, True),
    ],
)
def test_an_environment_is_made_if_there_is_none_on_the_python_that_is_named(
    said, python, base, made
):
    assert (MAKES in said(python, base)) == made
