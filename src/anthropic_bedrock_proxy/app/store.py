"""The store that the settings name."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, cast

from ..config import Settings
from ..store.base.errors import StoreError
from ..store.select import store_from_url

if TYPE_CHECKING:
    from ..aws.dynamodb import DynamoDB
    from ..aws.resolver.resolver import Resolver
    from ..store.base.store import Store
    from ..store.dynamodb.tables import TableNames
    from ..store.sqlite.store import SQLiteStore


def make_store(settings: Settings, resolver: Resolver) -> Store:
    """Makes the store, not yet open. Raises `StoreError` for a URL that it cannot serve."""
    if settings.store.url != "dynamodb://":
        return store_from_url(settings.store.url)
    from ..store.dynamodb.store import DynamoDBStore  # noqa: PLC0415  # seldom the store

    return DynamoDBStore(
        lambda: make_dynamodb(settings, resolver),
        table_names(settings),
        usage_ttl_days=settings.store.usage_ttl_days,
    )


def make_files(settings: Settings, store: Store) -> None:
    """Makes the folders of this machine's data, and the file of an embedded store.

    That is done at a start of `serve` and never again, by a worker that replaces another neither:
    what was moved away, or whose disk was unmounted, is to be put back. A new folder would be in
    its way, a new store would know no key. Never raises: whoever needs a file tells that it fails.
    """
    for folder in (settings.store.data_path, settings.store.journal_path):
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if settings.store.sqlite_path is not None:
        with contextlib.suppress(StoreError):
            cast("SQLiteStore", store).make()


def make_dynamodb(settings: Settings, resolver: Resolver) -> DynamoDB:
    """Makes a client of DynamoDB with the AWS_* settings' credentials. Needs a running loop."""
    from .bedrock import make_wiring  # noqa: PLC0415  # heavy, and seldom needed

    return make_wiring(settings, resolver).dynamodb(settings.aws.dynamodb_endpoint_url)


def table_names(settings: Settings) -> TableNames:
    """Reads the DYNAMODB_*_TABLE settings."""
    from ..store.dynamodb.tables import TableNames  # noqa: PLC0415  # seldom needed

    return TableNames(
        **{name: getattr(settings.tables, name) for name in TableNames.__struct_fields__}
    )
