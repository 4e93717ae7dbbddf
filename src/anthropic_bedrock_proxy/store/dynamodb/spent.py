"""Spending in DynamoDB: one item for an owner's month, so that a batch costs it one write.

Partition "spent#<owner>", sort key the month: `month`, and "d<day>" of each of its days, in
nano-dollars; "w#<writer>" see `once.py`. An owner's total is the sum of the months.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from ...aws.dynamodb_values import Item
from ..base.ledger import TOTAL, Account
from .each import each
from .items import ItemChange
from .once import Delivery, change_once
from .tables import Tables

_DAY: Final = re.compile(r"d\d\d")


class Spent:
    """The months of all owners."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def add(self, spending: Mapping[Account, int], delivery: Delivery) -> None:
        """Adds the cost of a batch, once for a delivery."""
        months: dict[tuple[str, str], dict[str, int]] = {}
        for account, nano in spending.items():
            if account.period != TOTAL:
                month = months.setdefault((account.owner, account.period[:7]), {})
                month[_attribute(account.period)] = nano

        async def add(month: tuple[str, str]) -> None:
            await change_once(self._tables, _key(*month), delivery, _adding(months[month]))

        await each(add, months)

    async def by_period(self, owner: str, period: str = TOTAL) -> dict[str, int]:
        """Returns nano-dollars by period: those of the period's month; for "total", all."""
        state, pk = self._tables.names.state, _key(owner, "")["pk"]
        if period == TOTAL:
            months = [item async for item in self._tables.query(state, "#pk = :pk", {":pk": pk})]
        else:
            item = await self._tables.get(state, _key(owner, period[:7]))
            months = [] if item is None else [item]
        spent: dict[str, int] = {}
        for item in months:
            for name, nano in item.items():
                if name == "month":
                    spent[item["sk"]] = nano
                    spent[TOTAL] = spent.get(TOTAL, 0) + nano
                elif _DAY.fullmatch(name):
                    spent[f"{item['sk']}-{name[1:]}"] = nano
        return spent


def _adding(spent: Mapping[str, int]) -> ItemChange:
    return ItemChange(
        update="ADD " + ", ".join(f"#{name} :{name}" for name in spent),
        names={f"#{name}": name for name in spent},
        values={f":{name}": nano for name, nano in spent.items()},
    )


def _attribute(period: str) -> str:
    """Returns the attribute of a month's item that holds the spending of a period."""
    return f"d{period[8:]}" if period[8:] else "month"


def _key(owner: str, month: str) -> Item:
    return {"pk": f"spent#{owner}", "sk": month}
