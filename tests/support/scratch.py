"""A copy of the package that a test edits: what a change does, shown by programs that run on it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from shutil import copytree
from typing import NamedTuple

SUPPORT = Path(__file__).parent
PACKAGE = SUPPORT.parents[1] / "src" / "anthropic_bedrock_proxy"


class Edit(NamedTuple):
    """A change of one file: `new` behind `old`, which stands there once; no `old`: at its end.

    For a file or folder that is not there yet, `old` names the one that it begins as a copy of.
    """

    file: str
    new: str
    old: str = ""


class Recipe(NamedTuple):
    """A heading of docs/architecture.md, "Where to add": its steps, followed for something small.

    `steps` change the package, and `program` succeeds once all are done. It may stand on wired.py,
    and on a simulator of the same copy.
    """

    title: str
    steps: tuple[Edit, ...]
    program: str


class Scratch:
    """The copy, in a folder of the test's own."""

    def __init__(self, folder):
        self._folder = folder
        self._package = folder / PACKAGE.name
        copytree(PACKAGE, self._package)

    def apply(self, edit):
        path = self._package / edit.file
        if path.exists():
            text = path.read_text()
            assert text.count(edit.old) == 1 or not edit.old, f"{edit.file}: {edit.old}"
            before, old, after = text.partition(edit.old) if edit.old else (text, "", "")
            path.write_text(f"{before}{old}{edit.new}{after}")
        elif edit.old:
            copytree(self._package / edit.old, path)
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(edit.new)

    def run(self, program):
        """Runs a program on the copy; returns the finished process."""
        environ = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        environ |= {"PYTHONPATH": f"{self._folder}:{SUPPORT}", "PYTHONWARNINGS": "error"}
        return subprocess.run(
            [sys.executable, "-c", program],
            cwd=self._folder,
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
