"""What tests of the process that looks up AWS credentials have in common."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from fakeserver import until as _until

from anthropic_bedrock_proxy.aws.resolver.pace import Pace
from anthropic_bedrock_proxy.aws.resolver.resolver import Identity

CHAIN = Identity(name="the chain", region="us-east-1")
PACE = Pace(least=0.1, unending=0.2, first_failure=0.1, most_failures=0.2, hang=2.0)


async def until(condition):
    await _until(condition, rounds=60_000)


def environ_of(home, **more):
    kept = {n: v for n, v in os.environ.items() if n.startswith(("COVERAGE_", "PYTHON"))}
    return {
        **kept,
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "AWS_EC2_METADATA_DISABLED": "true",
        **more,
    }


def static_keys(home, name="AKIAFILE"):
    (home / ".aws").mkdir(exist_ok=True)
    file = home / ".aws" / "credentials"
    file.with_suffix(".new").write_text(
        f"[default]\naws_access_key_id = {name}\naws_secret_access_key = s\n"
    )
    file.with_suffix(".new").rename(file)


def children(of=None):
    """The ids of the processes that look up for this process, or for another one."""
    of = of or os.getpid()
    pids = Path(f"/proc/{of}/task/{of}/children").read_text().split()
    return [int(pid) for pid in pids if _looks_up(pid)]


def _looks_up(pid):
    return b"resolver.child" in Path(f"/proc/{pid}/cmdline").read_bytes()


def is_running(pid):
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def told(caplog):
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.INFO]
