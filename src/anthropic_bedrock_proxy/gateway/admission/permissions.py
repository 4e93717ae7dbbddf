"""Checks what a key may ask for: models, tools, and from where. Without restrictions, nothing.

Names are compared as shell patterns (`claude-*`), with case.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, Final

from msgspec import UNSET, Raw

from ...errors import InvalidRequestError, PermissionDeniedError
from ...models.registry import Route
from ...protocol.raw import MISSHAPEN, UNEXPECTED_FORM, decode, decode_raws
from ...protocol.request.messages import MessagesRequest
from ...protocol.request.views import MessageView
from ...store.base.callers import Caller, KeyRecord
from ...tools.toolset import PROVIDED_CODE

NOT_ALLOWED: Final = "model_not_allowed"  # the code of the error
_DEFINING: Final = frozenset(("compaction", "tool_addition"))  # blocks that may bring tools


def check_request(key: KeyRecord, request: MessagesRequest, route: Route) -> None:
    """Raises `InvalidRequestError` for a model, `PermissionDeniedError` for a tool not allowed.

    Of an opaque route, the key must be allowed something that may be behind it: `check_model`
    decides once that is known.
    """
    if key.allowed_models:
        _check_model(key, route, route.possible_names)
    if key.allowed_tools:
        for path, names in _tools(request):
            if not _any_matches(names, key.allowed_tools):
                name = names[0][:200] if names else "a tool without a name"
                raise PermissionDeniedError(
                    f"{path}: this key may not use {name}; it may use "
                    f"{', '.join(key.allowed_tools)}",
                    error_code="tool_not_allowed",
                    should_retry=False,
                )


def check_model(key: KeyRecord, route: Route) -> None:
    """Raises `InvalidRequestError` for a model that the key may not use."""
    if key.allowed_models:
        _check_model(key, route, ())


def allows(patterns: Sequence[str], route: Route, possible_names: Sequence[str] = ()) -> bool:
    """Tells whether a model may be used that may be asked for by any name of `patterns`."""
    names = [route.requested_model, route.base_model_id, *possible_names]
    if route.model is not None:
        names += [route.model.id, *route.model.aliases]
    return _any_matches(names, patterns)


def may_run_code(caller: Caller | None) -> bool:
    """Tells whether code may be run for a caller that has not asked for it, but for its tools."""
    return (
        caller is None
        or not caller.key.allowed_tools
        or _any_matches(PROVIDED_CODE, caller.key.allowed_tools)
    )


def _check_model(key: KeyRecord, route: Route, possible_names: Sequence[str]) -> None:
    if not allows(key.allowed_models, route, possible_names):
        raise InvalidRequestError(  # Claude Code reads any 403 as a failed log-in
            f"model: this key may not use {route.requested_model[:200]}; it may use "
            f"{', '.join(key.allowed_models)}",
            error_code=NOT_ALLOWED,
        )


def check_network(key: KeyRecord, client: str) -> None:
    """Raises `PermissionDeniedError` unless `client`, an IP address, may use the key."""
    if key.allowed_networks and not _is_within(client, key.allowed_networks):
        raise PermissionDeniedError(
            f"The API key {key.id} may not be used from this network address.",
            error_code="network_not_allowed",
            should_retry=False,
        )


_LONGEST_ADDRESS: Final = 64  # of IPv6, with a zone or a port


def client_address(peer: str, forwarded: Iterable[str], trusted_networks: tuple[str, ...]) -> str:
    """Returns the client's address: the nearest hop that is not one of our own proxies.

    `forwarded` are the values of X-Forwarded-For, which anybody may write: it counts only as far
    as it was written by trusted peers.
    """
    if not trusted_networks:
        return peer
    hops = [hop.strip() for value in forwarded for hop in value.split(",") if hop.strip()]
    if any(len(hop) > _LONGEST_ADDRESS for hop in hops):
        return peer  # no address is so long: nothing that is said here is believed
    address = peer
    # A peer on a Unix socket has no address: whoever may connect there is our own.
    while hops and (not address or _is_within(address, trusted_networks)):
        address = _without_port(hops.pop())
    return address


def _without_port(hop: str) -> str:
    """Returns the address of a hop, which some balancers write with a port (`[::1]:80`)."""
    hop = hop.strip('"')
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    name, _, port = hop.partition(":")
    return name if port.isdecimal() else hop


def _tools(request: MessagesRequest) -> Iterator[tuple[str, list[str]]]:
    """Yields the path of every tool, wherever the request defines it, and its names."""
    for index, tool in enumerate(request.view.tools or ()):
        tree: dict[str, Any] = {"type": tool.type, "name": tool.name}
        if tool.custom is not UNSET:
            tree["custom"] = _decoded(tool.custom, f"tools.{index}.custom")
        yield f"tools.{index}", _names(tree)
    messages = request.view.messages
    defining = [index for index, message in enumerate(messages) if _defines(message)]
    if not defining:
        return
    raws = decode_raws(request.fields["messages"])
    for index in defining:
        for position, block in enumerate(_decoded(raws[index], f"messages.{index}")["content"]):
            for definition in _definitions(block):
                yield f"messages.{index}.content.{position}", _names(definition)


def _decoded(raw: Raw, path: str) -> Any:
    """Decodes a value. Raises `InvalidRequestError` for an unreadable one (an endless number)."""
    try:
        return decode(raw)
    except MISSHAPEN:
        raise InvalidRequestError(f"{path}: {UNEXPECTED_FORM}") from None


def _names(tool: dict[str, Any]) -> list[str]:
    wrapper = tool.get("custom")  # of early clients; it stands over what is around it
    if isinstance(wrapper, dict):
        tool = tool | wrapper
    kind = tool.get("type")
    names = (kind if kind != "custom" else None, tool.get("name"))
    return [name for name in names if isinstance(name, str) and name]


def _defines(message: MessageView) -> bool:
    content = message.content
    return isinstance(content, list) and any(block.type in _DEFINING for block in content)


def _definitions(block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    changes = block.get("tool_changes")
    for change in (block, *(changes if isinstance(changes, list) else ())):
        tool = change.get("tool", change) if isinstance(change, dict) else None
        definition = tool.get("definition") if isinstance(tool, dict) else None
        if isinstance(definition, dict):
            yield definition


def _any_matches(names: Sequence[str], patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns for name in names)


@lru_cache(maxsize=1024)
def _is_within(address: str, networks: tuple[str, ...]) -> bool:
    try:
        client = ip_address(address)
    except ValueError:  # a name, or nothing: a Unix socket
        return False
    client = getattr(client, "ipv4_mapped", None) or client
    return any(_contains(network, client) for network in networks)


def _contains(network: str, client: IPv4Address | IPv6Address) -> bool:
    try:
        return client in ip_network(network, strict=False)
    except ValueError:  # no network: whoever wrote it into the store did not ask us
        return False
