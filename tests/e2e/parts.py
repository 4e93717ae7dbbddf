"""Clients that need more than this Python: an old SDK in its own environment, and npm packages."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from environments import environment, install, printed
from programs import program  # noqa: F401  # asked for here, with the other parts
from servers import ROOT

CLIENTS = Path(__file__).parent / "clients"
OLD_ENVIRONMENT = ROOT / ".venv-old"
API_DOCS_ENVIRONMENT = ROOT / ".venv-api-docs"
API_DOCS_REQUIREMENTS = ROOT / "requirements" / "api-docs.txt"
CLIENTS_ENVIRONMENT = ROOT / ".venv-clients"
CLIENTS_REQUIREMENTS = ROOT / "requirements" / "clients.txt"
OLD_REQUIREMENTS = ROOT / "requirements" / "old-sdk.txt"


def old_python() -> Path:
    """An interpreter that has the old SDK."""
    return environment(OLD_ENVIRONMENT, OLD_REQUIREMENTS, "anthropic")


def api_docs_python() -> Path:
    """An interpreter that has what judges descriptions of APIs."""
    return environment(API_DOCS_ENVIRONMENT, API_DOCS_REQUIREMENTS, "schemathesis")


def clients_python() -> Path:
    """An interpreter that has the clients in Python."""
    return environment(CLIENTS_ENVIRONMENT, CLIENTS_REQUIREMENTS, "pydantic-ai-slim")


def node() -> str:
    """The path of node, beside which the npm clients are installed."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if found is None or npm is None:
        pytest.skip("node and npm are needed")
    wanted = json.loads((CLIENTS / "package.json").read_text())["dependencies"]
    if any(_installed(name) != version for name, version in wanted.items()):
        install(npm, "ci", "--no-progress", "--prefix", CLIENTS)
    return found


def claude() -> Path:
    """The path of Claude Code."""
    node()
    command = CLIENTS / "node_modules" / ".bin" / "claude"
    if not printed(command, "--version"):
        pytest.skip("Claude Code has no build for this machine")
    return command


def _installed(name: str) -> str | None:
    manifest = CLIENTS / "node_modules" / name / "package.json"
    return json.loads(manifest.read_text())["version"] if manifest.exists() else None
