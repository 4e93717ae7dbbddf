"""Users and teams, whose limits and budgets their keys share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from ..errors import InvalidRequestError
from ..store.base.callers import KeyRecord, OwnerKind, OwnerRecord
from ..store.base.errors import NoSuchObjectError
from .allowances import AllowanceBody, Id, Name, changes
from .budget_warnings import budget_warnings
from .call import AdminCall, Change, Nothing
from .documents import document, recorded
from .scopes import Actor, check_owned


class NewOwner(AllowanceBody, frozen=True, kw_only=True):
    """A user or team to make; without a name it is called by its id."""

    id: Id
    name: Name | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET


class ChangedOwner(AllowanceBody, frozen=True, kw_only=True):
    """Changes of a user or team; with `is_active` false none of its keys works."""

    name: Name | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET


class Owners(msgspec.Struct, frozen=True):
    """The operations on users, or on teams."""

    kind: OwnerKind

    async def list(self, call: AdminCall[Nothing, Nothing]) -> dict[str, Any]:
        """Lists all users or teams, by id."""
        owners = await call.store.owners.list(self.kind)
        return {f"{self.kind}s": [document(owner) for owner in owners]}

    async def get(self, call: AdminCall[Nothing, Nothing]) -> dict[str, Any]:
        """Returns one user or team."""
        return document(await self._owner(call))

    async def create(self, call: AdminCall[NewOwner, Nothing]) -> Change:
        """Makes a user or team. Keys may have named it before."""
        fields = {"name": call.body.id} | _changes(call.body)
        owner = OwnerRecord(kind=self.kind, created_at=call.now, updated_at=call.now, **fields)
        await call.store.owners.create(
            owner, judge=_OwnerJudgement(call.actor, owner.kind, owner.id)
        )
        warnings = await budget_warnings(call, fields)
        return Change(
            document=document(owner) | warnings, object=owner.id, after=recorded(owner), status=201
        )

    async def update(self, call: AdminCall[ChangedOwner, Nothing]) -> Change:
        """Changes the given settings; null takes one away."""
        fields = _changes(call.body)
        if not fields:
            raise InvalidRequestError("body: nothing to change: give at least one field")
        owner_id = call.parts["id"]
        judgement = _OwnerJudgement(call.actor, self.kind, owner_id)
        after = await call.store.owners.update(
            self.kind, owner_id, fields, now=call.now, judge=judgement
        )
        warnings = await budget_warnings(call, fields)
        return Change(
            document=document(after) | warnings,
            object=after.id,
            before=judgement.recorded,
            after=recorded(after),
        )

    async def remove(self, call: AdminCall[Nothing, Nothing]) -> Change:
        """Removes a user or team with its limits and budgets; the keys that name it stay."""
        owner_id = call.parts["id"]
        judgement = _OwnerJudgement(call.actor, self.kind, owner_id)
        if not await call.store.owners.remove(self.kind, owner_id, judge=judgement):
            raise self._unknown(owner_id)
        return Change(
            document={"id": owner_id, "removed": True},
            object=owner_id,
            before=judgement.recorded,
        )

    async def _owner(self, call: AdminCall[Any, Any]) -> OwnerRecord:
        owner = await call.store.owners.get(self.kind, call.parts["id"])
        if owner is None:
            raise self._unknown(call.parts["id"])
        return owner

    def _unknown(self, owner_id: str) -> NoSuchObjectError:
        return NoSuchObjectError(f"no {self.kind} has the id {owner_id}")


def _changes(body: NewOwner | ChangedOwner) -> dict[str, Any]:
    fields = changes(body)
    if "is_active" in fields:
        fields["deactivated_reason"] = None if fields["is_active"] else "disabled"
    return fields


class _OwnerJudgement:
    """Judges whether an actor may change a user or team, and keeps that as it was before."""

    def __init__(self, actor: Actor, kind: OwnerKind, owner_id: str) -> None:
        self._actor = actor
        self._kind = kind
        self._owner_id = owner_id
        self.recorded: dict[str, Any] | None = None

    def __call__(self, before: OwnerRecord | None, keys: Sequence[KeyRecord]) -> None:
        """See `OwnerJudge`. Raises `PermissionDeniedError`."""
        check_owned(self._actor, self._kind, self._owner_id, keys)
        self.recorded = None if before is None else recorded(before)


USERS = Owners("user")
TEAMS = Owners("team")
