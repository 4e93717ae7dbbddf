"""NO_PROXY: the hosts that are reached without the egress proxy.

There is no standard; this is what curl and Go agree on. Entries are separated by commas or blanks:

    *                     everything
    example.com           the host and all below it; `.example.com` and `*.example.com` are the same
    example.com:8443      the same, on that port only
    10.0.0.1, [::1]:443   an address, with a port or without; ::1 needs brackets only for a port
    10.0.0.0/8            hosts that are given as an address of this network

    >>> bypasses("internal.example:8443, 10.0.0.0/8", "a.internal.example", 8443)
    True
    >>> bypasses("internal.example:8443, 10.0.0.0/8", "a.internal.example", 443)
    False
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

_ENTRY: Final = re.compile(r"(?:\[(?P<address>[^\]]*)\]|(?P<name>[^:]*))(?::(?P<port>\d+))?")


def bypasses(no_proxy: str, host: str, port: int) -> bool:
    """Tells whether `no_proxy` names the host, on this port."""
    entries = [entry for entry in re.split(r"[,\s]+", no_proxy.lower()) if entry]
    host = host.lower().rstrip(".")
    if "*" in entries:
        return True
    address = _address(host) if host[-1:].isdigit() or ":" in host else None
    return any(_names(entry, host, port, address) for entry in entries)


def _names(entry: str, host: str, port: int, address: IPv4Address | IPv6Address | None) -> bool:
    if address is not None and "/" in entry:
        return _contains(entry, address)
    match = _ENTRY.fullmatch(entry)
    if match is None:  # an IPv6 address without brackets
        return address is not None and address == _address(entry)
    if match["port"] and int(match["port"]) != port:
        return False
    name = match["address"] or match["name"] or ""
    if address is not None:
        return address == _address(name)
    name = name.removeprefix("*").strip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _address(text: str) -> IPv4Address | IPv6Address | None:
    from ipaddress import ip_address  # noqa: PLC0415  # hosts of AWS are names

    try:
        return ip_address(text)
    except ValueError:
        return None


def _contains(network: str, address: IPv4Address | IPv6Address) -> bool:
    from ipaddress import ip_network  # noqa: PLC0415  # as above

    try:
        return address in ip_network(network, strict=False)
    except ValueError:
        return False
