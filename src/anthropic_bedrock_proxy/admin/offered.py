"""Bedrock's own listing of models and inference profiles, as it was last asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ..errors import InvalidRequestError
from ..store.base.catalog import BedrockModel
from .call import AdminCall, Change, SyncQuery

Id = Annotated[str, Meta(min_length=1, max_length=200)]


class OfferedModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model that Bedrock lists for the account."""

    id: Id
    name: str
    provider: str
    profiles: tuple[str, ...] = ()


class Offer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole listing of the account's models, to be stored."""

    models: tuple[OfferedModel, ...]


async def sync(call: AdminCall[Offer, SyncQuery]) -> Change | dict[str, Any]:
    """Stores Bedrock's listing, and returns how it differs from the last one."""
    found = [
        BedrockModel(
            id=model.id,
            name=model.name,
            provider=model.provider,
            profiles=model.profiles,
            synced_at=call.now,
        )
        for model in call.body.models
    ]
    if len({model.id for model in found}) != len(found):
        raise InvalidRequestError("models: a listing names every model once")
    difference = _difference(await call.store.catalog.models(), found)
    profiles = {model.id: list(model.profiles) for model in found}
    report = {
        "models": [msgspec.to_builtins(model) for model in found],
        **difference,
        "registry": [
            {
                "id": model.id,
                "bedrock": model.bedrock,
                "offered": model.bedrock in profiles,
                "profiles": profiles.get(model.bedrock, []),
            }
            for model in call.site.registry([], {}).models
        ],
        "stored": not call.query.dry_run,
    }
    if call.query.dry_run:
        return report
    await call.store.catalog.replace_models(found)
    return Change(document=report, object="models", after=difference)


def _difference(last: Sequence[BedrockModel], found: Sequence[BedrockModel]) -> dict[str, Any]:
    """Tells what came and went: ids of models and profiles; and which models have other profiles.

    Of those, requests may go to another profile from now on.
    """
    old, new = _names(last), _names(found)
    before = {model.id: model.profiles for model in last}
    return {
        "new": sorted(new - old),
        "gone": sorted(old - new),
        "changed": [
            _changed(model.id, before[model.id], model.profiles)
            for model in found
            if model.id in before and set(before[model.id]) != set(model.profiles)
        ],
    }


def _changed(model: str, before: Sequence[str], after: Sequence[str]) -> Mapping[str, Any]:
    return {
        "id": model,
        "new_profiles": sorted(set(after) - set(before)),
        "gone_profiles": sorted(set(before) - set(after)),
    }


def _names(models: Iterable[BedrockModel]) -> set[str]:
    """Returns the ids in a listing that can come and go: models and profiles."""
    return {name for model in models for name in (model.id, *model.profiles)}
