"""Connections to an endpoint: plain TCP, TLS, or TLS through an egress proxy.

TLS uses the system's roots, or AWS_CA_BUNDLE. HTTPS_PROXY is honoured with CONNECT (RFC 9110
9.3.6), except for the hosts of NO_PROXY.
"""

from __future__ import annotations

import asyncio
import socket
from base64 import b64encode
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urlsplit

import msgspec

from .connection import AWSConnection, ConnectError

if TYPE_CHECKING:
    import ssl

    from .http import Connector

_PROXY = "the egress proxy"
_MAX_PROXY_ANSWER = 16 * 1024
_Inner = TypeVar("_Inner", bound=asyncio.Protocol)


class Endpoint(msgspec.Struct, frozen=True):
    """The address that requests go to."""

    host: str
    port: int
    tls: bool
    path: str = ""  # prefix of every request path, without a trailing slash

    @classmethod
    def from_url(cls, url: str) -> Endpoint:
        """Parses an http(s) URL. Raises ValueError."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"not an http(s) URL with a host: {url}")
        tls = parts.scheme == "https"
        return cls(parts.hostname, parts.port or (443 if tls else 80), tls, parts.path.rstrip("/"))

    @property
    def authority(self) -> str:
        """Returns the Host header: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


def tls_context(ca_bundle: str | None) -> ssl.SSLContext:
    """Makes a verifying context; `ca_bundle` is a PEM file, None for the system's roots."""
    import ssl  # noqa: PLC0415  # plain endpoints never pay for it

    return ssl.create_default_context(cafile=ca_bundle)


def proxy_for(endpoint: Endpoint, https_proxy: str | None, no_proxy: str | None) -> str | None:
    """Returns the egress proxy's URL for an endpoint, or None for a direct connection."""
    if not https_proxy or not endpoint.tls:
        return None
    if not no_proxy:
        return https_proxy
    from .no_proxy import bypasses  # noqa: PLC0415  # seldom needed

    if bypasses(no_proxy, endpoint.host, endpoint.port):
        return None
    return https_proxy


def connector(
    endpoint: Endpoint, *, ca_bundle: str | None = None, proxy: str | None = None
) -> Connector:
    """Makes a function that opens connections to `endpoint`, through `proxy` if given."""
    context: ssl.SSLContext | None = None

    async def connect(factory: Callable[[], AWSConnection]) -> AWSConnection:
        nonlocal context
        loop = asyncio.get_running_loop()
        if endpoint.tls and context is None:
            # Loading the roots takes tens of milliseconds: not on the loop.
            try:
                context = await loop.run_in_executor(None, tls_context, ca_bundle)
            except OSError as error:
                roots = f"AWS_CA_BUNDLE ({ca_bundle})" if ca_bundle else "the system's roots"
                raise ConnectError(f"{roots} cannot be loaded: {error}", "its roots") from error
        try:
            if proxy is not None and context is not None:
                return await through_proxy(loop, factory(), endpoint, context, proxy)
            _, connection = await loop.create_connection(
                factory,
                endpoint.host,
                endpoint.port,
                ssl=context,
                server_hostname=endpoint.host if endpoint.tls else None,
            )
        except OSError as error:  # ssl.SSLError is one too
            raise _failed(f"{endpoint.host}:{endpoint.port}", error) from error
        return connection

    return connect


def _failed(where: str, error: OSError) -> ConnectError:
    """Names what failed on the way to an endpoint, and what may mend it."""
    words = f"cannot connect to {where}: {error}"
    if isinstance(error, socket.gaierror):
        return ConnectError(f"{words} (the name is not known: check AWS_REGION, and DNS)", "DNS")
    if type(error).__name__ == "SSLCertVerificationError":  # `ssl` is seldom imported by then
        hint = "if something on the way speaks TLS itself, give its roots in AWS_CA_BUNDLE"
        return ConnectError(f"{words} ({hint})", "TLS")
    if type(error).__name__.startswith("SSL"):
        return ConnectError(f"{words} (TLS failed: is it an endpoint of AWS?)", "TLS")
    return ConnectError(words)


def unix_connector(path: str) -> Connector:
    """Makes a function that opens connections to a unix socket."""

    async def connect(factory: Callable[[], AWSConnection]) -> AWSConnection:
        try:
            _, connection = await asyncio.get_running_loop().create_unix_connection(factory, path)
        except OSError as error:
            raise ConnectError(f"cannot connect to {path}: {error.strerror or error}") from error
        return connection

    return connect


async def through_proxy(
    loop: asyncio.AbstractEventLoop,
    connection: _Inner,
    endpoint: Endpoint,
    context: ssl.SSLContext,
    proxy: str,
) -> _Inner:
    """Connects `connection` to `endpoint` by TLS in a tunnel; the proxy resolves the name.

    Raises `ConnectError` or OSError.
    """
    via = urlsplit(proxy)
    if via.scheme != "http" or not via.hostname:
        raise ConnectError("HTTPS_PROXY must be an http:// URL with a host", _PROXY)
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    tunnel_to = f"{host}:{endpoint.port}"
    request = f"CONNECT {tunnel_to} HTTP/1.1\r\nHost: {tunnel_to}\r\n"
    if via.username is not None:
        user = f"{unquote(via.username)}:{unquote(via.password or '')}"
        request += f"Proxy-Authorization: Basic {b64encode(user.encode()).decode()}\r\n"
    try:
        transport, tunnel = await loop.create_connection(
            lambda: _Tunnel(loop), via.hostname, via.port or 3128
        )
    except OSError as error:
        where = f"{via.hostname}:{via.port or 3128}"
        raise ConnectError(
            f"cannot connect to the egress proxy {where} (HTTPS_PROXY): {error}", _PROXY
        ) from error
    try:
        transport.write(request.encode() + b"\r\n")
        await tunnel.established
        secured = await loop.start_tls(
            transport, connection, context, server_hostname=endpoint.host
        )
    except BaseException:
        transport.abort()
        raise
    if secured is None:
        raise ConnectError("the egress proxy closed the tunnel", _PROXY)
    connection.connection_made(secured)
    return connection


class _Tunnel(asyncio.Protocol):
    """The protocol of a connection until the proxy has answered CONNECT."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.established: asyncio.Future[None] = loop.create_future()
        self._answer = b""

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if b"\r\n\r\n" in self._answer:
            status = self._answer.split(b"\r\n", 1)[0].split(b" ")
            if len(status) > 1 and status[1].startswith(b"2"):
                self._finish(None)
            else:
                line = b" ".join(status[1:])[:80].decode("latin-1")
                self._finish(ConnectError(f"the egress proxy refused the tunnel: {line}", _PROXY))
        elif len(self._answer) > _MAX_PROXY_ANSWER:
            self._finish(ConnectError("the egress proxy's answer is not valid HTTP", _PROXY))

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish(ConnectError(f"the egress proxy closed the connection: {exc or 'no answer'}"))

    def _finish(self, error: Exception | None) -> None:
        future: asyncio.Future[Any] = self.established
        if future.done():
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
