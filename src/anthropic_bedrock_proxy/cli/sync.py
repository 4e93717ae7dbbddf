"""The models that Bedrock offers this account, for `models sync`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import click

from ..aws_errors import UpstreamRefusal
from ..config import Settings, SettingsError
from ..upstream.control import FoundationModel, InferenceProfile


def offered(settings: Settings) -> list[dict[str, Any]]:
    """Lists the models of the configured account and region. Raises `click.ClickException`."""

    async def ask() -> list[dict[str, Any]]:
        from ..app.bedrock import make_control, make_resolver  # noqa: PLC0415  # heavy

        # Somebody waits who asked for it.
        control = make_control(settings, make_resolver(settings), timeout_seconds=20.0)
        try:
            models = await control.list_foundation_models()
            profiles = await control.list_inference_profiles()
        finally:
            await control.close()
        return merge(models, profiles)

    try:
        return asyncio.run(ask())
    except UpstreamRefusal as refusal:
        raise click.ClickException(f"Amazon Bedrock gave no listing: {refusal}") from refusal
    except SettingsError as error:
        raise click.ClickException(str(error)) from error


def merge(
    models: Sequence[FoundationModel], profiles: Iterable[InferenceProfile]
) -> list[dict[str, Any]]:
    """Makes one entry for each model that writes text, by id.

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
            {
                "id": identifier,
                "name": model.name if model else titles[identifier],
                "provider": model.provider if model else identifier.partition(".")[0],
                "profiles": sorted(by_model.get(identifier, ())),
            }
        )
    return found
