"""Cases of the TypeScript SDK, which stand in clients/*.test.mjs, run by Node.js."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import parts
from servers import RunningProxy, clean_environment

from anthropic_bedrock_proxy.sim.client import SimClient


def passed_cases(
    name: str, folder: Path, sim: SimClient, server: RunningProxy, **settings: str
) -> int:
    """How many cases of a file have passed: all of them, and none was skipped."""
    done = subprocess.run(
        [parts.node(), "--test", "--test-reporter=tap", parts.CLIENTS / name],
        cwd=parts.CLIENTS,
        env=clean_environment(
            folder,
            SIMULATOR_URL=sim.base_url,
            PROXY_URL=server.url,
            PROXY_KEY=server.key,
            **settings,
        ),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counts = dict(re.findall(r"^# (\w+) (\d+)$", done.stdout, re.MULTILINE))
    assert counts["fail"] == counts["skipped"] == "0"
    return int(counts["pass"])
