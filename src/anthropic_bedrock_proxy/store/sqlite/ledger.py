"""Budgets in the SQLite file. The cost of usage is spent where usage is appended."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from ..base.ledger import Account, Standing
from .file import SQLiteFile
from .schema import QUERIES, transaction


class SQLiteLedger:
    """Money spent by account, and holds by account and holder (a `Ledger`)."""

    def __init__(self, file: SQLiteFile) -> None:
        self._file = file

    async def borrow(
        self,
        account: Account,
        *,
        holder: str,
        amount_nano: int,
        budget_nano: int,
        now: int,
        until: int,
    ) -> tuple[int, Standing]:
        """See `Ledger.borrow`."""
        of = {"owner": account.owner, "period": account.period}

        def work(connection: sqlite3.Connection) -> tuple[int, Standing]:
            with transaction(connection):
                connection.execute(
                    QUERIES["remove_lapsed_holds"], {"owner": account.owner, "now": now}
                )
                row = connection.execute(QUERIES["get_standing"], of | {"holder": holder})
                spent, others, mine = row.fetchone()
                granted = max(0, min(amount_nano, budget_nano - spent - others - mine))
                if granted:
                    hold = {"holder": holder, "granted": granted, "until": until}
                    connection.execute(QUERIES["hold"], of | hold)
                return granted, Standing(account, spent, others + max(0, mine + granted))

        return await self._file.run(work)

    async def give_back(self, account: Account, *, holder: str, amount_nano: int) -> None:
        """See `Ledger.give_back`."""
        parameters = (amount_nano, account.owner, account.period, holder)
        await self._file.run(lambda connection: connection.execute(QUERIES["let_go"], parameters))

    async def renew(self, accounts: Sequence[Account], *, holder: str, until: int) -> None:
        """See `Ledger.renew`."""
        rows = [(until, account.owner, account.period, holder) for account in accounts]

        def work(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                connection.executemany(QUERIES["renew"], rows)

        await self._file.run(work)

    async def hold(self, holds: Mapping[Account, int], *, holder: str, until: int) -> None:
        """See `Ledger.hold`."""

        def work(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                for account, nano in holds.items():
                    key = (account.owner, account.period, holder)
                    if nano:
                        connection.execute(QUERIES["set_hold"], (*key, nano, until))
                    else:
                        connection.execute(QUERIES["remove_hold"], key)

        await self._file.run(work)

    async def standings(self, owner: str, *, now: int) -> Sequence[Standing]:
        """See `Ledger.standings`."""
        return await self._file.run(
            lambda connection: [
                Standing(Account(owner, row["period"]), row["spent_nano"], row["held_nano"])
                for row in connection.execute(
                    QUERIES["list_standings"], {"owner": owner, "now": now}
                )
            ]
        )

    async def import_spent(self, account: Account, spent_nano: int) -> bool:
        """See `Ledger.import_spent`."""
        parameters = {"owner": account.owner, "period": account.period, "spent_nano": spent_nano}
        return await self._file.run(
            lambda connection: connection.execute(QUERIES["import_spent"], parameters).rowcount > 0
        )


def spend(connection: sqlite3.Connection, spending: dict[Account, int], holder: str) -> None:
    """Adds the cost of recorded usage, and takes it off the holds of `holder`.

    Within a transaction of the caller.
    """
    connection.executemany(
        QUERIES["spend"],
        [(account.owner, account.period, nano) for account, nano in spending.items()],
    )
    connection.executemany(
        QUERIES["let_go"],
        [(nano, account.owner, account.period, holder) for account, nano in spending.items()],
    )
