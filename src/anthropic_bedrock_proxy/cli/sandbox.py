"""`sandbox`: images for sandboxes, and whether their walls hold on this machine."""

from __future__ import annotations

import asyncio
import subprocess
import time
from pathlib import Path

import click

from .common import json_option, print_json

_FOLDER = Path(__file__).parents[3] / "deploy" / "docker" / "sandbox"

_LOOK_SECONDS = 1.0  # for an image that is being pulled


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
    """Build an image for sandboxes with Docker, and print its name for PTC_SANDBOX_IMAGE."""
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
        raise click.ClickException("the image could not be built")
    click.echo(done.stdout.strip())


@command.command()
@click.option(
    "--isolation",
    type=click.Choice(["auto", "docker", "sandlock"]),
    default="auto",
    show_default=True,
    envvar="SANDBOX_ISOLATION",
)
@click.option("--image", default="python:3.11-slim", show_default=True, envvar="PTC_SANDBOX_IMAGE")
@click.option("--runtime", envvar="SANDBOX_RUNTIME", help="Runtime of Docker, such as runsc.")
@click.option("--allow-degraded", is_flag=True, envvar="SANDBOX_ALLOW_DEGRADED")
@json_option
def check(
    *, isolation: str, image: str, runtime: str | None, allow_degraded: bool, as_json: bool
) -> None:
    """Start a sandbox that tries what must not work, and say what came of it."""
    report = asyncio.run(_check(isolation, image, runtime, allow_degraded=allow_degraded))
    if as_json:
        print_json(report)
    else:
        _print(report)
    if report["status"] != "ready" or report["holes"]:
        raise click.exceptions.Exit(1)


async def _check(
    kind: str, image: str, runtime: str | None, *, allow_degraded: bool
) -> dict[str, object]:
    from ..sandbox.isolation.base import IsolationError  # noqa: PLC0415  # not needed for --help
    from ..sandbox.isolation.probe import (  # noqa: PLC0415  # as above
        ProbeError,
        holes,
        outcomes,
        probing,
    )
    from ..sandbox.isolation.select import (  # noqa: PLC0415  # as above
        IsolationOptions,
        make_isolation,
    )

    report: dict[str, object] = {"attempts": {}, "holes": []}
    with probing() as words:
        isolation = make_isolation(
            IsolationOptions(
                kind=kind,
                name="check",
                image=image,
                runtime=runtime,
                allow_degraded=allow_degraded,
                command=tuple(words),
            )
        )
        try:
            await isolation.open()
            while (state := await isolation.state()).status == "preparing":  # noqa: ASYNC110  # a port
                await asyncio.sleep(_LOOK_SECONDS)
            report |= {"isolation": isolation.name, "status": state.status}
            report |= {"reason": state.reason, "details": state.details}
            if state.status == "ready":
                began = time.monotonic()
                told = await outcomes(await isolation.start())
                report["milliseconds"] = round((time.monotonic() - began) * 1000)
                bare = state.details.get("walls") == "degraded"
                report |= {"attempts": told, "holes": holes(told, bare=bare)}
        except (IsolationError, ProbeError) as error:
            report |= {"status": "unavailable", "reason": str(error)}
        finally:
            await isolation.close()
    return report


def _print(report: dict[str, object]) -> None:
    click.echo(f"{report['isolation']}: {report['status']}")
    if report["reason"]:
        click.echo(f"  {report['reason']}")
    for title in ("details", "attempts"):
        lines = report[title]
        assert isinstance(lines, dict)  # noqa: S101  # for the types
        for name, value in lines.items():
            click.echo(f"  {name}: {value}")
    if report["holes"]:
        click.echo("These walls do not hold: do not run foreign code behind them.")
