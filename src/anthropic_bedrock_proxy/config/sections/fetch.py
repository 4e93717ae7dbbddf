"""URLs of clients that the proxy reads."""

# Without `from __future__ import annotations`: the annotations are read as objects, not as text.
from typing import Annotated

from ..schema import Section, Setting


class FetchSettings(Section, frozen=True):
    """Images and documents that requests name by URL."""

    enabled: Annotated[
        bool, Setting("FETCH_URL_SOURCES", "Fetch them; Bedrock itself takes no URLs.")
    ] = True
    max_bytes: Annotated[
        int, Setting("FETCH_MAX_BYTES", "The largest body of one fetch.", minimum=1)
    ] = 20 * 1024 * 1024
    timeout_seconds: Annotated[
        float,
        Setting("FETCH_TIMEOUT", "One fetch, with its redirects and its turn.", minimum=0.05),
    ] = 20.0
    connect_timeout_seconds: Annotated[
        float,
        Setting("FETCH_CONNECT_TIMEOUT", "Connecting to one address of a host.", minimum=0.05),
    ] = 5.0
    max_redirects: Annotated[
        int, Setting("FETCH_MAX_REDIRECTS", "Redirects of one fetch.", minimum=0)
    ] = 3
    max_concurrent: Annotated[
        int, Setting("FETCH_MAX_CONCURRENT", "Fetches at once, per worker.", minimum=1)
    ] = 16
    allow_http: Annotated[
        bool, Setting("FETCH_ALLOW_HTTP", "Also fetch http:// URLs, not only https://.")
    ] = False
    allowed_ports: Annotated[
        tuple[str, ...], Setting("FETCH_ALLOWED_PORTS", "Ports beside 443 and 80.")
    ] = ()
    allowed_hosts: Annotated[
        tuple[str, ...],
        Setting(
            "FETCH_ALLOWED_HOSTS",
            "Only these hosts: `a.example`, or `*.a.example` for it and all below. Empty: all.",
        ),
    ] = ()
    blocked_hosts: Annotated[
        tuple[str, ...], Setting("FETCH_BLOCKED_HOSTS", "Never these hosts; the same form.")
    ] = ()
    allow_private: Annotated[
        bool,
        Setting(
            "FETCH_ALLOW_PRIVATE",
            "Also fetch from private addresses: dangerous, for tests and development only.",
        ),
    ] = False
    trust_proxy: Annotated[
        bool,
        Setting(
            "FETCH_TRUST_PROXY",
            "Fetch through HTTPS_PROXY, which then has to refuse internal targets itself. "
            "Otherwise nothing is fetched where a proxy is set.",
        ),
    ] = False
