"""`models sync`: what Bedrock offers this account, beside what the registry expects."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from ..config import Settings
from ..errors import UpstreamRefusal
from ..store.base import Store
from ..store.records import BedrockModel
from ..upstream.control import FoundationModel, InferenceProfile
from .catalog import control_plane, registry_for
from .common import with_store


def synced(settings: Settings, config_file: Path | None) -> dict[str, Any]:
    """Asks, stores, and reports the difference. Raises `click.ClickException`."""

    async def work(store: Store) -> tuple[Sequence[BedrockModel], Sequence[BedrockModel]]:
        control = control_plane(settings)
        try:
            models = await control.list_foundation_models()
            profiles = await control.list_inference_profiles()
        finally:
            await control.close()
        found = merge(models, profiles, now=int(time.time()))
        before = await store.catalog.models()
        await store.catalog.replace_models(found)
        return before, found

    try:
        before, found = with_store(config_file, work)
    except UpstreamRefusal as refusal:
        raise click.ClickException(f"Amazon Bedrock gave no listing: {refusal}") from refusal
    old, new = _names(before), _names(found)
    profiles = {model.id: list(model.profiles) for model in found}
    return {
        "models": [msgspec.to_builtins(model) for model in found],
        "new": sorted(new - old),
        "gone": sorted(old - new),
        "registry": [
            {
                "id": model.id,
                "bedrock": model.bedrock,
                "offered": model.bedrock in profiles,
                "profiles": profiles.get(model.bedrock, []),
            }
            for model in registry_for(settings, []).models
        ],
    }


def merge(
    models: Sequence[FoundationModel], profiles: Iterable[InferenceProfile], *, now: int
) -> list[BedrockModel]:
    """One entry for each model that writes text, by id; `now` in epoch seconds.

    A profile may lead to a model that the region itself does not list.
    """
    by_model: dict[str, list[str]] = {}
    titles: dict[str, str] = {}
    for profile in profiles:
        # An application profile is only known by its ARN.
        name = profile.arn if profile.type == "APPLICATION" else profile.id
        by_model.setdefault(profile.base_model_id, []).append(name)
        titles.setdefault(profile.base_model_id, profile.name)
    silent = {model.id for model in models if "TEXT" not in model.output_modalities}
    listed = {model.id: model for model in models}
    found = []
    for identifier in sorted((listed.keys() | by_model.keys()) - silent - {""}):
        model = listed.get(identifier)
        found.append(
            BedrockModel(
                id=identifier,
                name=model.name if model else titles[identifier],
                provider=model.provider if model else identifier.partition(".")[0],
                profiles=tuple(sorted(by_model.get(identifier, ()))),
                synced_at=now,
            )
        )
    return found


def _names(models: Iterable[BedrockModel]) -> set[str]:
    """Everything in a listing that can come and go: models and profiles."""
    return {name for model in models for name in (model.id, *model.profiles)}
