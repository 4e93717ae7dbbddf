"""The port of API keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from .callers import Caller, KeyRecord, NewSecret

# Judges a key before and after; may give it a new secret, which replaces all others. Every judge is
# asked inside the write and of what is really there then, so that nothing comes between the
# judgement and the change. Whatever it raises ends the write, with nothing done; it may be asked
# more than once, on another thread, and must not wait.
KeyJudge = Callable[[KeyRecord, KeyRecord], NewSecret | None]


class KeyStore(Protocol):
    """API keys, found by the SHA-256 of their secret."""

    async def create(self, key: KeyRecord, secret_hash: bytes, *, first: bool = False) -> None:
        """Stores a new key; `secret_hash` is the 32-byte SHA-256 of its secret.

        As `first` only into a store without keys: of several that ask at once one succeeds. Raises
        `AlreadyExistsError` for the others, and if there is a key of this id or secret.
        """
        ...

    async def find(
        self, secret_hash: bytes, *, now: int, secret: str | None = None
    ) -> Caller | None:
        """Finds the key of this secret, active or not; None if the secret lapsed after a rotation.

        `secret` is for tables of the predecessor, which hold secrets as they are.
        """
        ...

    async def get(self, key_id: str) -> KeyRecord | None:
        """Returns the key with this id."""
        ...

    async def list(
        self, *, after: str | None = None, limit: int | None = None
    ) -> Sequence[KeyRecord]:
        """Lists every key, or no more than `limit`, oldest first; `after` the id of one seen.

        Reads only those. Raises `NoSuchObjectError` if there is no key `after`.
        """
        ...

    async def update(
        self, key_id: str, changes: dict[str, Any], *, now: int, judge: KeyJudge | None = None
    ) -> KeyRecord:
        """Replaces the named fields and returns the key, with the secret that `judge` gives it.

        Raises `NoSuchObjectError`, `ValueError` for a field that cannot be changed, and whatever
        `judge` raises.
        """
        ...

    async def rotate(
        self, key_id: str, secret: NewSecret, *, now: int, judge: KeyJudge | None = None
    ) -> KeyRecord:
        """Adds a secret; the return value of `judge` is not used.

        Never lengthens what an earlier rotation granted. Raises `NoSuchObjectError`, and whatever
        `judge` raises.
        """
        ...
