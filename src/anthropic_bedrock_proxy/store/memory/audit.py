"""The audit log of the store in memory: see `store.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..base.audit import AuditRecord


class MemoryAudit:
    """Changes by id."""

    def __init__(self, check: Callable[[], None]) -> None:
        """`check` raises `StoreError` while the store is down."""
        self._check = check
        self._records: dict[str, AuditRecord] = {}

    async def append(self, record: AuditRecord) -> None:
        """See `AuditLog.append`."""
        self._check()
        self._records.setdefault(record.id, record)

    async def list(
        self, *, before: str | None = None, object_id: str | None = None, limit: int = 100
    ) -> Sequence[AuditRecord]:
        """See `AuditLog.list`."""
        self._check()
        found = [
            record
            for identity, record in sorted(self._records.items(), reverse=True)
            if (before is None or identity < before)
            and (object_id is None or record.object == object_id)
        ]
        return found[:limit]
