"""Searching, fetching, citing and filtering with the official TypeScript SDK."""

from __future__ import annotations

import json

import pytest
from sandboxes import MODELS, RunningSandboxd
from servers import start_proxy
from typescript_cases import passed_cases
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
    passed = passed_cases("web.test.mjs", tmp_path, sim, filtering, WEB=json.dumps(told))
    assert passed == 4 * len(MODELS) + 3
