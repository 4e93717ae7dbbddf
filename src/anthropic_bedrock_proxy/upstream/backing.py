"""What is behind an application inference profile: asked once, in the path of its first request.

The ARN of such a profile is opaque, and which fields a request may carry depends on the model
behind it. An answer holds for good, because profiles cannot be changed; a failure for a minute,
in which requests go on with the capabilities that routing takes for an unknown model.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from time import monotonic
from typing import Final, Protocol

from ..errors import UpstreamRefusal, redact

_log = logging.getLogger("anthropic_bedrock_proxy.upstream")
RETRY_SECONDS: Final = 60.0
_MAX_REMEMBERED: Final = 1024  # clients choose the names
_MAX_LOGGED: Final = 64


class DescribesProfiles(Protocol):
    """The part of `ControlPlane` that is needed here."""

    async def get_inference_profile(self, arn: str) -> str:
        """The base id of the model behind a profile. Raises `UpstreamRefusal`."""
        ...


class Backing:
    """Resolves application inference profiles. Belongs to one event loop."""

    def __init__(
        self,
        control: DescribesProfiles,
        learn: Callable[[str, str], None],
        *,
        retry_seconds: float = RETRY_SECONDS,
        now: Callable[[], float] = monotonic,
    ) -> None:
        """`learn(arn, base id)` is told each answer once: `Registry.learn_backing`."""
        self._control = control
        self._learn = learn
        self._retry_seconds = retry_seconds
        self._now = now
        self._known: set[str] = set()
        self._failed: dict[str, float] = {}  # ARN -> when to ask again
        self._asking: dict[str, asyncio.Task[None]] = {}

    async def resolve(self, arn: str) -> None:
        """Returns once `learn` was called, or a recent attempt failed. Never raises."""
        if arn in self._known or self._failed.get(arn, 0.0) > self._now():
            return
        task = self._asking.get(arn)
        if task is None:
            task = self._asking[arn] = asyncio.create_task(self._ask(arn))
            task.add_done_callback(lambda _: self._asking.pop(arn, None))
        # Shielded: a client that leaves must not take the answer away from the others.
        await asyncio.shield(task)

    async def close(self) -> None:
        """Gives up what is being asked."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, arn: str) -> None:
        try:
            base = await self._control.get_inference_profile(arn)
        except UpstreamRefusal as refusal:
            if len(self._failed) >= _MAX_REMEMBERED:
                self._failed.clear()
            self._failed[arn] = self._now() + self._retry_seconds
            # The id of the profile, without the account that stands in its ARN.
            name = redact(arn.rpartition("/")[2])[:_MAX_LOGGED]
            _log.warning(
                "the model behind the inference profile %r is unknown, so its requests are treated "
                "as for a model in the middle: %s: %s",
                name,
                refusal.code,
                redact(refusal.message),
            )
        else:
            self._failed.pop(arn, None)
            if len(self._known) >= _MAX_REMEMBERED:
                self._known.clear()
            self._known.add(arn)
            self._learn(arn, base)
