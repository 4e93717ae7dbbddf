"""Bounds how often an address may try keys that do not exist: each try is a read of the store.

A token bucket per address; an IPv6 client has a /64 of them, so that is what counts as one. Pure
but for its memory, which is bounded (not `Bounded`): addresses whose bucket is full again are
forgotten, and only then those that tried first.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Final

_BURST: Final = 50
_PER_SECOND: Final = 5.0
_MAX_REMEMBERED: Final = 4096
_HOST_BITS: Final = 64
_ROUNDING: Final = 1e-6


class BruteForceGuard:
    """The tries that addresses have left. Times are monotonic seconds."""

    def __init__(
        self,
        *,
        burst: int = _BURST,
        per_second: float = _PER_SECOND,
        capacity: int = _MAX_REMEMBERED,
    ) -> None:
        self._seconds = 1 / per_second  # that a try costs
        self._longest_wait = (burst - 1) / per_second
        self._capacity = capacity
        self._full_at: dict[str, float] = {}  # by address: when its bucket is full again

    def wait(self, address: str, now: float) -> float:
        """Returns the seconds until an address may try another key; 0: now."""
        wait = self._full_at.get(network_of(address), now) - now - self._longest_wait
        return wait if wait > _ROUNDING else 0.0

    def count(self, address: str, now: float) -> None:
        """Counts a try of a key that does not exist against its address."""
        name = network_of(address)
        full_at = max(now, self._full_at.pop(name, now)) + self._seconds
        if len(self._full_at) >= self._capacity:
            self._forget(now)
        self._full_at[name] = full_at

    def __len__(self) -> int:
        return len(self._full_at)

    def _forget(self, now: float) -> None:
        self._full_at = {name: at for name, at in self._full_at.items() if at > now}
        while len(self._full_at) >= self._capacity:
            del self._full_at[next(iter(self._full_at))]


@lru_cache(maxsize=1024)
def network_of(address: str) -> str:
    """Returns the network that counts as one address."""
    try:
        parsed = ip_address(address)
    except ValueError:  # a name, or nothing: a Unix socket
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Address(int(parsed) >> _HOST_BITS << _HOST_BITS))
