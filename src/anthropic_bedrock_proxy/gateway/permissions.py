"""What a key may ask for: models, tools, and from where. Without restrictions nothing is looked at.

Names are compared as shell patterns (`claude-*`), with case.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from ipaddress import ip_address, ip_network

from ..errors import PermissionDeniedError
from ..protocol.messages import MessagesRequest
from ..store.records import KeyRecord
from .routing import Route


def check_request(key: KeyRecord, request: MessagesRequest, route: Route) -> None:
    """Raises `PermissionDeniedError` for a model or a tool that the key may not use."""
    if key.allowed_models:
        names = [route.requested_model, route.base_model_id]
        if route.model is not None:
            names += [route.model.id, *route.model.aliases]
        if not _any_matches(names, key.allowed_models):
            raise PermissionDeniedError(
                f"model: this key may not use {route.requested_model[:200]}; it may use "
                f"{', '.join(key.allowed_models)}",
                error_code="model_not_allowed",
                should_retry=False,
            )
    if key.allowed_tools:
        for index, tool in enumerate(request.view.tools or ()):
            kind = tool.type if tool.type not in (None, "custom") else None
            if not _any_matches([name for name in (kind, tool.name) if name], key.allowed_tools):
                raise PermissionDeniedError(
                    f"tools.{index}: this key may not use {(kind or tool.name)[:200]}; it may use "
                    f"{', '.join(key.allowed_tools)}",
                    error_code="tool_not_allowed",
                    should_retry=False,
                )


def check_network(key: KeyRecord, client: str) -> None:
    """Raises `PermissionDeniedError` unless `client`, an IP address, may use the key."""
    if key.allowed_networks and not _is_within(client, key.allowed_networks):
        raise PermissionDeniedError(
            f"The API key {key.id} may not be used from this network address.",
            error_code="network_not_allowed",
            should_retry=False,
        )


def client_address(peer: str, forwarded: Iterable[str], trusted_networks: tuple[str, ...]) -> str:
    """The client's address: the nearest hop that is not one of our own proxies.

    `forwarded` are the values of X-Forwarded-For, which anybody may write: it counts only as far
    as it was written by trusted peers.
    """
    if not trusted_networks:
        return peer
    hops = [hop.strip() for value in forwarded for hop in value.split(",") if hop.strip()]
    address = peer
    while hops and _is_within(address, trusted_networks):
        address = hops.pop()
    return address


def _any_matches(names: Sequence[str], patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns for name in names)


@lru_cache(maxsize=1024)
def _is_within(address: str, networks: tuple[str, ...]) -> bool:
    try:
        client = ip_address(address)
    except ValueError:  # a name, or nothing: a Unix socket
        return False
    client = getattr(client, "ipv4_mapped", None) or client
    return any(client in ip_network(network, strict=False) for network in networks)
