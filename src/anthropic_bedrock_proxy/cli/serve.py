"""`serve` on the command line: its options and its help. Its steps are in `start.py`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from .start import StartError, start


@click.command()
@click.option("--host", help="Address to listen on (HOST, default 127.0.0.1).")
@click.option("--port", help="Port to listen on (PORT, default 8000; 0 picks one).")
@click.option("--workers", help="Processes (WORKERS, default 1).")
@click.option("--demo", is_flag=True, help="Use the built-in Bedrock simulator as upstream.")
@click.option("--demo-without-aws", is_flag=True, help="Like --demo, if no AWS credentials exist.")
@click.option(
    "--config",
    "config_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Settings in TOML, below the environment and .env.",
)
def command(**options: Any) -> None:
    """Run the proxy."""
    try:
        sys.exit(start(**options))
    except StartError as error:
        raise click.ClickException(str(error)) from error
