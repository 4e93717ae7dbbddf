"""Models: those that clients may ask for, and the operator's names for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from ..errors import InvalidRequestError, NotFoundError, ProxyError
from ..models.chain_gaps import chain_gaps
from ..models.registry import Registry, Target
from ..models.table import Model
from ..store.base.catalog import ModelMapping
from . import patterns
from .call import AdminCall, Change, Nothing
from .documents import document, recorded

Dialect = Literal["invoke", "messages", "mantle", "converse"]
# Short enough for the key of an item in any store: DynamoDB takes 1 KB of UTF-8.
Alias = Annotated[str, Meta(max_length=200, pattern=patterns.ALIAS)]


class ModelQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A query of models; `all`: retired ones too."""

    all: bool = False


class NewMapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A name to give to a model."""

    alias: Alias
    bedrock_id: str
    dialect: Dialect | None = None


class Unmapped(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A name to take from a model."""

    alias: str


async def list_(call: AdminCall[Nothing, ModelQuery]) -> dict[str, Any]:
    """Lists models with the Bedrock ids that their requests go to, and the names given to them."""
    stored = await call.store.catalog.mappings()
    synced = await call.store.catalog.synced_mappings()
    listed = await call.store.catalog.models()
    fetched = synced.mappings if synced is not None else {}
    registry = call.site.registry(stored, fetched)
    found = {model.id: model.profiles for model in listed} if listed else None
    return {
        "models": [
            _model(registry, model, found)
            for model in registry.models
            if call.query.all or model.lifecycle != "retired"
        ],
        "mapped": _mapped(registry, stored, call.site.model_mapping, fetched),
        "chains": _chains(registry),
    }


async def map_(call: AdminCall[NewMapping, Nothing]) -> Change:
    """Lets clients ask for a model by another name."""
    body = call.body
    mapping = ModelMapping(
        alias=body.alias, bedrock_id=body.bedrock_id, dialect=body.dialect, updated_at=call.now
    )
    # Without stored aliases: an alias stands for a model, not for another alias.
    targets = targets_of(call.site.registry([mapping], {}), mapping.alias)
    if not targets:
        raise InvalidRequestError(await _why_not(call, body.bedrock_id))
    before = await _stored(call, mapping.alias)
    await call.store.catalog.put_mapping(mapping)
    dialects = [body.dialect] if body.dialect else _unique(target.dialect for target in targets)
    resolved = {"bedrock_model_id": targets[0].bedrock_model_id, "dialects": dialects}
    return Change(
        document=_mapping(mapping) | resolved,
        object=mapping.alias,
        before=recorded(before) if before else None,
        after=recorded(mapping),
    )


async def _why_not(call: AdminCall[Any, Any], name: str) -> str:
    """Says why requests for a name cannot be routed, and which may have been meant."""
    stored = await call.store.catalog.mappings()
    registry = call.site.registry(stored, {})
    if (stands_for := registry.names.mapping.get(name)) is not None:
        return f"{name[:200]} is an alias itself: map to what it stands for, {stands_for}"
    return (
        f"{name[:200]} cannot be routed: it is no model that `models list --all` shows, and no "
        f"Bedrock id, inference profile or ARN of a known family{registry.names.did_you_mean(name)}"
    )


async def unmap(call: AdminCall[Nothing, Unmapped]) -> Change:
    """Takes a name back."""
    alias = call.query.alias
    before = await _stored(call, alias)
    if before is None or not await call.store.catalog.remove_mapping(alias):
        known = alias in call.site.model_mapping
        hint = " in the store, but in DEFAULT_MODEL_MAPPING" if known else ""
        raise NotFoundError(f"{alias[:200]} is not mapped{hint}")
    return Change(document={"alias": alias, "removed": True}, object=alias, before=recorded(before))


async def _stored(call: AdminCall[Any, Any], alias: str) -> ModelMapping | None:
    mappings = await call.store.catalog.mappings()
    return next((mapping for mapping in mappings if mapping.alias == alias), None)


def _model(
    registry: Registry, model: Model, found: Mapping[str, Sequence[str]] | None
) -> dict[str, Any]:
    targets = targets_of(registry, model.id)
    return {
        **msgspec.to_builtins(model),
        "lacks": sorted(model.lacks),
        "bedrock_model_id": targets[0].bedrock_model_id if targets else None,
        "bedrock_model_ids": _unique(target.bedrock_model_id for target in targets),
        "dialects": _unique(target.dialect for target in targets),
        "found_profiles": None if found is None else list(found.get(model.bedrock, ())),
    }


def _mapped(
    registry: Registry,
    stored: Sequence[ModelMapping],
    configured: Mapping[str, str],
    fetched: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Lists the operator's names: those of the store, of the settings, then the fetched ones."""
    rows = [{**_mapping(mapping), "source": "store", "in_force": True} for mapping in stored]
    hidden = {mapping.alias for mapping in stored}
    for source, mapping in (("settings", configured), ("synced", fetched)):
        rows += [
            {"alias": alias, "bedrock_id": name, "dialect": None, "updated_at": None}
            | {"source": source, "in_force": alias not in hidden}
            for alias, name in mapping.items()
        ]
        hidden |= mapping.keys()
    for row in rows:
        targets = targets_of(registry, row["alias"]) if row["in_force"] else []
        row["bedrock_model_id"] = targets[0].bedrock_model_id if targets else None
    return rows


def _chains(registry: Registry) -> list[dict[str, Any]]:
    """Lists the failover chains, with the targets that are never reached."""
    gaps = chain_gaps(registry)
    return [
        {
            "model": name,
            "targets": [
                {"provider": target.provider, "dialect": target.dialect}
                | {"bedrock_model_id": target.bedrock_model_id}
                for target in ([] if name == "*" else targets_of(registry, name))
            ],
            "left_out": [
                {"provider": gap.provider or None, "reason": gap.reason}
                for gap in gaps
                if gap.chain == name
            ],
        }
        for name in registry.chains
    ]


def _mapping(mapping: ModelMapping) -> dict[str, Any]:
    fields = document(mapping)
    return {name: fields[name] for name in ("alias", "bedrock_id", "dialect", "updated_at")}


def targets_of(registry: Registry, name: str) -> Sequence[Target]:
    """Returns the targets of requests for a name; none if they cannot be routed."""
    try:
        return registry.route(name).targets
    except ProxyError:
        return ()


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
