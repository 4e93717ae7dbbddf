"""The kept secrets of the store in memory: see `store.py`."""

from __future__ import annotations

from collections.abc import Callable


class MemoryKeptSecrets:
    """Secrets by name."""

    def __init__(self, check: Callable[[], None]) -> None:
        """`check` raises `StoreError` while the store is down."""
        self._check = check
        self._secrets: dict[str, bytes] = {}

    async def keep_first(self, name: str, offered: bytes) -> bytes:
        """See `KeptSecrets.keep_first`."""
        self._check()
        return self._secrets.setdefault(name, offered)
