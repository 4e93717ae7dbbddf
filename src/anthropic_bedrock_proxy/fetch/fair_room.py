"""Room for what is kept, in bytes: no key can take so much that others have none. Pure."""

from __future__ import annotations

from typing import Final

_PART: Final = 4  # a key gets at most this part of it


class FairRoom:
    """Bytes that keys share; `used` are those that are taken."""

    def __init__(self, max_bytes: int) -> None:
        """`max_bytes` bounds what all have, a quarter of it what one key has."""
        self._max_bytes = max_bytes
        self._by_key: dict[str, int] = {}
        self.used = 0

    def take(self, key: str, size: int) -> bool:
        """Takes room, to be given back; tells whether there was so much."""
        of_key = self._by_key.get(key, 0) + size
        if of_key > self._max_bytes // _PART or self.used + size > self._max_bytes:
            return False
        self._by_key[key] = of_key
        self.used += size
        return True

    def give_back(self, key: str, size: int) -> None:
        """Frees what was taken for a key."""
        self.used -= size
        self._by_key[key] -= size
        if not self._by_key[key]:
            del self._by_key[key]

    def keys(self) -> set[str]:
        """Returns the keys that have taken some."""
        return set(self._by_key)
