"""STORE_URL to store: the scheme names the implementation, and only that one is imported."""

from __future__ import annotations

from importlib import import_module

from .base.errors import StoreError
from .base.store import Store

# Scheme -> the module and the class whose `from_url` takes what follows "scheme://".
STORES = {
    "sqlite": ("sqlite.store", "SQLiteStore"),
    "memory": ("memory.store", "MemoryStore"),
}
ALLOWED = "sqlite:///relative/path.db, sqlite:////absolute/path.db or memory://"


def store_from_url(url: str) -> Store:
    """Makes the store for `url`, not yet open. Raises `StoreError` for a URL it cannot serve."""
    scheme, separator, rest = url.partition("://")
    if scheme not in STORES or not separator:
        # Only the scheme is repeated: the rest of a database URL may hold a password.
        what = f"{scheme}://" if separator else "without a scheme"
        raise StoreError(f"no store for a URL {what}; use {ALLOWED}")
    module, name = STORES[scheme]
    store: Store = getattr(import_module(f"{__package__}.{module}"), name).from_url(rest)
    return store
