"""Programs of the machine that tests run."""

from __future__ import annotations

import shutil

import pytest


def program(name: str) -> str:
    """The path of a program of the machine: .ci/run has them all."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is needed")
    return found
