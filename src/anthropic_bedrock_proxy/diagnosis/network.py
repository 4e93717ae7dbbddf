"""Checks of the way to an endpoint: name, TCP, egress proxy, TLS, HTTP, and the clock of AWS."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from ..aws.connect import Endpoint, connector, proxy_for, tls_context
from ..aws.http import AWSConnection, Connector, Pool, PoolOptions, TransportError
from ..aws.skew import Skew
from ..health.findings import connection_words
from .checks import CheckResult, fail, ok, warn

_STEP_SECONDS: Final = 2.0  # for a name, and for a connection
_WHOLE_SECONDS: Final = 3.0
_SKEW_SECONDS: Final = 5.0  # machines with a working NTP differ by less than a tenth of one
_REFUSED_SECONDS: Final = 300.0  # from here on AWS refuses signatures
_THE_PROXY: Final = "the egress proxy"
_NO_WAY_OUT: Final = (
    "let this machine out to that port (security group, firewall, route), or set HTTPS_PROXY"
)
_NO_PROXY_THERE: Final = (
    "start that proxy, correct its host and port in HTTPS_PROXY, or name the endpoint in NO_PROXY"
)


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """The way to endpoints, as the settings have it."""

    ca_bundle: str | None = None
    https_proxy: str | None = None
    no_proxy: str | None = None


async def check_endpoint(
    url: str, way: Way, *, now: Callable[[], float] = time.time
) -> Sequence[CheckResult]:
    """Checks one endpoint, step by step, and the clock by its `Date`."""
    endpoint = Endpoint.from_url(url)
    proxy = proxy_for(endpoint, way.https_proxy, way.no_proxy)
    host, port = (endpoint.host, endpoint.port) if proxy is None else _host_of(proxy)
    what = "the endpoint" if proxy is None else _THE_PROXY
    if broken := await _first_steps(host, port, what):
        return [broken]
    connect = connector(endpoint, ca_bundle=way.ca_bundle, proxy=proxy)
    if endpoint.tls and (broken := await _secured(connect, endpoint, proxy)):
        return [broken]
    skew = Skew(endpoint.host)
    pool = Pool(connect, PoolOptions())
    began = now()
    try:
        async with asyncio.timeout(_WHOLE_SECONDS):
            head = f"GET / HTTP/1.1\r\nhost: {endpoint.authority}\r\n\r\n".encode("latin-1")
            response = await pool.request(head, b"", _WHOLE_SECONDS)
            came = now()
            skew.learn(response.headers.get(b"date"), sent=began, came=came)
            dated = b"date" in response.headers
            response.close()
    except (TransportError, TimeoutError) as error:
        return [
            fail(
                f"HTTP: {endpoint.authority} does not answer: {connection_words(error)}",
                "connected, but no answer: look at proxies and firewalls in between",
            )
        ]
    finally:
        await pool.close()
    through = "" if proxy is None else f" through the egress proxy {host}:{port}"
    milliseconds = round((came - began) * 1000)
    answers = f"{endpoint.authority} answers{through} in {milliseconds} ms"
    lines = [ok(answers)]
    if dated:
        lines.append(_clock(skew.seconds))
    return lines


async def _first_steps(host: str, port: int, what: str) -> CheckResult | None:
    """Resolves and connects; returns a line if one of both fails."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_STEP_SECONDS):
            await loop.getaddrinfo(host, port)
    except (OSError, TimeoutError) as error:
        return fail(
            f"DNS: {what} {host} cannot be resolved: {_words(error)}",
            "check the spelling of the host or the region, and the name server of this "
            "machine; in a VPC without internet, make an interface endpoint with private DNS",
        )
    try:
        async with asyncio.timeout(_STEP_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
        writer.close()
    except (OSError, TimeoutError) as error:
        return fail(
            f"TCP: no connection to {what} {host}:{port}: {_words(error)}",
            _NO_PROXY_THERE if what == _THE_PROXY else _NO_WAY_OUT,
        )
    return None


async def _secured(connect: Connector, endpoint: Endpoint, proxy: str | None) -> CheckResult | None:
    """Connects by TLS, through the egress proxy if there is one; returns a line if that fails."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_STEP_SECONDS):
            connection = await connect(lambda: AWSConnection(loop))
    except (TransportError, TimeoutError) as error:
        return _not_secured(error, endpoint, proxy)
    connection.abort()
    return None


def _not_secured(error: Exception, endpoint: Endpoint, proxy: str | None) -> CheckResult:
    if "egress proxy" in str(error):
        return fail(
            f"egress proxy: {error}",
            "let the proxy connect to the endpoint, correct user and password in HTTPS_PROXY, "
            "or name the host in NO_PROXY",
        )
    if "certificate" in connection_words(error):
        return fail(
            f"TLS: the certificate of {endpoint.host} is not trusted: {_root(error)}",
            "if something in between speaks TLS itself, give its root in AWS_CA_BUNDLE",
        )
    through = "" if proxy is None else ", through the egress proxy"
    words = _words(error) if isinstance(error, TimeoutError) else _root(error)
    return fail(
        f"TLS: no secure connection to {endpoint.authority}{through}: {words}",
        "see the line about the roots of TLS; is it https:// by mistake?",
    )


def _clock(seconds: float) -> CheckResult:
    if abs(seconds) < _SKEW_SECONDS:
        return ok("agrees with that of the endpoint", name="clock")
    where = "behind" if seconds > 0 else "ahead of"
    line = fail if abs(seconds) >= _REFUSED_SECONDS else warn
    return line(
        f"this machine is {abs(seconds):.0f} s {where} the endpoint",
        "let NTP set the clock: days, months and limits go by it, and from 300 s on AWS refuses "
        "signatures",
        name="clock",
    )


async def check_egress_proxy(way: Way, urls: Sequence[str]) -> Sequence[CheckResult]:
    """Tells which endpoints go through HTTPS_PROXY; their own lines say whether it lets them."""
    if way.https_proxy is None:
        return [ok("none is set")]
    host, port = _host_of(way.https_proxy)
    through = [url for url in urls if proxy_for(Endpoint.from_url(url), way.https_proxy, None)]
    used = [url for url in urls if proxy_for(Endpoint.from_url(url), way.https_proxy, way.no_proxy)]
    if not used:
        why = "NO_PROXY excepts them" if through else "they are no https:// URLs"
        return [
            warn(
                f"{host}:{port} is set, but no endpoint goes through it: {why}",
                "unset HTTPS_PROXY, or correct NO_PROXY",
            )
        ]
    if broken := await _first_steps(host, port, _THE_PROXY):
        return [broken]
    return [ok(f"{host}:{port} is there, for {len(used)} endpoint(s)")]


async def check_tls_roots(way: Way, *, needed: bool) -> Sequence[CheckResult]:
    """Checks that certificates can be verified."""
    if not needed:
        return [ok("not needed: no endpoint is https://")]
    if way.ca_bundle is not None:
        try:
            context = await asyncio.to_thread(tls_context, way.ca_bundle)
        except (OSError, ssl.SSLError) as error:
            return [
                fail(
                    f"AWS_CA_BUNDLE cannot be used: {error}",
                    "give a readable file of certificates in PEM",
                )
            ]
        count = context.cert_store_stats()["x509_ca"]
        return [ok(f"{count} in AWS_CA_BUNDLE")]
    context = await asyncio.to_thread(tls_context, None)
    paths = ssl.get_default_verify_paths()
    if context.cert_store_stats()["x509_ca"] or _has_files(paths.capath):
        return [ok("those of the system")]
    return [
        fail(
            "the system has none",
            "install ca-certificates, or set AWS_CA_BUNDLE",
        )
    ]


def _has_files(folder: str | None) -> bool:
    return folder is not None and any(Path(folder).iterdir())


def _host_of(proxy: str) -> tuple[str, int]:
    parts = urlsplit(proxy)
    return parts.hostname or "", parts.port or 3128


def _words(error: Exception) -> str:
    return f"no answer in {_STEP_SECONDS:g} s" if isinstance(error, TimeoutError) else str(error)


def _root(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error)
