"""`models list`: what clients may ask for."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from .common import config_option, json_option, print_json, print_table


@click.group()
def command() -> None:
    """The models the proxy knows."""


@command.command("list")
@config_option
@json_option
def list_models(config_file: Path | None, as_json: bool) -> None:
    """Every model with the Bedrock id that its requests go to."""
    from ..app import make_registry  # noqa: PLC0415  # heavy
    from ..config import SettingsError, load_settings  # noqa: PLC0415

    try:
        registry = make_registry(load_settings(config_file))
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    rows = [
        {
            **msgspec.to_builtins(model),
            "bedrock_model_id": registry.route(model.id).bedrock_model_id,
        }
        for model in registry.models
    ]
    if as_json:
        print_json({"models": rows})
    else:
        print_table(
            ("ID", "BEDROCK ID", "STATE"),
            [(row["id"], row["bedrock_model_id"], row["lifecycle"]) for row in rows],
        )
