"""The table of operations: method and path, scope, body and query. The only such list.

The HTTP adapter, the command line, the tests of who may do what and the reference page are made
from it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from . import (
    audit,
    betas,
    budgets,
    keys,
    mapping_sync,
    models,
    offered,
    price_sync,
    prices,
    providers,
    requests,
    usage,
)
from .call import AdminCall, Nothing, SyncQuery
from .owners import TEAMS, USERS, ChangedOwner, NewOwner
from .scopes import EVERYTHING, SCOPES

PREFIX: Final = "/admin/api/"


class Operation(msgspec.Struct, frozen=True):
    """One operation; `name` is what the audit log calls it."""

    name: str
    method: str
    path: str  # a template: {id} stands for one percent-encoded segment
    scope: str
    run: Callable[[AdminCall[Any, Any]], Awaitable[Any]]
    body: type[msgspec.Struct] = Nothing
    query: type[msgspec.Struct] = Nothing

    def __post_init__(self) -> None:
        """Raises `ValueError` for an operation without a scope, or with an unknown one."""
        if self.scope not in SCOPES - {EVERYTHING}:
            raise ValueError(f"{self.name} has no scope")
        if self.writes != self.scope.endswith(":write"):
            raise ValueError(f"{self.name}: {self.method} does not go with {self.scope}")

    @property
    def writes(self) -> bool:
        """Tells whether it changes something, and so leaves a record in the audit log."""
        return self.method != "GET"


def _get(
    name: str,
    path: str,
    run: Callable[[AdminCall[Any, Any]], Awaitable[Any]],
    query: type[msgspec.Struct] = Nothing,
) -> Operation:
    return Operation(name, "GET", PREFIX + path, f"{name.partition('.')[0]}:read", run, query=query)


def _write(
    name: str,
    request: str,
    run: Callable[[AdminCall[Any, Any]], Awaitable[Any]],
    *,
    body: type[msgspec.Struct] = Nothing,
    query: type[msgspec.Struct] = Nothing,
) -> Operation:
    """Makes a writing operation; `request` is the method and the path after `PREFIX`."""
    method, _, path = request.partition(" ")
    scope = f"{name.partition('.')[0]}:write"
    return Operation(name, method, PREFIX + path, scope, run, body=body, query=query)


OPERATIONS: Final[tuple[Operation, ...]] = (
    _get("keys.list", "keys", keys.list_, keys.KeyQuery),
    _write("keys.create", "POST keys", keys.create, body=keys.NewKey, query=keys.KeyCreation),
    _get("keys.get", "keys/{id}", keys.get),
    _write("keys.update", "PATCH keys/{id}", keys.update, body=keys.ChangedKey),
    _write("keys.revoke", "POST keys/{id}/revoke", keys.revoke),
    _write("keys.reactivate", "POST keys/{id}/reactivate", keys.reactivate),
    _write("keys.rotate", "POST keys/{id}/rotate", keys.rotate, body=keys.Rotation),
    *(
        operation
        for name, owners in (("users", USERS), ("teams", TEAMS))
        for operation in (
            _get(f"{name}.list", name, owners.list),
            _write(f"{name}.create", f"POST {name}", owners.create, body=NewOwner),
            _get(f"{name}.get", f"{name}/{{id}}", owners.get),
            _write(f"{name}.update", f"PATCH {name}/{{id}}", owners.update, body=ChangedOwner),
            _write(f"{name}.remove", f"DELETE {name}/{{id}}", owners.remove),
        )
    ),
    _get("usage.totals", "usage", usage.totals, usage.Sums),
    _get("usage.records", "usage/records", usage.records, usage.Export),
    _get("requests.get", "requests/{id}", requests.get),
    _get("budgets.standing", "budgets/{kind}/{id}", budgets.standing),
    _get("budgets.history", "budgets/{kind}/{id}/history", budgets.history),
    _get("prices.list", "prices", prices.list_, query=prices.PriceQuery),
    _write("prices.set", "PUT prices", prices.set_, body=prices.NewPrice),
    _write(
        "prices.sync",
        "PUT prices/synced",
        price_sync.sync,
        body=price_sync.NewPriceList,
        query=SyncQuery,
    ),
    _write("prices.remove", "DELETE prices", prices.remove, query=prices.PriceKey),
    _get("models.list", "models", models.list_, models.ModelQuery),
    _write("models.map", "PUT models/mappings", models.map_, body=models.NewMapping),
    _write("models.unmap", "DELETE models/mappings", models.unmap, query=models.Unmapped),
    _write(
        "models.sync_mappings",
        "PUT models/mappings/synced",
        mapping_sync.sync,
        body=mapping_sync.NewMappings,
        query=SyncQuery,
    ),
    _write(
        "models.sync",
        "PUT models/offered",
        offered.sync,
        body=offered.Offer,
        query=SyncQuery,
    ),
    _get("betas.list", "betas", betas.list_, betas.BetaQuery),
    _write("betas.put", "PUT betas", betas.put, body=betas.NewOverride),
    _write("betas.forget", "DELETE betas", betas.forget, query=betas.OverrideKey),
    _get("providers.list", "providers", providers.list_),
    _write("providers.add", "POST providers", providers.add, body=providers.NewProvider),
    _write("providers.remove", "DELETE providers/{name}", providers.remove),
    _write("providers.enable", "POST providers/{name}/enable", providers.enable),
    _write("providers.disable", "POST providers/{name}/disable", providers.disable),
    _get("audit.list", "audit", audit.list_, audit.Trail),
)


def by_path() -> dict[str, dict[str, Operation]]:
    """Returns the operations by path template and method, for a router."""
    found: dict[str, dict[str, Operation]] = {}
    for operation in OPERATIONS:
        found.setdefault(operation.path, {})[operation.method] = operation
    return found
