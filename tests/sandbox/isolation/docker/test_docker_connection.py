"""Where the daemon is looked for."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from anthropic_bedrock_proxy.sandbox.isolation.docker.connection import (
    DEFAULT_ADDRESS,
    DockerConnection,
    address_of,
)


def test_the_address_is_docker_hosts_else_the_usual_socket():
    assert address_of({"DOCKER_HOST": "tcp://x:1"}) == "tcp://x:1"
    assert address_of({"DOCKER_HOST": ""}) == address_of({}) == DEFAULT_ADDRESS


@pytest.mark.parametrize(
    ("address", "url"),
    [("unix:///x/docker.sock", "http://docker"), ("tcp://h:2375", "http://h:2375")],
)
def test_the_client_asks_at_that_address(address, url):
    async def main():
        connection = DockerConnection(address, {})
        try:
            return connection.client.docker_host
        finally:
            await connection.close()

    assert asyncio.run(main()) == url


def test_tls_needs_its_certificates(tmp_path):
    async def main(environment):
        DockerConnection("tcp://h:2376", environment)

    with pytest.raises((FileNotFoundError, ssl.SSLError)):
        asyncio.run(main({"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(tmp_path)}))


def test_another_kind_of_address_is_refused():
    async def main():
        DockerConnection("ssh://h", {})

    with pytest.raises(ValueError, match="neither"):
        asyncio.run(main())
