"""`sandboxd`: run the executor of sandboxes in the foreground."""

from __future__ import annotations

import platform
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING

import click

from ..sandbox.child import MISSING_PACKAGES
from .common import config_option

if TYPE_CHECKING:
    from ..config.sections.sandbox import SandboxSettings
    from ..sandbox.address import ExecutorAddress
    from ..sandbox.executor.process import ExecutorOptions
    from ..sandbox.isolation.select import IsolationOptions

_EXTRA = (
    "The executor needs packages that are not there: pip install 'anthropic-bedrock-proxy[sandbox]'"
)
_UNITS = {"b": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


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
        from ..sandbox.executor import process  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name not in {"aiohttp", "aiodocker"}:
            raise
        raise _MissingPackages(_EXTRA) from error
    from ..sandbox.bundle import runner_program  # noqa: PLC0415
    from ..sandbox.isolation.select import make_isolation  # noqa: PLC0415

    logs.configure(settings.server.log_level, settings.server.log_format)
    for warning in settings.warnings:
        click.echo(f"Warning: {warning}", err=True)
    name = settings.sandbox.name or f"{platform.node() or 'host'}-{address.mark}"
    isolation = isolation_options(settings.sandbox, name)
    options = executor_options(settings.sandbox, address, name, lock=lock, parent=parent)
    try:
        process.run(options, lambda: make_isolation(isolation), runner_program(), click.echo)
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


def isolation_options(sandbox: SandboxSettings, name: str) -> IsolationOptions:
    """Returns the walls that the settings ask for; `name` is the executor's."""
    from ..sandbox.bundle import runner_command  # noqa: PLC0415
    from ..sandbox.isolation.base import RunnerLimits  # noqa: PLC0415
    from ..sandbox.isolation.select import IsolationOptions  # noqa: PLC0415

    return IsolationOptions(
        kind=sandbox.isolation,
        name=name,
        image=sandbox.ptc_sandbox_image,
        runtime=sandbox.runtime,
        limits=RunnerLimits(
            memory_bytes=size_in_bytes(sandbox.ptc_memory_limit),
            disk_bytes=size_in_bytes(sandbox.disk_limit),
            cpus=sandbox.cpus,
            pids=sandbox.ptc_pids_limit,
        ),
        workspace=sandbox.standalone_workspace_dir,
        allow_degraded=sandbox.allow_degraded,
        command=tuple(runner_command()),
    )


def executor_options(
    sandbox: SandboxSettings,
    address: ExecutorAddress,
    name: str = "",
    *,
    lock: Path | None = None,
    parent: int | None = None,
) -> ExecutorOptions:
    """Returns the executor that the settings ask for; without a `name` nobody finds its files."""
    from ..sandbox.executor.cell_run import CellSeconds  # noqa: PLC0415
    from ..sandbox.executor.containers import ContainerBounds  # noqa: PLC0415
    from ..sandbox.executor.process import ExecutorOptions  # noqa: PLC0415
    from ..sandbox.executor.runner_link import RunnerBounds  # noqa: PLC0415
    from ..sandbox.executor.spool import SpoolBounds  # noqa: PLC0415

    file_bytes = sandbox.standalone_max_file_size_bytes
    return ExecutorOptions(
        listen=address,
        token=sandbox.token,
        warm=sandbox.warm,
        seconds=CellSeconds(
            python=sandbox.ptc_execution_timeout_seconds,
            bash=sandbox.standalone_bash_timeout_seconds,
            call=sandbox.ptc_session_timeout_seconds,
        ),
        containers=ContainerBounds(
            total=sandbox.max_containers,
            per_owner=sandbox.max_containers_per_key,
            idle_seconds=sandbox.idle_seconds,
        ),
        runners=RunnerBounds(max_file=file_bytes),
        spool=SpoolBounds.of_files(file_bytes, sandbox.file_seconds),
        files=_folder_of_files(name, lock),
        lock=lock,
        parent=parent,
    )


def _folder_of_files(name: str, lock: Path | None) -> Path | None:
    """Returns the folder in which the next start of this executor finds what it has left."""
    if lock is not None:
        return lock.with_name("files")
    return Path(gettempdir(), f"sandbox-files-{name}") if name else None


def size_in_bytes(text: str) -> int:
    """Returns the bytes of a size such as 256m; without a unit they are bytes, as with Docker."""
    unit = _UNITS.get(text[-1].lower())
    return int(text) if unit is None else int(text[:-1]) * unit
