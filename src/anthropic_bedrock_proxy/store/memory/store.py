"""A store that lives and dies with its process: the public fake of the store ports.

It passes the same conformance suite as the real ones. `down = True` makes every call raise
`StoreError`, so that tests can see what an outage does without breaking anything for real.
"""

from __future__ import annotations

from ..base.callers import KeyRecord
from ..base.errors import StoreError
from .audit import MemoryAudit
from .catalog import MemoryCatalog
from .kept_secrets import MemoryKeptSecrets
from .keys import MemoryKeys
from .ledger import MemoryLedger
from .owners import MemoryOwners
from .usage import MemoryUsage


class MemoryStore:
    """All ports over dictionaries."""

    def __init__(self) -> None:
        self.down = False
        keys: dict[str, KeyRecord] = {}
        self.owners = MemoryOwners(self.check, keys)
        self.keys = MemoryKeys(self.check, self.owners, keys)
        self.ledger = MemoryLedger(self.check)
        self.usage = MemoryUsage(self.check, self.ledger)
        self.audit = MemoryAudit(self.check)
        self.catalog = MemoryCatalog(self.check)
        self.kept_secrets = MemoryKeptSecrets(self.check)

    @classmethod
    def from_url(cls, rest: str) -> MemoryStore:
        """Makes the store of `memory://`. Raises `StoreError` if anything follows."""
        if rest.strip("/"):
            raise StoreError("memory:// takes no path")
        return cls()

    def check(self) -> None:
        """Raises `StoreError` while the store is told to be down."""
        if self.down:
            raise StoreError("the in-memory store is down")

    async def open(self) -> None:
        """Does nothing: there is nothing to connect to."""
        self.check()

    async def ping(self) -> None:
        """See `Store.ping`."""
        self.check()

    async def close(self) -> None:
        """Does nothing: the contents stay, so a test may look at them afterwards."""
