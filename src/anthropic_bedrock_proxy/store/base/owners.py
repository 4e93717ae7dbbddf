"""The port of users and teams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from .callers import KeyRecord, OwnerRecord

# Judges a user or team (None: not recorded yet) and the keys with admin scopes that name it; it is
# asked as a `KeyJudge` is.
OwnerJudge = Callable[[OwnerRecord | None, Sequence[KeyRecord]], None]


class OwnerStore(Protocol):
    """Users and teams."""

    async def create(self, owner: OwnerRecord, *, judge: OwnerJudge | None = None) -> None:
        """Stores a new one.

        Raises `AlreadyExistsError` if this kind has one with its id, and whatever `judge` raises.
        """
        ...

    async def get(self, kind: str, owner_id: str) -> OwnerRecord | None:
        """Returns the user or team with this id."""
        ...

    async def list(self, kind: str) -> Sequence[OwnerRecord]:
        """Lists all of a kind, by id."""
        ...

    async def update(
        self,
        kind: str,
        owner_id: str,
        changes: dict[str, Any],
        *,
        now: int,
        judge: OwnerJudge | None = None,
    ) -> OwnerRecord:
        """Replaces the named fields and returns the changed owner.

        Raises `NoSuchObjectError`, `ValueError` for a field that cannot be changed, and whatever
        `judge` raises.
        """
        ...

    async def remove(self, kind: str, owner_id: str, *, judge: OwnerJudge | None = None) -> bool:
        """Removes an owner; returns False if there was none. Keys that name it stay as they are.

        Raises whatever `judge` raises.
        """
        ...
