"""The store that the settings name."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from ..config import Settings
from ..store.select import store_from_url

if TYPE_CHECKING:
    from ..aws.dynamodb import DynamoDB
    from ..aws.resolver.resolver import Resolver
    from ..store.base.store import Store
    from ..store.dynamodb.tables import TableNames


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


def make_journal_folder(settings: Settings) -> None:
    """Makes the folder of the journal, at a start of `serve` and never again.

    One that was moved away, or whose disk was unmounted, is to be put back: a new one would be in
    its way, and hide from people that it is gone. Never raises: the journal tells of a disk that
    fails, and usage stays in memory meanwhile.
    """
    with contextlib.suppress(OSError):
        settings.store.journal_path.mkdir(mode=0o700, parents=True, exist_ok=True)


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
