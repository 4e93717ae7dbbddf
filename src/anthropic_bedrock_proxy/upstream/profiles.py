"""The models behind application inference profiles: each looked up once, at its first request.

The ARN of such a profile is opaque, and which fields a request may carry depends on the model
behind it. An answer holds for good, because profiles cannot be changed; a failure for a minute,
in which requests go on with the capabilities of an unknown model. So do requests of a key that has
named too many profiles which Bedrock does not know.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from time import monotonic
from typing import Final, Protocol

import msgspec

from ..aws_errors import UpstreamRefusal
from ..bounded import Bounded
from ..redaction import redact

_log = logging.getLogger("anthropic_bedrock_proxy.upstream")
RETRY_SECONDS: Final = 60.0
MAX_FAILED: Final = 20  # failed look-ups of a key within that time
_MAX_REMEMBERED: Final = 1024  # clients choose the names
_MAX_LOGGED: Final = 64


class DescribesProfiles(Protocol):
    """The part of `ControlPlane` that is needed here."""

    async def get_inference_profile(self, arn: str) -> str:
        """Returns the base id of the model behind a profile. Raises `UpstreamRefusal`."""
        ...


class _Failure(msgspec.Struct, frozen=True, gc=False):
    """A failed look-up: the key that asked, and when it may be tried again."""

    until: float
    key_id: str


class ProfileModels:
    """Resolves application inference profiles. Belongs to one event loop."""

    def __init__(
        self,
        control: DescribesProfiles,
        learn: Callable[[str, str], None],
        *,
        retry_seconds: float = RETRY_SECONDS,
        now: Callable[[], float] = monotonic,
    ) -> None:
        """`learn(arn, base id)` is told each answer once: `Registry.learn_profile`."""
        self._control = control
        self._learn = learn
        self._retry_seconds = retry_seconds
        self._now = now
        self._known: Bounded[str, None] = Bounded(_MAX_REMEMBERED)
        self._failed: dict[str, _Failure] = {}  # by ARN, the oldest first
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._open: dict[str, int] = {}  # key -> its look-ups that run, or failed a moment ago

    async def resolve(self, arn: str, key_id: str) -> None:
        """Asks for a key, unless it has asked in vain too often.

        Returns once `learn` was called, or a recent attempt failed. Never raises.
        """
        if arn in self._known:
            return
        self._forget_lapsed()
        if arn in self._failed:
            return
        task = self._asking.get(arn)
        if task is None:
            if self._open.get(key_id, 0) >= MAX_FAILED:
                return
            self._count(key_id, 1)
            task = self._asking[arn] = asyncio.create_task(self._ask(arn, key_id))
            task.add_done_callback(lambda _: self._asking.pop(arn, None))
        # Shielded: a client that leaves must not take the answer away from the others.
        await asyncio.shield(task)

    async def close(self) -> None:
        """Cancels look-ups under way."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, arn: str, key_id: str) -> None:
        try:
            base = await self._control.get_inference_profile(arn)
        except UpstreamRefusal as refusal:
            # Not `Bounded`: who is forgotten is taken off its key's count, too.
            if len(self._failed) >= _MAX_REMEMBERED:
                self._forget(next(iter(self._failed)))
            self._failed[arn] = _Failure(self._now() + self._retry_seconds, key_id)
            # The id of the profile, without the account that stands in its ARN.
            name = redact(arn.rpartition("/")[2])[:_MAX_LOGGED]
            _log.warning(
                "the model behind the inference profile %r is unknown, so its requests are treated "
                "as for a model in the middle: %s: %s",
                name,
                refusal.code,
                redact(refusal.message),
            )
        except BaseException:
            self._count(key_id, -1)
            raise
        else:
            self._count(key_id, -1)
            self._known[arn] = None
            self._learn(arn, base)

    def _forget_lapsed(self) -> None:
        now = self._now()
        while self._failed:
            arn, failure = next(iter(self._failed.items()))
            if failure.until > now:
                return
            self._forget(arn)

    def _forget(self, arn: str) -> None:
        self._count(self._failed.pop(arn).key_id, -1)

    def _count(self, key_id: str, change: int) -> None:
        count = self._open.get(key_id, 0) + change
        if count:
            self._open[key_id] = count
        else:
            del self._open[key_id]
