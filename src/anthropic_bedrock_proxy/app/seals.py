"""The seals of a worker, made when they are first needed: their keys are the operator's or kept."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from hashlib import sha256
from secrets import token_bytes
from typing import TYPE_CHECKING, Final

from ..config import Settings
from ..errors import UnavailableError
from ..store.base.errors import StoreError
from ..store.base.kept_secrets import KeptSecrets

if TYPE_CHECKING:
    from ..tools.web.seal import Seals

_NAME: Final = "web-seal"
_KEY_BYTES: Final = 32
_log = logging.getLogger("anthropic_bedrock_proxy")


class OnDemandSeals:
    """The seals of an installation, loaded once in each worker."""

    def __init__(
        self, settings: Settings, kept: KeptSecrets, now: Callable[[], float] = time.time
    ) -> None:
        """`now` is epoch seconds."""
        self._settings = settings.web
        self._kept = kept
        self._now = now
        self._seals: Seals | None = None

    async def load(self) -> Seals:
        """Returns the seals.

        Raises `UnavailableError` if the key is in the store and that does not answer, which the
        next call tries again, or if a package is missing.
        """
        if self._seals is None:
            from ..tools.web.seal import Seals  # noqa: PLC0415  # most requests need none

            self._seals = Seals(await self._keys(), self._now, self._settings.web_seal_days)
        return self._seals

    async def _keys(self) -> list[bytes]:
        given = self._settings.web_seal_keys
        if given is not None:
            return [sha256(text.encode()).digest() for text in given.split(",")]
        try:
            return [await self._kept.keep_first(_NAME, token_bytes(_KEY_BYTES))]
        except StoreError as error:
            _log.error("the store does not answer for the key of seals: %s", error)
            raise UnavailableError(
                "Web tools cannot be used right now: the store does not answer. Try again shortly.",
                retry_after=2.0,
                cause="unavailable:store",
            ) from error
