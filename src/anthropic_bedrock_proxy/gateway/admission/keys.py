"""Who is asking: the API key behind a request, found by the SHA-256 of its secret.

Lookups are remembered for a short time, hits and misses alike; when the store does not answer, a
key that was known recently keeps working (an outage must never look like a wrong key). Secrets
are only ever compared as hashes, in constant time where it is one secret against another.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Callable
from hashlib import sha256
from typing import Final, TypeVar

import msgspec

from ...errors import AuthenticationError, PermissionDeniedError, UnavailableError
from ...store.base import KeyStore, StoreError
from ...store.records import Caller, KeyRecord

MASTER_KEY_ID: Final = "master"
ANONYMOUS_KEY_ID: Final = "anonymous"
STALE_SECONDS: Final = 3600.0  # how long a known key outlives a store that is down
_PATIENCE_SECONDS: Final = 0.5
_MAX_REMEMBERED: Final = 10_000


def _unrecorded(key_id: str, name: str) -> Caller:
    return Caller(KeyRecord(id=key_id, name=name, secret_hint="", created_at=0, updated_at=0))


MASTER: Final = _unrecorded(MASTER_KEY_ID, "master")
ANONYMOUS: Final = _unrecorded(ANONYMOUS_KEY_ID, "anonymous")

_log = logging.getLogger("anthropic_bedrock_proxy.keys")
T = TypeVar("T")


class KeyOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The operator's choices about keys."""

    require_api_key: bool = True
    master_api_key: str | None = None
    header: str = "x-api-key"
    ttl_seconds: float = 2.0


class Authenticator:
    """Turns the secret of a request into the key it belongs to."""

    def __init__(
        self,
        store: KeyStore,
        options: KeyOptions,
        *,
        monotonic: Callable[[], float],
        now: Callable[[], float],
    ) -> None:
        """`monotonic` ages the cache, `now` is the epoch for expiry dates; both in seconds."""
        self._store = store
        self._options = options
        self._monotonic = monotonic
        self._now = now
        master = options.master_api_key
        self._master_hash = sha256(master.encode()).digest() if master else None
        self._known: dict[bytes, _Found] = {}
        self._unknown: dict[bytes, float] = {}  # apart: a flood of wrong keys evicts no right one

    async def authenticate(self, secret: str | None) -> Caller:
        """Whose request it is. Raises `AuthenticationError`, `PermissionDeniedError`.

        `UnavailableError` if an unknown key cannot be looked up.
        """
        if not secret:
            if not self._options.require_api_key:
                return ANONYMOUS
            raise AuthenticationError(
                f"No API key: send it as `{self._options.header}: <key>` or as "
                "`Authorization: Bearer <key>`."
            )
        digest = sha256(secret.encode("utf-8", "surrogateescape")).digest()
        if self._master_hash is not None and hmac.compare_digest(digest, self._master_hash):
            return MASTER
        now = self._monotonic()
        found = self._known.get(digest)
        if found is not None and now < found.fresh_until:
            caller: Caller | None = found.caller
        elif now < self._unknown.get(digest, 0.0):
            caller = None
        else:
            caller = await self._look_up(digest, secret, found, now)
        if caller is None:
            if not self._options.require_api_key:
                return ANONYMOUS
            raise AuthenticationError("The API key is not known. Check it for typing errors.")
        key = caller.key
        if not key.is_active:
            raise _inactive("API key", key.id, key.deactivated_reason)
        if key.expires_at is not None and key.expires_at <= self._now():
            raise PermissionDeniedError(
                f"The API key {key.id} has expired. Ask the operator for another.",
                error_code="expired",
                should_retry=False,
            )
        for owner in (caller.user, caller.team):
            if owner is not None and not owner.is_active:
                raise _inactive(owner.kind, owner.id, owner.deactivated_reason)
        return caller

    def forget(self) -> None:
        """Drops what is remembered: a key was changed in this process."""
        self._known.clear()
        self._unknown.clear()

    async def _look_up(
        self, digest: bytes, secret: str, found: _Found | None, now: float
    ) -> Caller | None:
        fresh_until = now + self._options.ttl_seconds
        # Who is known need not wait for a store that hangs.
        patience = _PATIENCE_SECONDS if found is not None else None
        try:
            async with asyncio.timeout(patience):
                caller = await self._store.find(digest, now=int(self._now()), secret=secret)
        except (StoreError, TimeoutError) as error:
            if found is not None and now < found.at + STALE_SECONDS:
                _log.warning("the store does not answer, a known key goes on: %s", error)
                found.fresh_until = fresh_until
                return found.caller
            _log.error("the store does not answer: %s", error)
            raise UnavailableError(
                "API keys cannot be checked right now. Try again shortly.", retry_after=2.0
            ) from error
        if caller is None:
            self._known.pop(digest, None)
            _remember(self._unknown, digest, fresh_until)
        else:
            _remember(self._known, digest, _Found(caller, now, fresh_until))
        return caller


class _Found(msgspec.Struct):
    caller: Caller
    at: float  # when the store said so
    fresh_until: float


def _inactive(kind: str, name: str, reason: str | None) -> PermissionDeniedError:
    reason = reason or "revoked"
    return PermissionDeniedError(
        f"The {kind} {name} is not active ({reason}). Ask the operator for another.",
        error_code=reason,
        should_retry=False,
    )


def _remember(memory: dict[bytes, T], digest: bytes, value: T) -> None:
    if len(memory) >= _MAX_REMEMBERED:
        memory.clear()
    memory[digest] = value
