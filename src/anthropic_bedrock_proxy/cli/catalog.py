"""What the commands about models, verdicts and places share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from ..config import Settings, SettingsError, load_settings
from ..store.base import Store, StoreError
from ..store.records import ModelMapping

if TYPE_CHECKING:
    from ..gateway.routing import Registry
    from ..upstream.control import ControlPlane

DEFAULT_PROVIDER: Final = "default"  # the place that the AWS_* settings describe


def load(config_file: Path | None) -> Settings:
    """The settings. Raises `click.ClickException`."""
    try:
        return load_settings(config_file)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error


def registry_for(settings: Settings, mappings: Sequence[ModelMapping]) -> Registry:
    """The models as a running proxy sees them."""
    from ..app import make_registry  # noqa: PLC0415  # heavy

    try:
        registry = make_registry(settings)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    registry.replace_stored(
        {mapping.alias: mapping.bedrock_id for mapping in mappings},
        {mapping.alias: mapping.dialect for mapping in mappings if mapping.dialect},
    )
    return registry


def control_plane(settings: Settings) -> ControlPlane:
    """The control endpoint of the configured account and region. Needs a running loop."""
    from ..app import make_control  # noqa: PLC0415  # heavy

    return make_control(settings, timeout_seconds=20.0)  # somebody waits who asked for it


async def check_provider(settings: Settings, store: Store, name: str | None) -> None:
    """Raises `StoreError` unless `name` is a place that requests may be sent to, or None."""
    if name is None or name == DEFAULT_PROVIDER or name in settings.failover.providers:
        return
    if await store.catalog.provider(name) is None:
        raise unknown_provider(name)


def unknown_provider(name: str) -> StoreError:
    """What is said of a name that no provider has."""
    return StoreError(f"no provider is called {name}; see `providers list`")
