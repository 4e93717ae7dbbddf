"""Containers that have to go: those whose removal failed, and those that an executor has left.

What a daemon that is away cannot remove is kept in mind, and removed when it is back; what nobody
has in mind any more is found by its labels.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from .config import LABEL, LABEL_BOOT, LABEL_EXECUTOR

if TYPE_CHECKING:
    from aiodocker import Docker

REMOVE_SECONDS: Final = 15.0
_MOST_LEFTOVERS: Final = 10_000
_MISSING: Final = 404
_IN_PROGRESS: Final = 409  # it is being removed already


class Leftovers:
    """The containers of one executor that have to go. Belongs to one event loop."""

    def __init__(self, docker: Callable[[], Docker], executor: str, boot: str) -> None:
        """`executor` and `boot` are what its containers are labelled with."""
        self._docker = docker
        self._executor = executor
        self._boot = boot
        self._leftovers: dict[str, int] = {}  # how often each may be missed yet
        self._removing: set[str] = set()  # of these, those that somebody waits for already
        self.swept = False

    async def remove(self, name: str, misses: int = 1) -> None:
        """Removes a container by its id or name; when that fails, or it is not there yet, later."""
        if len(self._leftovers) < _MOST_LEFTOVERS:  # the next `open` finds any by its label
            self._leftovers[name] = misses
        self._removing.add(name)
        try:
            with suppress(Exception):  # it is a leftover then
                async with asyncio.timeout(REMOVE_SECONDS):
                    await self._remove_one(self._docker(), name)
        finally:
            self._removing.discard(name)

    async def remove_all(self, docker: Docker) -> None:
        """Removes those whose removal has failed. Raises as the library."""
        for name in [name for name in self._leftovers if name not in self._removing]:
            await self._remove_one(docker, name)

    async def sweep(self, docker: Docker) -> None:
        """Removes what is left of executors: of this name, all; of others, what has ended."""
        ours = await _find(docker, label=[f"{LABEL}=1", f"{LABEL_EXECUTOR}={self._executor}"])
        ended = await _find(docker, label=[f"{LABEL}=1"], status=["exited", "dead"])
        now = await _find(docker, label=[f"{LABEL_BOOT}={self._boot}"])
        for name in (ours | ended) - now:
            await self._remove_one(docker, name)
        self.swept = True

    async def _remove_one(self, docker: Docker, name: str) -> None:
        from aiodocker import DockerError  # noqa: PLC0415  # an extra

        misses = 0
        try:
            await docker.containers.container(name).delete(force=True, v=True)
        except DockerError as error:
            if error.status == _IN_PROGRESS:
                return
            if error.status != _MISSING:
                raise
            misses = self._leftovers.get(name, 1) - 1
        if misses:
            self._leftovers[name] = misses
        else:
            self._leftovers.pop(name, None)


async def _find(docker: Docker, **filters: list[str]) -> set[str]:
    found = await docker.containers.list(all="true", filters=json.dumps(filters))
    return {container.id for container in found}
