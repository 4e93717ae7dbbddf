"""The port of the audit log, and its record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from .usage import Moment


class AuditRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One change by an operator: the actor, the object, its state before and after."""

    id: str  # in the order of time
    at_ms: Moment
    actor: str  # "master", "cli" or a key id
    action: str  # "keys.create"
    object: str  # what was changed: "key_…"
    before: dict[str, Any] | None = None  # never a secret
    after: dict[str, Any] | None = None


class AuditLog(Protocol):
    """The log of changes by operators. Nothing in it is ever changed or removed."""

    async def append(self, record: AuditRecord) -> None:
        """Stores a record; storing it again changes nothing."""
        ...

    async def list(
        self, *, before: str | None = None, object_id: str | None = None, limit: int = 100
    ) -> Sequence[AuditRecord]:
        """Lists the newest first; `before` an id seen already; maybe only of one object."""
        ...
