"""`models`: what clients may ask for, the operator's own names, and what Bedrock has for us."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from ..errors import ProxyError
from ..protocol.capabilities import DIALECTS
from ..store.base import Store, StoreError
from ..store.records import BedrockModel, ModelMapping
from .catalog import load, registry_for
from .common import config_option, json_option, print_json, print_table, with_store
from .values import timestamp

if TYPE_CHECKING:
    from ..gateway.routing import Registry, Target
    from ..protocol.capabilities import Model


@click.group()
def command() -> None:
    """The models, and the names that clients know them by."""


@command.command("list")
@click.option("--all", "all_", is_flag=True, help="Retired models too.")
@json_option
@config_option
def list_(*, all_: bool, as_json: bool, config_file: Path | None) -> None:
    """List every model with the Bedrock id that its requests go to in this region."""
    settings = load(config_file)

    async def read(store: Store) -> tuple[Sequence[ModelMapping], Sequence[BedrockModel]]:
        return await store.catalog.mappings(), await store.catalog.models()

    stored, listed = with_store(config_file, read)
    registry = registry_for(settings, stored)
    found = {model.id: model.profiles for model in listed} if listed else None
    models = [
        _model(registry, model, found)
        for model in registry.models
        if all_ or model.lifecycle != "retired"
    ]
    mapped = _mapped(registry, settings.models.default_model_mapping, stored)
    if as_json:
        print_json({"models": models, "mapped": mapped})
        return
    print_table(
        ("ID", "BEDROCK ID", "DIALECTS", "STATE", "INPUT", "OUTPUT", "ALIASES"),
        [
            (
                row["id"],
                row["bedrock_model_id"],
                ",".join(row["dialects"]),
                row["lifecycle"],
                row["context_tokens"],
                row["output_tokens"],
                ", ".join(row["aliases"]),
            )
            for row in models
        ],
    )
    if mapped:
        click.echo()
        print_table(
            ("ALIAS", "STANDS FOR", "BEDROCK ID", "SOURCE"),
            [
                (row["alias"], row["bedrock_id"], row["bedrock_model_id"], _source(row))
                for row in mapped
            ],
        )


@command.command("map")
@click.argument("alias")
@click.argument("bedrock_id", metavar="BEDROCK_ID")
@click.option("--dialect", type=click.Choice(DIALECTS), help="Call it in this dialect.")
@json_option
@config_option
def map_(
    *, alias: str, bedrock_id: str, dialect: str | None, as_json: bool, config_file: Path | None
) -> None:
    """Let clients ask for BEDROCK_ID as ALIAS.

    BEDROCK_ID is a Bedrock model id, an inference profile, an ARN, or an Anthropic id.
    """
    if not alias.strip() or alias != alias.strip():
        raise click.BadParameter("an alias has no spaces around it", param_hint="ALIAS")
    settings = load(config_file)
    mapping = ModelMapping(
        alias=alias, bedrock_id=bedrock_id, dialect=dialect, updated_at=int(time.time())
    )
    # Alone: an alias stands for a model, not for another alias.
    targets = _targets(registry_for(settings, [mapping]), alias)
    if not targets:
        raise click.ClickException(
            f"{bedrock_id} cannot be routed: it is no model that `models list --all` shows, and no "
            "Bedrock id, inference profile or ARN of a known family"
        )
    with_store(config_file, lambda store: store.catalog.put_mapping(mapping))
    resolved = {
        "bedrock_model_id": targets[0].bedrock_model_id,
        "dialects": [dialect] if dialect else _unique(target.dialect for target in targets),
    }
    if as_json:
        print_json({**_mapping(mapping), **resolved})
    else:
        dialects = ", ".join(resolved["dialects"])
        click.echo(f"{alias} goes to {resolved['bedrock_model_id']} ({dialects})")


@command.command()
@click.argument("alias")
@json_option
@config_option
def unmap(*, alias: str, as_json: bool, config_file: Path | None) -> None:
    """Take back what `models map` did."""
    settings = load(config_file)

    async def remove(store: Store) -> None:
        if not await store.catalog.remove_mapping(alias):
            hint = " in the store, but in DEFAULT_MODEL_MAPPING"
            known = alias in settings.models.default_model_mapping
            raise StoreError(f"{alias} is not mapped{hint if known else ''}")

    with_store(config_file, remove)
    if as_json:
        print_json({"alias": alias, "removed": True})
    else:
        click.echo(f"{alias} is not mapped any more")


@command.command()
@json_option
@config_option
def sync(*, as_json: bool, config_file: Path | None) -> None:
    """Ask Bedrock which models and inference profiles this account has, and keep the answer."""
    from .sync import synced  # noqa: PLC0415  # heavy

    report = synced(load(config_file), config_file)
    if as_json:
        print_json(report)
        return
    print_table(
        ("ID", "BEDROCK ID", "PROFILES"),
        [(row["id"], row["bedrock"], _profiles(row)) for row in report["registry"]],
    )
    click.echo()
    click.echo(f"{len(report['models'])} models are offered here.")
    for word in ("new", "gone"):
        for name in report[word]:
            click.echo(f"{word:<5}{name}")


def _model(
    registry: Registry, model: Model, found: Mapping[str, Sequence[str]] | None
) -> dict[str, Any]:
    targets = _targets(registry, model.id)
    return {
        **msgspec.to_builtins(model),
        "lacks": sorted(model.lacks),
        "bedrock_model_id": targets[0].bedrock_model_id if targets else None,
        "bedrock_model_ids": _unique(target.bedrock_model_id for target in targets),
        "dialects": _unique(target.dialect for target in targets),
        "found_profiles": None if found is None else list(found.get(model.bedrock, ())),
    }


def _mapped(
    registry: Registry, configured: Mapping[str, str], stored: Sequence[ModelMapping]
) -> list[dict[str, Any]]:
    """The operator's names: of the store, then of the settings."""
    rows = [{**_mapping(mapping), "source": "store", "in_force": True} for mapping in stored]
    hidden = {mapping.alias for mapping in stored}
    rows += [
        {"alias": alias, "bedrock_id": name, "dialect": None, "updated_at": None}
        | {"source": "settings", "in_force": alias not in hidden}
        for alias, name in configured.items()
    ]
    for row in rows:
        targets = _targets(registry, row["alias"]) if row["in_force"] else []
        row["bedrock_model_id"] = targets[0].bedrock_model_id if targets else None
    return rows


def _mapping(mapping: ModelMapping) -> dict[str, Any]:
    return {
        "alias": mapping.alias,
        "bedrock_id": mapping.bedrock_id,
        "dialect": mapping.dialect,
        "updated_at": timestamp(mapping.updated_at),
    }


def _targets(registry: Registry, name: str) -> Sequence[Target]:
    """Where requests for a name go; nothing if they cannot be routed."""
    try:
        return registry.route(name).targets
    except ProxyError:
        return ()


def _unique(names: Any) -> list[str]:
    return list(dict.fromkeys(names))


def _source(row: Mapping[str, Any]) -> str:
    source: str = row["source"]
    return source if row["in_force"] else f"{source} (the store's holds)"


def _profiles(row: Mapping[str, Any]) -> str:
    return ", ".join(row["profiles"]) or ("on demand" if row["offered"] else "not offered")
