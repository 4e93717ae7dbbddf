"""Searching, fetching, citing and filtering with the official TypeScript SDK."""

from __future__ import annotations

import json
import re
import subprocess

import parts
import pytest
from sandboxes import MODELS, RunningSandboxd
from servers import clean_environment, start_proxy
from web_world import FILTER, FOUND, PAGE

CALLS = 4  # model calls of one turn


@pytest.fixture(scope="module")
def filtering(web, simulator, tmp_path_factory):
    """A proxy with a sandbox and the web."""
    with RunningSandboxd(tmp_path_factory.mktemp("executor"), "sandlock") as executor:
        more = {**executor.settings, "STANDALONE_MAX_ITERATIONS": str(CALLS)}
        settings = web.settings(simulator, **more)
        with start_proxy(tmp_path_factory.mktemp("proxy"), simulator, **settings) as server:
            yield server


def test_the_typescript_sdk_searches_fetches_and_cites(filtering, sim, web, tmp_path):
    """The cases are in clients/web.test.mjs."""
    told = {
        "page": web.page,
        "found": FOUND,
        "text": PAGE,
        "models": MODELS,
        "answer": web.quotes(),
        "code": FILTER,
        "calls": CALLS,
    }
    environment = clean_environment(
        tmp_path,
        SIMULATOR_URL=sim.base_url,
        PROXY_URL=filtering.url,
        PROXY_KEY=filtering.key,
        WEB=json.dumps(told),
    )
    done = subprocess.run(
        [parts.node(), "--test", "--test-reporter=tap", parts.CLIENTS / "web.test.mjs"],
        cwd=parts.CLIENTS,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counts = dict(re.findall(r"^# (\w+) (\d+)$", done.stdout, re.MULTILINE))
    assert int(counts["pass"]) == 4 * len(MODELS) + 3
    assert counts["fail"] == counts["skipped"] == "0"
