"""Overrides: which beta flags, body fields and service tiers may be sent to which model.

An override stands over models.toml. It is the operator's, given here, or learned from refusals of
Bedrock's, and then shown with its evidence; the operator's is never replaced by a learned one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from ..errors import InvalidRequestError, NotFoundError, ProxyError
from ..models.geography import base_model_id
from ..models.registry import DEFAULT_PROVIDER, Registry
from ..store.base.catalog import ANY, CapabilityOverride
from . import patterns
from .call import AdminCall, Change, Nothing, Site, known_models
from .documents import document, recorded

Kind = Literal["beta", "field", "tier"]
Dialect = Literal["invoke", "messages", "mantle", "converse", "*"]
Flag = Annotated[str, Meta(pattern=patterns.FLAG)]


class BetaQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Overrides of a kind; with a model, also what the built-in table says of it."""

    kind: Kind = "beta"
    model: str | None = None


class NewOverride(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An override to give."""

    name: Flag
    allowed: bool
    kind: Kind = "beta"
    model: str | None = None  # None: every model
    dialect: Dialect = "*"
    reason: Annotated[str, Meta(max_length=1000)] = ""


class OverrideKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every override on a name; model and dialect narrow it down."""

    name: Flag
    kind: Kind = "beta"
    model: str | None = None
    dialect: Dialect | None = None


async def list_(call: AdminCall[Nothing, BetaQuery]) -> dict[str, Any]:
    """Lists the overrides of the store, then those of the settings and of the built-in table."""
    kind, model = call.query.kind, call.query.model
    registry = await known_models(call)
    ids = [*_ids(registry, model), ANY] if model else None
    table = list(_of_table(registry, model)) if model else []
    rows = [
        document(override)
        for override in await call.store.catalog.overrides()
        if override.kind == kind and (ids is None or override.model in ids)
    ]
    if kind == "beta":
        rows += [*_of_settings(call.site), *table]
    return {f"{kind}s": rows}


async def put(call: AdminCall[NewOverride, Nothing]) -> Change:
    """Gives an override."""
    body = call.body
    registry = await known_models(call)
    override = CapabilityOverride(
        model=_ids(registry, body.model or ANY, body.dialect)[0],
        dialect=body.dialect,
        kind=body.kind,
        name=body.name,
        allowed=body.allowed,
        source="operator",
        reason=body.reason,
        updated_at=call.now,
    )
    known = await call.store.catalog.overrides()
    before = next((old for old in known if old.key == override.key), None)
    await call.store.catalog.put_override(override)
    return Change(
        document=document(override),
        object=override.name,
        before=recorded(before) if before else None,
        after=recorded(override),
    )


async def forget(call: AdminCall[Nothing, OverrideKey]) -> Change:
    """Takes back every override on a name, learned or given."""
    query, catalog = call.query, call.store.catalog
    registry = await known_models(call)
    ids = _ids(registry, query.model) if query.model else None
    found = [
        override
        for override in await catalog.overrides()
        if (override.kind, override.name) == (query.kind, query.name)
        and (ids is None or override.model in ids)
        and query.dialect in (None, override.dialect)
    ]
    removed = [override for override in found if await catalog.remove_override(override.key)]
    if not removed:
        raise NotFoundError(f"there is no such override on the {query.kind} {query.name}")
    return Change(
        document={"forgotten": [document(override) for override in removed]},
        object=query.name,
        before={"forgotten": [recorded(override) for override in removed]},
    )


def _ids(registry: Registry, model: str, dialect: str = ANY) -> Sequence[str]:
    """Returns the ids that hold a model's overrides: bedrock-mantle may have one of its own.

    Raises `InvalidRequestError` for a model that is not known.
    """
    if model == ANY:
        return [ANY]
    try:
        route = registry.route(model)
        targets = list(route.targets)
        if dialect != ANY:
            targets = [registry.target(route, DEFAULT_PROVIDER, dialect)]
    except ProxyError as error:
        raise InvalidRequestError(
            f"{model[:200]} cannot be routed: see `models list --all`"
            f"{registry.names.did_you_mean(model)}"
        ) from error
    return list(dict.fromkeys(base_model_id(target.bedrock_model_id) for target in targets))


def _of_settings(site: Site) -> Iterator[dict[str, Any]]:
    for name in site.betas_passed:
        yield _row(name, allowed=True, source="settings", reason="BETA_HEADERS_PASSTHROUGH")
    for name in site.betas_blocked:
        yield _row(name, allowed=False, source="settings", reason="BETA_HEADERS_BLOCKLIST")
    for name, others in site.betas_mapped.items():
        reason = f"BETA_HEADER_MAPPING: sent as {', '.join(others)}"
        yield _row(name, allowed=True, source="settings", reason=reason)


def _of_table(registry: Registry, model: str) -> Iterator[dict[str, Any]]:
    route = registry.route(model)
    # The providers of a chain differ in neither.
    for target in {target.dialect: target for target in reversed(route.targets)}.values():
        for name in sorted(target.capabilities.betas | target.capabilities.on_use):
            row = _row(name, allowed=True, source="table", reason="")
            base = base_model_id(target.bedrock_model_id)
            yield {**row, "model": base, "dialect": target.dialect}


def _row(name: str, *, allowed: bool, source: str, reason: str) -> dict[str, Any]:
    return {
        "name": name,
        "model": ANY,
        "dialect": ANY,
        "allowed": allowed,
        "source": source,
        "reason": reason,
        "updated_at": None,
        "learned_at": None,
        "confirmations": 0,
        "witnesses": [],
        "expires_at": None,
    }
