"""`config`: the effective settings with their sources, and the files that document them."""

from __future__ import annotations

from pathlib import Path

import click

from ..config import SettingsError, describe, load_settings
from .terminal import say_exactly, say_json


@click.command("config")
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Read settings from this TOML file too.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--env-example", is_flag=True, help="Print .env.example instead.")
@click.option("--markdown", is_flag=True, help="Print the reference page instead.")
def command(config_file: Path | None, as_json: bool, env_example: bool, markdown: bool) -> None:
    """Print the effective settings, each with its source; secrets are masked.

    Settings come from the environment, .env, and the TOML file, in this order.
    """
    if env_example or markdown:
        text = describe.env_example() if env_example else describe.markdown()
        say_exactly(text)
        return
    try:
        settings = load_settings(config_file)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        say_json(describe.as_json(settings))
    else:
        say_exactly(describe.as_text(settings))
