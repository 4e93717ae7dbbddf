"""Claude Code in a terminal, as a person sees it: for what it shows to nobody in a pipe."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from pathlib import Path

_SIZE = struct.pack("HHHH", 60, 160, 0, 0)
_ESCAPES = re.compile(rb"\x1b(?:\[[0-9;?>]*[ -/]*[@-~]|\][^\x07]*\x07|[()][A-Z0-9]|[=>78])")


def settled_home(home: Path, work: Path, key: str) -> None:
    """Answers beforehand what it asks at its first start."""
    (home / ".claude").mkdir(parents=True)
    trusted = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
    first = {
        "hasCompletedOnboarding": True,
        "lastOnboardingVersion": "9",
        "theme": "dark",
        "customApiKeyResponses": {"approved": [key[-20:]], "rejected": []},
        "projects": {str(work): trusted},
    }
    (home / ".claude.json").write_text(json.dumps(first))
    settings = {"skipAutoPermissionPrompt": True}
    (home / ".claude" / "settings.json").write_text(json.dumps(settings))


def screen_of(
    command: list[str], work: Path, environment: dict[str, str], until: str, seconds: float = 60
) -> str:
    """Runs it until its screen has shown the words `until` (spaces aside); returns what it showed.

    Spaces are left out: a screen is drawn by moves of the cursor.
    """
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(work)
        os.execve(command[0], command, environment)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, _SIZE)
    shown, ends = b"", time.monotonic() + seconds
    try:
        while time.monotonic() < ends and until.replace(" ", "") not in _words(shown):
            if select.select([terminal], [], [], 0.2)[0]:
                shown += os.read(terminal, 65536)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)
    return _words(shown)


def _words(shown: bytes) -> str:
    return re.sub(r"\s+", "", _ESCAPES.sub(b"", shown).decode("utf-8", "replace"))
