"""`sandboxd`: run the executor of sandboxes in the foreground."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import needs_extra
from ..sandbox.child import MISSING_PACKAGES
from .common import config_option
from .terminal import say

if TYPE_CHECKING:
    from ..sandbox.address import ExecutorAddress

_EXTRA = needs_extra("The executor", "sandbox")


class _MissingPackages(click.ClickException):
    exit_code = MISSING_PACKAGES


@click.command("sandboxd")
@click.option(
    "--listen",
    metavar="URL",
    help="unix:///PATH, or http://HOST:PORT with SANDBOX_TOKEN; else the first of SANDBOX_URL.",
)
@config_option
@click.option("--lock", hidden=True, type=click.Path(path_type=Path))
@click.option("--parent", hidden=True, type=int)
def command(
    *, listen: str | None, config_file: Path | None, lock: Path | None, parent: int | None
) -> None:
    """Run the executor of sandboxes, in which code that a model wrote runs.

    It reads the same settings as the proxy. Proxies reach it by SANDBOX_URL; without one, `serve`
    starts an executor of its own.
    """
    from ..config import SettingsError, load_settings  # noqa: PLC0415  # not needed for --help
    from ..telemetry import logs  # noqa: PLC0415

    try:
        settings = load_settings(config_file)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    address = _address(listen, settings.sandbox.url)
    try:
        from ..app.executor import executor_options, isolation_options  # noqa: PLC0415
        from ..sandbox.executor import process  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name not in {"aiohttp", "aiodocker"}:
            raise
        raise _MissingPackages(_EXTRA) from error
    from ..app.logs import log_format, make_output  # noqa: PLC0415
    from ..sandbox.bundle import runner_program  # noqa: PLC0415
    from ..sandbox.isolation.select import make_isolation  # noqa: PLC0415

    server = settings.server
    try:
        logs.configure(server.log_level, log_format(settings), make_output(settings))
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    for warning in settings.warnings:
        say(f"Warning: {warning}", err=True)
    name = settings.sandbox.name or f"{platform.node() or 'host'}-{address.mark}"
    isolation = isolation_options(settings.sandbox, name)
    options = executor_options(settings.sandbox, address, name, lock=lock, parent=parent)
    try:
        process.run(options, lambda: make_isolation(isolation), runner_program(), say)
    except process.ListenError as error:
        raise click.ClickException(str(error)) from error


def _address(listen: str | None, url: str | None) -> ExecutorAddress:
    from ..sandbox.address import ExecutorAddress, parse_addresses  # noqa: PLC0415

    try:
        if listen is not None:
            return ExecutorAddress.from_url(listen)
        if url is not None:
            return parse_addresses(url)[0]
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--listen") from error
    raise click.UsageError("say where to listen: --listen unix:///PATH, or SANDBOX_URL")
