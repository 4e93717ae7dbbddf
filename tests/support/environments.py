"""Programs and packages that need an environment of their own.

Each is made once, from its lock file, and used again while its versions are the pinned ones. What
cannot be made is a skipped test with the reason; REQUIRE_ALL_PARTS=1 makes skips failures.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_SECONDS = 600  # the largest has 850 MB, and the machine other work


def environment(folder: Path, requirements: Path, package: str) -> Path:
    """The interpreter of an environment, which is made unless it has the pinned `package`."""
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of test processes beside each other one makes it
        return _made(folder, requirements, package)


def _made(folder: Path, requirements: Path, package: str) -> Path:
    python = folder / "bin" / "python"
    ask = f"from importlib.metadata import version; print(version({package!r}))"
    pinned = f"{package}=={printed(python, '-c', ask)}"
    if pinned in requirements.read_text().replace("\\", " ").split():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    install(sys.executable, "-m", "venv", folder)
    # Without byte code: most of it is never imported, and to make it takes longer than the rest.
    command = (python, "-m", "pip", "install", "--no-compile", "--require-hashes")
    install(*command, "-r", requirements)
    return python


def printed(*command: str | Path) -> str:
    """What the command prints; nothing if it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def install(*command: str | Path) -> None:
    """Runs a command that installs; skips the test, with the reason, if it cannot."""
    shown = " ".join(map(str, command))
    try:
        subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=True)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"cannot be made: `{shown}` said {(error.stderr or error.stdout)[-500:]}")
    except subprocess.TimeoutExpired:
        pytest.skip(f"cannot be made: `{shown}` took over {_SECONDS} s")
