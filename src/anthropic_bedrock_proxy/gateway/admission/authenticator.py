"""Finds the API key behind a request, by the SHA-256 of its secret.

Look-ups are remembered for a short time, hits and misses alike, and many who ask for one key at
once wait for one look-up; when the store does not answer, a key that was known recently keeps
working (an outage must never look like a wrong key). An address may try only so many keys that do
not exist; beyond that, the store is asked for none that was never found before. Secrets are only
ever compared as hashes, in constant time where it is one secret against another.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from math import inf
from typing import Final

import msgspec

from ...bounded import Bounded
from ...errors import (
    AuthenticationError,
    PermissionDeniedError,
    RateLimitError,
    UnavailableError,
)
from ...store.base.callers import Caller, KeyRecord
from ...store.base.errors import StoreError
from ...store.base.keys import KeyStore
from .brute_force import BruteForceGuard, network_of

MASTER_KEY_ID: Final = "master"
ANONYMOUS_KEY_ID: Final = "anonymous"
STALE_SECONDS: Final = 3600.0  # how long a known key outlives a store that is down
_WAIT_SECONDS: Final = 0.5
_AT_ONCE: Final = 32  # look-ups for one address
_GATE_SECONDS: Final = 5.0  # to wait for one of them
_MAX_REMEMBERED: Final = 10_000


def _unrecorded(key_id: str, name: str) -> Caller:
    return Caller(KeyRecord(id=key_id, name=name, secret_hint="", created_at=0, updated_at=0))


MASTER: Final = _unrecorded(MASTER_KEY_ID, "master")
ANONYMOUS: Final = _unrecorded(ANONYMOUS_KEY_ID, "anonymous")

_log = logging.getLogger("anthropic_bedrock_proxy.keys")


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
        guard: BruteForceGuard | None = None,
    ) -> None:
        """`monotonic` ages the cache, `now` is the epoch for expiry dates; both in seconds.

        `guard` may be shared with other authenticators.
        """
        self._store = store
        self._options = options
        self._monotonic = monotonic
        self._now = now
        self._guard = guard if guard is not None else BruteForceGuard()
        master = options.master_api_key
        self._master_hash = sha256(master.encode()).digest() if master else None
        self._gates: dict[str, _Gate] = {}  # of addresses that try keys right now
        self._asking: dict[bytes, asyncio.Task[Caller | None]] = {}  # the store, right now
        self._known: Bounded[bytes, _Found] = Bounded(_MAX_REMEMBERED)
        # Apart: a flood of wrong keys evicts no right one.
        self._unknown: Bounded[bytes, float] = Bounded(_MAX_REMEMBERED)

    async def authenticate(
        self, secret: str | None, client: Callable[[], str] = str, header: str = ""
    ) -> Caller:
        """Returns the caller whose request it is. `client` tells the address that it comes from.

        `header` is the one that the secret was read from.

        Raises `AuthenticationError`, `PermissionDeniedError`; `RateLimitError` if the address has
        tried too many keys that do not exist; `UnavailableError` if an unknown key cannot be looked
        up.
        """
        if not secret:
            if not self._options.require_api_key:
                return ANONYMOUS
            raise AuthenticationError(
                f"No API key: send it as `{self._options.header}: <key>` or as "
                "`Authorization: Bearer <key>`.",
                cause="key:missing",
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
        elif found is not None:
            caller = await self._look_up(digest, secret, found, now)
        else:
            caller = await self._try(digest, secret, client(), now)
        if caller is None:
            if not self._options.require_api_key:
                return ANONYMOUS
            raise AuthenticationError(
                f"The API key in `{header or self._options.header}` is not known. Check it for "
                "typing errors.",
                cause="key:unknown",
            )
        self._check(caller)
        return caller

    def forget(self) -> None:
        """Asks the store about every key again: one was changed in this process."""
        for found in self._known.values():
            found.at = found.fresh_until = -inf
        self._unknown.clear()
        self._asking.clear()  # what was asked before the change is not remembered after it

    def _check(self, caller: Caller) -> None:
        """Raises `PermissionDeniedError` for a key or an owner that is not in use any more."""
        key = caller.key
        if not key.is_active:
            raise _inactive("API key", key.id, key.deactivated_reason)
        if key.expires_at is not None and key.expires_at <= self._now():
            raise PermissionDeniedError(
                f"The API key {key.id} has expired. Ask the operator for another.",
                error_code="expired",
                cause="key:expired",
                should_retry=False,
            )
        for owner in (caller.user, caller.team):
            if owner is not None and not owner.is_active:
                raise _inactive(owner.kind, owner.id, owner.deactivated_reason)

    async def _try(self, digest: bytes, secret: str, client: str, now: float) -> Caller | None:
        """Looks up a key that was not found before, if its address may still try one.

        What is tried at once is bounded too, by waiting: many right keys come at once when a worker
        has just started.
        """
        if self._has_tried_too_many(client, now):
            return None
        gate = self._gates.setdefault(network_of(client), _Gate())
        gate.users += 1
        try:
            async with asyncio.timeout(_GATE_SECONDS):
                await gate.turns.acquire()
        except BaseException as error:
            self._leave(gate, client)
            if isinstance(error, TimeoutError):
                raise _unavailable() from None
            raise
        # Shielded: who hangs up at once has asked the store all the same.
        turn = asyncio.ensure_future(self._take_turn(gate, digest, secret, client))
        turn.add_done_callback(_end_quietly)
        return await asyncio.shield(turn)

    async def _take_turn(
        self, gate: _Gate, digest: bytes, secret: str, client: str
    ) -> Caller | None:
        """Looks up a key in a turn that lasts until the store has answered."""
        try:
            now = self._monotonic()
            found = self._known.get(digest)  # another request may have looked it up
            if found is not None and now < found.fresh_until:
                return found.caller
            if now < self._unknown.get(digest, 0.0) or self._has_tried_too_many(client, now):
                return None
            caller = await self._look_up(digest, secret, None, now)
            if caller is None:
                self._guard.count(client, now)
            return caller
        finally:
            gate.turns.release()
            self._leave(gate, client)

    def _leave(self, gate: _Gate, client: str) -> None:
        gate.users -= 1
        if not gate.users:
            del self._gates[network_of(client)]

    def _has_tried_too_many(self, client: str, now: float) -> bool:
        """Raises `RateLimitError` if so, where keys are required."""
        wait = self._guard.wait(client, now)
        if wait and self._options.require_api_key:
            raise RateLimitError(
                "Too many API keys that are not known have come from this network address. Try "
                "again shortly.",
                retry_after=wait,
                cause="key:guessing",
            )
        return bool(wait)

    async def _look_up(
        self, digest: bytes, secret: str, found: _Found | None, now: float
    ) -> Caller | None:
        known = found is not None and now < found.at + STALE_SECONDS
        # Who is known need not wait for a store that hangs.
        longest = _WAIT_SECONDS if known else None
        try:
            async with asyncio.timeout(longest):
                # Shielded: others may be waiting for it when this request is cancelled.
                return await asyncio.shield(self._ask(digest, secret, now))
        except (StoreError, TimeoutError) as error:
            # Not if a key was changed while it hung.
            if found is not None and now < found.at + STALE_SECONDS:
                _log.warning("the store does not answer, a known key goes on: %s", error)
                found.fresh_until = now + self._options.ttl_seconds
                return found.caller
            _log.error("the store does not answer: %s", error)
            raise _unavailable() from error

    def _ask(self, digest: bytes, secret: str, now: float) -> asyncio.Task[Caller | None]:
        """Returns the look-up of a key, which is begun if nobody has."""
        asking = self._asking.get(digest)
        if asking is None:
            found = self._store.find(digest, now=int(self._now()), secret=secret)
            asking = self._asking[digest] = asyncio.ensure_future(found)
            asking.add_done_callback(partial(self._remember, digest, now))
        return asking

    def _remember(self, digest: bytes, now: float, asked: asyncio.Task[Caller | None]) -> None:
        """Remembers what the store said; comes before whoever waits for it goes on."""
        current = self._asking.get(digest) is asked
        if current:
            del self._asking[digest]
        if asked.cancelled() or asked.exception() is not None or not current:
            return
        caller, fresh_until = asked.result(), now + self._options.ttl_seconds
        if caller is None:
            self._known.pop(digest, None)
            self._unknown[digest] = fresh_until
        else:
            self._known[digest] = _Found(caller, now, fresh_until)


class _Found(msgspec.Struct):
    caller: Caller
    at: float  # when the store said so
    fresh_until: float


class _Gate:
    """Bounds what one address tries at once."""

    def __init__(self) -> None:
        self.turns = asyncio.Semaphore(_AT_ONCE)
        self.users = 0


def _end_quietly(task: asyncio.Task[Caller | None]) -> None:
    """Sees to it that asyncio does not tell of an error that nobody waits for any more."""
    if not task.cancelled():
        task.exception()


def _unavailable() -> UnavailableError:
    return UnavailableError(
        "API keys cannot be checked right now. Try again shortly.",
        retry_after=2.0,
        cause="unavailable:store",
    )


def _inactive(kind: str, name: str, reason: str | None) -> PermissionDeniedError:
    reason = reason or "revoked"
    return PermissionDeniedError(
        f"The {kind} {name} is not active ({reason}). Ask the operator for another.",
        error_code=reason,
        cause=f"key:{reason}",
        should_retry=False,
    )
