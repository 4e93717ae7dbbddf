"""API keys of the store in memory: see `store.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..base.callers import Caller, KeyRecord, NewSecret
from ..base.errors import AlreadyExistsError, NoSuchObjectError
from ..base.keys import KeyJudge
from .owners import MemoryOwners


class MemoryKeys:
    """Keys by id and, beside them, the secrets that lead to them."""

    def __init__(
        self, check: Callable[[], None], owners: MemoryOwners, keys: dict[str, KeyRecord]
    ) -> None:
        """`check` and `keys` as for the owners; `owners` are those that keys may belong to."""
        self._check = check
        self._owners = owners
        self._keys = keys
        self._secrets: dict[bytes, tuple[str, int | None]] = {}  # hash -> key id, lapses at

    def _known(self, key_id: str) -> KeyRecord:
        self._check()
        if key_id not in self._keys:
            raise NoSuchObjectError(f"no key has the id {key_id}")
        return self._keys[key_id]

    async def create(self, key: KeyRecord, secret_hash: bytes, *, first: bool = False) -> None:
        """See `KeyStore.create`."""
        self._check()
        if first and self._keys:
            raise AlreadyExistsError("the store has keys already")
        if key.id in self._keys or secret_hash in self._secrets:
            raise AlreadyExistsError("this key or secret exists already")
        self._keys[key.id] = key
        self._secrets[secret_hash] = (key.id, None)

    async def find(
        self,
        secret_hash: bytes,
        *,
        now: int,
        secret: str | None = None,  # noqa: ARG002  # only for tables of the predecessor
    ) -> Caller | None:
        """See `KeyStore.find`."""
        self._check()
        key_id, expires_at = self._secrets.get(secret_hash, ("", None))
        key = self._keys.get(key_id) if expires_at is None or expires_at > now else None
        if key is None:
            return None
        named = self._owners.named
        return Caller(key, named("user", key.user_id), named("team", key.team_id))

    async def get(self, key_id: str) -> KeyRecord | None:
        """See `KeyStore.get`."""
        self._check()
        return self._keys.get(key_id)

    async def list(
        self, *, after: str | None = None, limit: int | None = None
    ) -> Sequence[KeyRecord]:
        """See `KeyStore.list`."""
        self._check()
        keys = sorted(self._keys.values(), key=lambda key: (key.created_at, key.id))
        first = 0 if after is None else keys.index(self._known(after)) + 1
        return keys[first:] if limit is None else keys[first : first + limit]

    async def update(
        self, key_id: str, changes: dict[str, Any], *, now: int, judge: KeyJudge | None = None
    ) -> KeyRecord:
        """See `KeyStore.update`."""
        before = self._known(key_id)
        after = before.changed(changes, now=now)
        secret = judge(before, after) if judge is not None else None
        return self._write(after, secret, now)

    async def rotate(
        self, key_id: str, secret: NewSecret, *, now: int, judge: KeyJudge | None = None
    ) -> KeyRecord:
        """See `KeyStore.rotate`."""
        key = self._known(key_id)
        if judge is not None:
            judge(key, key)
        return self._write(key, secret, now)

    def _write(self, key: KeyRecord, secret: NewSecret | None, now: int) -> KeyRecord:
        if secret is not None:
            if secret.hash in self._secrets:
                raise AlreadyExistsError("this secret exists already")
            lapse = now + secret.overlap_seconds
            for old, (owner, expires_at) in self._secrets.items():
                if owner == key.id and (expires_at is None or expires_at > lapse):
                    self._secrets[old] = (owner, lapse)
            self._secrets[secret.hash] = (key.id, None)
            key = key.rotated(secret.hint, now=now)
        self._keys[key.id] = key
        return key
