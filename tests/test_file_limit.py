"""How many connections the limit of open files leaves room for; in processes of their own."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import resource
from anthropic_bedrock_proxy.server import raise_file_limit
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
print(raise_file_limit({connections}), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "connections", "expected"),
    [
        (256, 4096, 1000, "1000 1512 4096"),
        (2000, 4096, 1000, "1000 2000 4096"),
        (256, 1024, 1000, "512 1024 1024"),
        (256, 300, 1000, "1 300 300"),
    ],
)
def test_the_limit_is_raised_as_far_as_needed_and_allowed(soft, hard, connections, expected):
    program = PROGRAM.format(soft=soft, hard=hard, connections=connections)
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == expected
