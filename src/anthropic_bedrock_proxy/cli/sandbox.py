"""`sandbox`: images for sandboxes, and whether their walls hold on this machine."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import click

from .common import config_option, json_option
from .terminal import say, say_exactly, say_json

_FOLDER = Path(__file__).parents[3] / "deploy" / "docker" / "sandbox"


@click.group()
def command() -> None:
    """Sandboxes for code that models write."""


@command.command()
@click.option(
    "--variant", type=click.Choice(["minimal", "full"]), default="minimal", show_default=True
)
@click.option("--registry-free", is_flag=True, help="From Debian's packages, without a registry.")
@click.option("--tag", help="Name of the image.")
@click.option("--base", help="Image to start from, in place of the Dockerfile's.")
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where build.sh and the Dockerfiles are, if not in this source tree.",
)
def build(
    *, variant: str, registry_free: bool, tag: str | None, base: str | None, folder: Path | None
) -> None:
    """Build an image for sandboxes with Docker."""
    script = (folder or _FOLDER) / "build.sh"
    if not script.exists():
        raise click.ClickException(
            "the Dockerfiles are in the source tree, in deploy/docker/sandbox: say --folder"
        )
    words = [str(script), "--variant", variant]
    for option, value in (("--tag", tag), ("--base", base)):
        words += [option, value] if value else []
    words += ["--registry-free"] if registry_free else []
    try:
        # Our own script.
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603
    except OSError as error:
        raise click.ClickException(f"{script} cannot be run: {error.strerror}") from error
    if done.returncode != 0:
        hint = "" if registry_free else "; without a registry: --registry-free"
        raise click.ClickException(f"the image could not be built{hint}")
    say_exactly(f"{done.stdout.strip()}\n")


@command.command()
@click.option("--isolation", help="In place of SANDBOX_ISOLATION: auto, docker or sandlock.")
@click.option("--image", help="In place of PTC_SANDBOX_IMAGE.")
@click.option("--runtime", help="In place of SANDBOX_RUNTIME.")
@click.option("--allow-degraded", is_flag=True, help="As SANDBOX_ALLOW_DEGRADED=true.")
@config_option
@json_option
def check(
    *,
    isolation: str | None,
    image: str | None,
    runtime: str | None,
    allow_degraded: bool,
    config_file: Path | None,
    as_json: bool,
) -> None:
    """Start a sandbox that tries what must not work."""
    from ..config import SettingsError, load_settings  # noqa: PLC0415  # not needed for --help

    given = {
        "SANDBOX_ISOLATION": isolation,
        "PTC_SANDBOX_IMAGE": image,
        "SANDBOX_RUNTIME": runtime,
        "SANDBOX_ALLOW_DEGRADED": "true" if allow_degraded else None,
    }
    try:
        settings = load_settings(config_file, {k: v for k, v in given.items() if v is not None})
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    from ..app.executor import isolation_options, try_walls  # noqa: PLC0415

    report = asyncio.run(try_walls(isolation_options(settings.sandbox, "check")))
    if as_json:
        say_json(report)
    else:
        _print(report)
    if report["status"] != "ready" or report["holes"]:
        raise click.exceptions.Exit(1)


def _print(report: dict[str, object]) -> None:
    say(f"{report['isolation']}: {report['status']}")
    for line in str(report["reason"]).splitlines():
        say(f"  {line}")
    for title in ("details", "attempts"):
        lines = report[title]
        assert isinstance(lines, dict)  # noqa: S101  # for the types
        for name, value in lines.items():
            say(f"  {name}: {value}")
    if report["holes"]:
        say("These walls do not hold: do not run foreign code behind them.")
    elif report["status"] == "ready":
        say("  None of the attempts came through: these walls hold.")
