from __future__ import annotations

import pytest
from sandboxes import RunningSandboxd
from servers import start_proxy
from typescript_cases import passed_cases


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
    assert passed_cases("sandbox.test.mjs", tmp_path, sim, coded) >= 40
