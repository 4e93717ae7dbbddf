"""The SSRF guard: rules for the URLs, hosts and addresses that may be fetched. Pure.

Rules of the file:
- A URL is taken apart here and nowhere else, by RFC 3986 and strictly, so that no two readers can
  disagree about its host.
- A host is never judged by its spelling: `127.1`, `0x7f.1` and `2130706433` are names like any
  other until the resolver has made an address of them, and it is the address that is judged.
- The tables are ours. `ipaddress.is_global` changes with the version of Python (192.0.0.8,
  64:ff9b:1::1 and 2002::1 are global in 3.11 and not in 3.13) and is true of multicast, of
  64:ff9b::10.0.0.1 and of what is not assigned.

Sources: the IANA special-purpose address registries for IPv4 and IPv6; RFC 6890, 6052, 4291.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

import msgspec

from .base import NotAllowedError
from .spelling import DEFAULT_PORTS, ascii_host, percent_encoded

MAX_URL: Final = 2048  # characters
# One text for names that do not resolve and for names that must not be reached: the difference
# would tell a client which names exist inside.
NOT_PUBLIC: Final = "its host has no public address"

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<authority>[^/?#\\]*)(?P<path>(?:/[^?#]*)?)(?P<query>\?[^#]*)?(?:#.*)?",
    re.IGNORECASE | re.DOTALL,
)
_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::(?P<port>[0-9]{0,5}))?")
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MAX_PORT: Final = 65535

_Network = IPv4Network | IPv6Network


def _networks(*texts: str) -> tuple[_Network, ...]:
    return tuple(ip_network(text) for text in texts)


# Private networks: these can be allowed, for tests and development.
_PRIVATE: Final = _networks(
    "10.0.0.0/8",
    "100.64.0.0/10",  # carrier-grade NAT; clouds use it for their own services too
    "127.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "::1/128",
    "fc00::/7",
)
# Networks that are refused even where private ones are allowed.
_FORBIDDEN: Final = _networks(
    "0.0.0.0/8",  # 0.0.0.0 is this machine
    "100.100.100.200/32",  # metadata at Alibaba Cloud
    "168.63.129.16/32",  # the host agent at Azure, although globally routable
    "169.254.0.0/16",  # link-local, and the metadata of nearly every cloud
    "192.0.0.0/24",  # IETF protocols; metadata at Oracle
    "192.0.2.0/24",  # documentation
    "192.88.99.0/24",  # 6to4 relays, withdrawn
    "198.18.0.0/15",  # benchmarks
    "198.51.100.0/24",  # documentation
    "203.0.113.0/24",  # documentation
    "224.0.0.0/4",  # multicast
    "240.0.0.0/4",  # reserved, and broadcast
    "2001::/23",  # IETF protocols: Teredo, benchmarks, ORCHID and others
    "2001:db8::/32",  # documentation
    "2002::/16",  # 6to4: holds any IPv4 address, and nobody serves it any more
    "3fff::/20",  # documentation
    "fd00:ec2::/32",  # metadata, time and DNS of EC2
)
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")  # nothing else of IPv6 is routed globally
_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_NAT64: Final = IPv6Network("64:ff9b::/96")  # how IPv6-only networks reach IPv4


class Parts(msgspec.Struct, frozen=True):
    """A URL that may be asked for, in the form in which it is sent."""

    scheme: str  # http | https
    host: str  # ASCII lower case; an IPv6 address without its brackets
    port: int
    target: str  # path and query, percent-encoded

    @property
    def origin(self) -> str:
        """Returns scheme, host and port, as a URL begins with them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = self.port == DEFAULT_PORTS[self.scheme]
        return f"{self.scheme}://{host}{'' if default else f':{self.port}'}"

    @property
    def url(self) -> str:
        """Returns the whole URL, without a fragment."""
        return f"{self.origin}{self.target}"


def check_url(url: str, *, allow_http: bool = False, ports: Iterable[int] = ()) -> Parts:
    """Takes a URL apart; `ports` are allowed beside the scheme's own. Raises `NotAllowedError`."""
    if len(url) > MAX_URL:
        raise NotAllowedError(f"the URL is longer than {MAX_URL} characters")
    if _CONTROL.search(url):
        raise NotAllowedError("the URL has control characters in it")
    match = _URL.fullmatch(url)
    if match is None:
        raise NotAllowedError("it is no http or https URL" if allow_http else "it is no https URL")
    scheme = match["scheme"].lower()
    if scheme == "http" and not allow_http:
        raise NotAllowedError("only https URLs are fetched")
    if "@" in match["authority"]:
        raise NotAllowedError("the URL has a user name or a password in it")
    authority = _AUTHORITY.fullmatch(match["authority"])
    if authority is None:
        raise NotAllowedError("the URL has no valid host")
    port = int(authority["port"] or DEFAULT_PORTS[scheme])
    if port != DEFAULT_PORTS[scheme] and (port not in ports or not 0 < port <= _MAX_PORT):
        raise NotAllowedError(f"port {port} is not allowed")
    return Parts(scheme, _host(authority["host"]), port, _target(match["path"], match["query"]))


def _host(text: str) -> str:
    if text.startswith("["):
        try:
            return IPv6Address(text[1:-1]).compressed
        except ValueError:
            raise NotAllowedError("the URL has no valid host") from None
    try:
        name = ascii_host(text)
    except UnicodeError:
        name = ""
    if not _NAME.fullmatch(name):
        raise NotAllowedError("the URL has no valid host")
    return name


def _target(path: str, query: str | None) -> str:
    try:
        return percent_encoded((path or "/") + (query or ""))
    except UnicodeError:
        raise NotAllowedError("the URL is not valid Unicode") from None


def check_host(host: str, *, allowed: Iterable[str] = (), blocked: Iterable[str] = ()) -> None:
    """Applies the operator's lists: `a.example`, or `*.a.example` for a.example and all below it.

    An empty `allowed` allows every host; `blocked` wins. Raises `NotAllowedError`.
    """
    allowed = tuple(allowed)
    if any(_matches(host, pattern) for pattern in blocked) or (
        allowed and not any(_matches(host, pattern) for pattern in allowed)
    ):
        raise NotAllowedError("the operator of this server does not allow its host")


def _matches(host: str, pattern: str) -> bool:
    pattern = pattern.lower().removesuffix(".")
    if pattern.startswith("*."):
        return host == pattern[2:] or host.endswith(pattern[1:])
    return host == pattern


def check_address(address: str, *, allow_private: bool = False) -> None:
    """Refuses an address that is not global unicast. Raises `NotAllowedError`.

    `allow_private` lets loopback and private networks through, `_FORBIDDEN` ones never.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        raise NotAllowedError(NOT_PUBLIC) from None
    if not _reachable(parsed, allow_private):
        raise NotAllowedError(NOT_PUBLIC)


def _reachable(address: IPv4Address | IPv6Address, allow_private: bool) -> bool:
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return False
        if address in _MAPPED or address in _NAT64:
            return _reachable(IPv4Address(int(address) & 0xFFFFFFFF), allow_private)
    if any(address in network for network in _FORBIDDEN):
        return False
    if any(address in network for network in _PRIVATE):
        return allow_private
    return isinstance(address, IPv4Address) or address in _GLOBAL_UNICAST
