"""A simulator process of its own that verifies signatures, for tests of other parts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anthropic_bedrock_proxy

KEY_ID, SECRET, TOKEN = "AKIDSIMULATOR", "simulator/secret+key", "bedrock-api-key-sim"
SOURCE = Path(anthropic_bedrock_proxy.__file__).parents[1]


@contextmanager
def simulator() -> Iterator[str]:
    """Its address."""
    command = [sys.executable, "-m", "anthropic_bedrock_proxy", "bedrock-sim", "--port", "0"]
    command += ["--access-key-id", KEY_ID, "--secret-access-key", SECRET, "--bearer-token", TOKEN]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        line = process.stdout.readline()
        try:
            yield next(word for word in line.split() if word.startswith("http://"))
            process.terminate()
            assert process.wait(timeout=10) == 0
        finally:
            process.kill()
