"""Claude Code, run once with a task, without a word to anybody but the proxy."""

from __future__ import annotations

import subprocess
from pathlib import Path

from servers import RunningProxy, clean_environment


def run_claude(
    claude: Path, server: RunningProxy, folder: Path, task: str, *options: str, **settings: str
) -> str:
    """What it prints; it works in `folder / "work"`, and `settings` are environment variables."""
    home, work = folder / "home", folder / "work"
    home.mkdir(exist_ok=True)
    work.mkdir()
    environment = {
        "ANTHROPIC_BASE_URL": server.url,
        "ANTHROPIC_API_KEY": server.key,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_ERROR_REPORTING": "1",
        "DISABLE_TELEMETRY": "1",
        "IS_SANDBOX": "1",
        **settings,
    }
    done = subprocess.run(
        [claude, "-p", task, *options, "--dangerously-skip-permissions"],
        cwd=work,
        env=clean_environment(home, **environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
