"""The distributed store: the predecessor's tables in DynamoDB, and one table of ours.

The module of each port describes its items at its top. No transaction is used: every promise rests
on one conditional write to one item, and work of several writes is ordered so that it can be broken
off after any of them and done again.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ...aws.dynamodb import DynamoDB
from .audit import DynamoDBAudit
from .catalog import DynamoDBCatalog
from .kept_secrets import DynamoDBKeptSecrets
from .keys import DynamoDBKeys
from .ledger import DynamoDBLedger
from .owners import DynamoDBOwners
from .schema import check_tables
from .tables import TableNames, Tables
from .usage import DynamoDBUsage

__all__ = ["DynamoDBStore", "TableNames"]


class DynamoDBStore:
    """All ports over the tables of one account and region."""

    def __init__(
        self,
        connect: Callable[[], DynamoDB],
        names: TableNames = TableNames(),  # noqa: B008  # frozen
        *,
        usage_ttl_days: int | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`connect` makes a client in the running loop: the store may be made before a fork.

        `usage_ttl_days` is how long DynamoDB keeps usage records (not sums); None or 0: for ever.
        """
        self._tables = Tables(connect, names)
        self.ledger = DynamoDBLedger(self._tables)
        self.owners = DynamoDBOwners(self._tables)
        self.keys = DynamoDBKeys(self._tables, self.owners, self.ledger)
        self.usage = DynamoDBUsage(
            self._tables, self.ledger, ttl_days=usage_ttl_days or None, now=now
        )
        self.catalog = DynamoDBCatalog(self._tables)
        self.audit = DynamoDBAudit(self._tables)
        self.kept_secrets = DynamoDBKeptSecrets(self._tables)

    async def open(self) -> None:
        """See `Store.open`."""
        await self._tables.open()
        await check_tables(self._tables.client, self._tables.names)

    async def ping(self) -> None:
        """See `Store.ping`: one item that cannot be there is asked for."""
        await self._tables.get(self._tables.names.api_keys, {"api_key": "ping"})

    async def close(self) -> None:
        """See `Store.close`."""
        await self._tables.close()
