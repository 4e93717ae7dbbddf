"""The port of budgets, and its records. Money is integer nano-dollars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import msgspec

CHARGED: Final = ("key", "user", "team")  # kinds of owners
TOTAL: Final = "total"  # the period that never ends
DAY_MS: Final = 86_400_000  # usage and budgets are kept by days of UTC, which have no leap seconds


def owner_of(kind: str, identifier: str) -> str:
    """Names an owner, as accounts and limits know it: "key:<id>", "user:<id>" or "team:<id>"."""
    return f"{kind}:{identifier}"


def owners_of(key_id: str, user_id: str | None, team_id: str | None) -> list[str]:
    """Names the owners that a request is charged to: its key, and the user and team of that."""
    owners = [owner_of("key", key_id)]
    if user_id:
        owners.append(owner_of("user", user_id))
    if team_id:
        owners.append(owner_of("team", team_id))
    return owners


class Account(msgspec.Struct, frozen=True, order=True, gc=False, cache_hash=True):
    """An account that budgets are spent from: an owner in a period."""

    owner: str  # see `owner_of`
    period: str  # "2026-11", "2026-11-23" (UTC) or `TOTAL`


class Standing(msgspec.Struct, frozen=True):
    """The money spent from an account by recorded usage, and the holds of processes beside it."""

    account: Account
    spent_nano: int = 0
    held_nano: int = 0  # of holds that have not lapsed


# Seconds for which a hold lasts that is only for undelivered usage: nobody may borrow that money,
# and the hold is to outlive a restart. The store ends it when the usage is delivered.
LASTING_SECONDS: Final = 86_400


class Ledger(Protocol):
    """The money spent per account, and what processes hold of the rest.

    A hold lapses unless its process renews it, so that a dead one blocks nobody. It may be
    negative: the process has spent more than it held. For others that counts as 0; what the process
    borrows next makes up for it first.
    """

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
        """Adds to what `holder` holds as much of `amount_nano` as the budget has left.

        Returns what was granted (maybe 0), and the standing afterwards. However many borrow at
        once, spent and held together never exceed the budget by it. Times in epoch seconds.
        """
        ...

    async def give_back(self, account: Account, *, holder: str, amount_nano: int) -> None:
        """Ends a part of a hold that was not spent; a negative amount adds to the hold."""
        ...

    async def renew(self, accounts: Sequence[Account], *, holder: str, until: int) -> None:
        """Keeps the holds of a living process."""
        ...

    async def hold(self, holds: Mapping[Account, int], *, holder: str, until: int) -> None:
        """Sets the holds of `holder` to these amounts until then, lapsed ones too; 0 ends one.

        They may exceed what a budget has left: the money is known to be spent already.
        """
        ...

    async def standings(self, owner: str, *, now: int) -> Sequence[Standing]:
        """Lists every period of an owner, oldest first; "total" last."""
        ...

    async def import_spent(self, account: Account, spent_nano: int) -> bool:
        """Records what was spent elsewhere; False, and nothing done, if the account exists."""
        ...
