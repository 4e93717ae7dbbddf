"""Holds for dead processes' usage, until the process that found their journals has delivered it.

Their own holds lapse, and money that the store does not know to be spent would be lent again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from .base.ledger import LASTING_SECONDS, Account, Ledger

_AT_ONCE: Final = 64  # accounts
_NOTHING: Final = (0, 0)
_UNKNOWN: Final = (-1, 0)

Costs = Mapping[str, Mapping[Account, int]]  # by writer


class Inheritance:
    """The holds of dead processes whose usage this process has to deliver."""

    def __init__(self, ledger: Ledger, *, now: Callable[[], float]) -> None:
        self._ledger = ledger
        self._now = now
        # By writer: (nano-dollars, epoch seconds) as this process has set them last.
        self._held: dict[str, dict[Account, tuple[int, int]]] = {}

    async def hold(self, tell: Callable[[], Awaitable[Costs]], only: Account | None = None) -> None:
        """Makes the ledger hold the costs that `tell` returns, of all accounts or one.

        It repeats until nothing has changed meanwhile: delivered costs must not stay held. Raises
        `StoreError`.
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
        """Returns holds that differ from the costs or lapse soon, up to `_AT_ONCE`."""
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
