"""Clients that need more than this Python: an old SDK in its own environment, and npm packages.

Each is made once, from its lock file, and used again while its versions are the pinned ones. What
cannot be made is a skipped test with the reason; REQUIRE_ALL_PARTS=1 makes skips failures.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from programs import program  # noqa: F401  # asked for here, with the other parts
from servers import ROOT

CLIENTS = Path(__file__).parent / "clients"
OLD_ENVIRONMENT = ROOT / ".venv-old"
API_DOCS_ENVIRONMENT = ROOT / ".venv-api-docs"
API_DOCS_REQUIREMENTS = ROOT / "requirements" / "api-docs.txt"
CLIENTS_ENVIRONMENT = ROOT / ".venv-clients"
CLIENTS_REQUIREMENTS = ROOT / "requirements" / "clients.txt"
OLD_REQUIREMENTS = ROOT / "requirements" / "old-sdk.txt"
_SECONDS = 240


def old_python() -> Path:
    """An interpreter that has the old SDK."""
    return _environment(OLD_ENVIRONMENT, OLD_REQUIREMENTS, "anthropic")


def api_docs_python() -> Path:
    """An interpreter that has what judges descriptions of APIs."""
    return _environment(API_DOCS_ENVIRONMENT, API_DOCS_REQUIREMENTS, "schemathesis")


def clients_python() -> Path:
    """An interpreter that has the clients in Python."""
    return _environment(CLIENTS_ENVIRONMENT, CLIENTS_REQUIREMENTS, "pydantic-ai-slim")


def node() -> str:
    """The path of node, beside which the npm clients are installed."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if found is None or npm is None:
        pytest.skip("node and npm are needed")
    wanted = json.loads((CLIENTS / "package.json").read_text())["dependencies"]
    if any(_installed(name) != version for name, version in wanted.items()):
        _install(npm, "ci", "--no-progress", "--prefix", CLIENTS)
    return found


def claude() -> Path:
    """The path of Claude Code."""
    node()
    command = CLIENTS / "node_modules" / ".bin" / "claude"
    if not _succeeds(command, "--version"):
        pytest.skip("Claude Code has no build for this machine")
    return command


def _environment(folder: Path, requirements: Path, package: str) -> Path:
    """The interpreter of an environment, which is made unless it has the pinned `package`."""
    python = folder / "bin" / "python"
    ask = f"from importlib.metadata import version; print(version({package!r}))"
    pinned = f"{package}=={_succeeds(python, '-c', ask)}"
    if pinned in requirements.read_text().replace("\\", " ").split():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    _install(sys.executable, "-m", "venv", folder)
    _install(python, "-m", "pip", "install", "--require-hashes", "-r", requirements)
    return python


def _installed(name: str) -> str | None:
    manifest = CLIENTS / "node_modules" / name / "package.json"
    return json.loads(manifest.read_text())["version"] if manifest.exists() else None


def _succeeds(*command: str | Path) -> str:
    """What the command prints; nothing if it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _install(*command: str | Path) -> None:
    shown = " ".join(map(str, command))
    try:
        subprocess.run(
            command, cwd=CLIENTS, capture_output=True, text=True, timeout=_SECONDS, check=True
        )
    except subprocess.CalledProcessError as error:
        pytest.skip(f"cannot be made: `{shown}` said {(error.stderr or error.stdout)[-500:]}")
    except subprocess.TimeoutExpired:
        pytest.skip(f"cannot be made: `{shown}` took over {_SECONDS} s")
