"""The store as a whole: all ports of one backend."""

from __future__ import annotations

from typing import Protocol

from .audit import AuditLog
from .catalog import Catalog
from .kept_secrets import KeptSecrets
from .keys import KeyStore
from .ledger import Ledger
from .owners import OwnerStore
from .usage import UsageLog


class Store(Protocol):
    """One backend with all its ports."""

    @property
    def keys(self) -> KeyStore:
        """The API keys."""
        ...

    @property
    def owners(self) -> OwnerStore:
        """Users and teams."""
        ...

    @property
    def ledger(self) -> Ledger:
        """Budgets."""
        ...

    @property
    def audit(self) -> AuditLog:
        """Changes by operators."""
        ...

    @property
    def usage(self) -> UsageLog:
        """The usage records."""
        ...

    @property
    def catalog(self) -> Catalog:
        """Models, overrides and providers."""
        ...

    @property
    def kept_secrets(self) -> KeptSecrets:
        """Secrets that the proxy makes for itself."""
        ...

    async def open(self) -> None:
        """Connects and brings the schema up to date. Raises `StoreError`.

        A store that could not be opened may be opened again, and serves from then on.
        """
        ...

    async def ping(self) -> None:
        """Reads a little of the keys, as cheaply as can be. Raises `StoreError`.

        A store that is not open, or no longer connected, is tried again as by any other read.
        """
        ...

    async def close(self) -> None:
        """Finishes what was accepted, and closes connections and files."""
        ...
