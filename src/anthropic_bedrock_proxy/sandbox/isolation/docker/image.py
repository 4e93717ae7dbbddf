"""The image of sandboxes at a Docker daemon: whether it is there, and how it gets there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from ..base import IsolationState

if TYPE_CHECKING:
    from aiodocker import Docker

_PULL_SECONDS: Final = 900.0
_PULL_AGAIN_SECONDS: Final = 60.0  # after a pull that failed
_MISSING: Final = 404

_log = logging.getLogger(__name__)


class SandboxImage:
    """One image, which is pulled when it is missing, unless not. Belongs to one event loop."""

    def __init__(
        self,
        name: str,
        docker: Callable[[], Docker],
        now: Callable[[], float],
        *,
        pull: bool = True,
    ) -> None:
        """`docker` gives the daemon's client; it may raise what that raises."""
        self._may_pull = pull
        self.name = name
        self._docker = docker
        self._now = now
        self._pull: asyncio.Task[None] | None = None
        self._pull_failed_at: float | None = None

    async def inspect(self, docker: Docker) -> dict[str, Any] | None:
        """Returns what the daemon knows of it, None if it has none. Raises as the library."""
        from aiodocker import DockerError  # noqa: PLC0415  # an extra

        try:
            return await docker.images.inspect(self.name)
        except DockerError as error:
            if error.status == _MISSING:
                return None
            raise

    def state_without(self, details: dict[str, str]) -> IsolationState:
        """Tells of a missing image that it is on its way, which it is from now on, or why not."""
        if not self._may_pull:
            reason = f"the image {self.name} is not here yet: it is pulled when one is needed"
            return IsolationState("preparing", reason, details)
        failed_at = self._pull_failed_at
        if self._pull is None and (
            failed_at is None or self._now() - failed_at >= _PULL_AGAIN_SECONDS
        ):
            self._pull = asyncio.create_task(self._pull_image())
        if self._pull is not None:
            reason = f"the image {self.name} is being pulled; try again soon"
            return IsolationState("preparing", reason, details)
        reason = (
            f"the image {self.name} is not here and could not be pulled: "
            f"`docker pull {self.name}`, or make one with "
            "`anthropic-bedrock-proxy sandbox build` and set PTC_SANDBOX_IMAGE to it"
        )
        return IsolationState("unavailable", reason, details, answers=True)

    async def close(self) -> None:
        """Gives up a pull."""
        if self._pull is not None:
            self._pull.cancel()
            await asyncio.wait([self._pull])

    async def _pull_image(self) -> None:
        try:
            async with asyncio.timeout(_PULL_SECONDS):
                # Its answer is progress: read as it comes, so that none of it is kept.
                async for _ in self._docker().images.pull(self.name, stream=True):
                    pass
            self._pull_failed_at = None
        except Exception as error:  # noqa: BLE001  # as in `state`
            self._pull_failed_at = self._now()
            _log.warning("The sandbox image could not be pulled: %s", type(error).__name__)
        finally:
            self._pull = None
