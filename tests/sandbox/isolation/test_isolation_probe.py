"""The probe, and what is concluded from it."""

from __future__ import annotations

import asyncio
import subprocess

import pytest

from anthropic_bedrock_proxy.sandbox.isolation.probe import (
    DONE,
    ProbeError,
    holes,
    outcomes,
    probing,
)


class Told:
    """A runner that says these bytes and ends."""

    def __init__(self, *said, why=""):
        self._said = [*said, b""]
        self._why = why

    async def read(self):
        return self._said.pop(0)

    async def why_ended(self):
        return self._why


def test_without_walls_it_finds_holes(tmp_path):
    with probing() as command:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    told = asyncio.run(outcomes(Told(done.stdout[:10], done.stdout[10:])))
    assert {"see other processes", "learn names of the host's files"} <= {*holes(told)}


def test_what_only_namespaces_keep_is_no_hole_without_them():
    told = {
        "learn names of the host's files": DONE,
        "mount": "PermissionError",
        "become root": DONE,
    }
    assert holes(told) == ["learn names of the host's files", "become root"]
    assert holes(told, bare=True) == ["become root"]


def test_silence_and_nonsense_are_told_apart_from_walls():
    with pytest.raises(ProbeError, match="out of memory"):
        asyncio.run(outcomes(Told(why="out of memory")))
    with pytest.raises(ProbeError, match="told nothing"):
        asyncio.run(outcomes(Told(b"[1]")))
