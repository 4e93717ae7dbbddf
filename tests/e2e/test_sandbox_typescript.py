from __future__ import annotations

import re
import subprocess

import parts
import pytest
from sandboxes import RunningSandboxd
from servers import clean_environment, start_proxy


@pytest.fixture(scope="module")
def coded(simulator, tmp_path_factory):
    """A proxy with sandboxes."""
    with (
        RunningSandboxd(tmp_path_factory.mktemp("executor"), "sandlock") as executor,
        start_proxy(tmp_path_factory.mktemp("proxy"), simulator, **executor.settings) as server,
    ):
        yield server


def test_the_typescript_sdk_runs_code_that_calls_tools(coded, sim, tmp_path):
    """The cases are in clients/sandbox.test.mjs."""
    done = subprocess.run(
        [parts.node(), "--test", "--test-reporter=tap", parts.CLIENTS / "sandbox.test.mjs"],
        cwd=parts.CLIENTS,
        env=clean_environment(
            tmp_path, SIMULATOR_URL=sim.base_url, PROXY_URL=coded.url, PROXY_KEY=coded.key
        ),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counts = dict(re.findall(r"^# (\w+) (\d+)$", done.stdout, re.MULTILINE))
    assert int(counts["pass"]) >= 40
    assert counts["fail"] == counts["skipped"] == "0"
