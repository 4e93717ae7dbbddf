"""The executor of sandboxes as the settings describe it: its own options, and its walls."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Final

import msgspec

from ..sandbox.bundle import runner_command
from ..sandbox.isolation.base import RunnerLimits
from ..sandbox.isolation.select import IsolationOptions

if TYPE_CHECKING:
    from ..config.sections.sandbox import SandboxSettings
    from ..sandbox.address import ExecutorAddress
    from ..sandbox.executor.process import ExecutorOptions

_LOOK_SECONDS: Final = 1.0  # for an image that is being pulled
_UNITS: Final = {"b": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


def isolation_options(sandbox: SandboxSettings, name: str) -> IsolationOptions:
    """Returns the walls that the settings ask for; `name` is the executor's."""
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
    """Returns the executor that the settings ask for; without a `name` nobody finds its files.

    Raises `ModuleNotFoundError` without the packages of the extra `sandbox`.
    """
    from ..sandbox.executor.cell_run import CellSeconds  # noqa: PLC0415  # walls need none of it
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


async def try_walls(options: IsolationOptions, *, wait: bool = True) -> dict[str, object]:
    """Starts a sandbox that tries what must not work, and reports what came through.

    With `wait`, waits while an image is pulled.
    """
    from ..sandbox.isolation.base import IsolationError  # noqa: PLC0415  # who runs a proxy needs none of it
    from ..sandbox.isolation.probe import (  # noqa: PLC0415  # as above
        ProbeError,
        holes,
        outcomes,
        probing,
    )
    from ..sandbox.isolation.select import make_isolation  # noqa: PLC0415  # as above

    report: dict[str, object] = {"attempts": {}, "holes": []}
    with probing() as words:
        isolation = make_isolation(msgspec.structs.replace(options, command=tuple(words)))
        try:
            await isolation.open()
            while (state := await isolation.state()).status == "preparing" and wait:  # noqa: ASYNC110  # a port
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
