from __future__ import annotations

import parts
import pytest
from servers import start_proxy
from typescript_cases import passed_cases


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
    passed = passed_cases(
        "client.test.mjs",
        tmp_path,
        sim,
        proxy,
        REVOKED_KEY=revoked_key,
        IMPATIENT_URL=impatient.url,
        IMPATIENT_KEY=impatient.key,
    )
    assert passed >= 20
