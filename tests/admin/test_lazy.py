"""Who only sends messages pays nothing for the admin API."""

from __future__ import annotations

import subprocess
import sys

SOURCE = """
import sys
import anthropic_bedrock_proxy.http.admin
found = [name for name in sys.modules if name.startswith("anthropic_bedrock_proxy.admin")]
assert not found, found
"""


def test_the_routes_import_no_operation():
    subprocess.run([sys.executable, "-c", SOURCE], check=True)
