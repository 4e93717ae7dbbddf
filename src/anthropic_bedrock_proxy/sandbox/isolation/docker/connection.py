"""The way to a Docker daemon: as DOCKER_HOST and its companions say."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from aiodocker import Docker
    from aiohttp import BaseConnector

DEFAULT_ADDRESS: Final = "unix:///var/run/docker.sock"
_UNIX: Final = "unix://"


class DockerConnection:
    """A client of a daemon, with a connection of its own for each request.

    The library's default would be a hundred connections in all, of which every runner takes one,
    and it would keep some that are dead after the daemon's restart.
    """

    def __init__(self, address: str, environment: Mapping[str, str]) -> None:
        """Raises `ImportError` without the library, `ValueError` for an address of another kind."""
        from aiodocker import Docker  # noqa: PLC0415  # an extra, and slow to import

        self._connector = _connector(address, environment)
        scheme = "https" if _with_tls(environment) else "http"
        host = "docker" if address.startswith(_UNIX) else address.partition("://")[2]
        # 1.41 is of Docker 20.10, the oldest that knows all that `container_config` asks for.
        self.client: Docker = Docker(
            url=f"{scheme}://{host}", connector=self._connector, api_version="v1.41"
        )

    async def close(self) -> None:
        """Closes all connections, so runners end."""
        await self.client.close()
        await self._connector.close()


def address_of(environment: Mapping[str, str]) -> str:
    """Returns the address of the daemon."""
    return environment.get("DOCKER_HOST") or DEFAULT_ADDRESS


def connect(address: str | None) -> DockerConnection:
    """Returns a client of the daemon at this address, else of the environment's."""
    return DockerConnection(address or address_of(os.environ), os.environ)


def _with_tls(environment: Mapping[str, str]) -> bool:
    return environment.get("DOCKER_TLS_VERIFY", "") not in {"", "0"}


def _connector(address: str, environment: Mapping[str, str]) -> BaseConnector:
    from aiohttp import TCPConnector, UnixConnector  # noqa: PLC0415  # as above

    if address.startswith(_UNIX):
        return UnixConnector(address.removeprefix(_UNIX), limit=0, force_close=True)
    if not address.startswith(("tcp://", "http://", "https://")):
        raise ValueError("DOCKER_HOST is neither unix:// nor tcp://")
    context: ssl.SSLContext | bool = True
    if _with_tls(environment):
        folder = Path(environment.get("DOCKER_CERT_PATH") or Path.home() / ".docker")
        context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return TCPConnector(ssl=context, limit=0, force_close=True)
