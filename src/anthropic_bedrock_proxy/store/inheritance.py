"""Holds what dead processes spent, until whoever found their journals has delivered it.

Their own holds lapse, and what the store does not know to be spent would be lent again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from .base import LASTING_SECONDS, Ledger
from .records import Account

_AT_ONCE: Final = 64  # accounts
_NOTHING: Final = (0, 0)
_UNKNOWN: Final = (-1, 0)

Costs = Mapping[str, Mapping[Account, int]]  # by writer


class Inheritance:
    """The holds of the dead whose usage this process has to deliver."""

    def __init__(self, ledger: Ledger, *, now: Callable[[], float]) -> None:
        self._ledger = ledger
        self._now = now
        # By writer, as this process has set it: how much, and when (epoch seconds).
        self._held: dict[str, dict[Account, tuple[int, int]]] = {}

    async def hold(self, tell: Callable[[], Awaitable[Costs]], only: Account | None = None) -> None:
        """Makes the ledger hold what `tell` says, of all accounts or one. Raises `StoreError`.

        It goes on until nothing has changed meanwhile: what was delivered is not to stay held.
        """
        while wanted := self._wanted(await tell(), only):
            for writer, holds in wanted.items():
                now = int(self._now())
                try:
                    await self._ledger.hold(holds, holder=writer, until=now + LASTING_SECONDS)
                except BaseException:  # it may have been done
                    self._held.setdefault(writer, {}).update(dict.fromkeys(holds, _UNKNOWN))
                    raise
                held = self._held.setdefault(writer, {})
                held.update({account: (nano, now) for account, nano in holds.items()})
                for ended in [account for account, nano in holds.items() if not nano]:
                    del held[ended]
                if not held:
                    del self._held[writer]

    def _wanted(self, costs: Costs, only: Account | None) -> dict[str, dict[Account, int]]:
        """Returns the holds that are not what they should be, some at once."""
        wanted: dict[str, dict[Account, int]] = {}
        left, lapsing = _AT_ONCE, int(self._now()) - LASTING_SECONDS // 2
        for writer in costs.keys() | self._held.keys():
            owed, held = costs.get(writer, {}), self._held.get(writer, {})
            for account in owed.keys() | held.keys() if only is None else (only,):
                nano = owed.get(account, 0)
                was, at = held.get(account, _NOTHING)
                if (nano != was or (nano and at < lapsing)) and left:
                    wanted.setdefault(writer, {})[account] = nano
                    left -= 1
        return wanted
