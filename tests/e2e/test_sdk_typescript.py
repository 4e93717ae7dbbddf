from __future__ import annotations

import re
import subprocess

import parts
import pytest
from servers import clean_environment, start_proxy


@pytest.fixture(scope="module")
def node():
    return parts.node()


@pytest.fixture(scope="module")
def impatient(simulator, tmp_path_factory):
    folder = tmp_path_factory.mktemp("impatient")
    with start_proxy(folder, simulator, UPSTREAM_MAX_ATTEMPTS="1") as server:
        yield server


def test_typescript_sdk(node, proxy, impatient, sim, tmp_path):
    """The cases are in clients/client.test.mjs."""
    revoked_id, revoked_key = proxy.create_key("to be revoked")
    proxy.command("keys", "revoke", revoked_id)
    done = subprocess.run(
        [node, "--test", "--test-reporter=tap", parts.CLIENTS / "client.test.mjs"],
        cwd=parts.CLIENTS,
        env=clean_environment(
            tmp_path,
            SIMULATOR_URL=sim.base_url,
            PROXY_URL=proxy.url,
            PROXY_KEY=proxy.key,
            REVOKED_KEY=revoked_key,
            IMPATIENT_URL=impatient.url,
            IMPATIENT_KEY=impatient.key,
        ),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counts = dict(re.findall(r"^# (\w+) (\d+)$", done.stdout, re.MULTILINE))
    assert int(counts["pass"]) >= 20
    assert counts["fail"] == counts["skipped"] == "0"
