"""What dead processes spent is held, by whoever finds their journals, until it is delivered.

Usually it is delivered at once, and nothing has to be held. But while it cannot be delivered, the
holds of the dead lapse, and their budgets would be lent again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from ...store.base import Ledger, StoreError
from ...store.records import Account
from .upkeep import LASTING_SECONDS, Deliveries

_SECONDS: Final = 5.0
_AT_ONCE: Final = 64  # accounts


class Inheritance:
    """The holds of the dead whose usage this process has to deliver."""

    def __init__(self, ledger: Ledger, deliveries: Deliveries, *, now: Callable[[], float]) -> None:
        self._ledger = ledger
        self._deliveries = deliveries
        self._now = now
        self._held: dict[str, dict[Account, int]] = {}  # by writer, as this process has set it

    async def run(self, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Holds what is found at the start, and what is found later and not delivered at once."""
        while True:
            with contextlib.suppress(StoreError, OSError):  # others tell that; it is tried again
                await self.hold()
            await sleep(_SECONDS)

    async def hold(self, account: Account | None = None) -> None:
        """Makes the ledger hold what is undelivered, of all accounts or one.

        Raises `StoreError`, and `OSError` of the journal's folder.
        """
        while wanted := self._wanted(await self._deliveries.inherited(), account):
            # As long as it takes: what was delivered while its hold was set is held no more.
            for writer, holds in wanted.items():
                until = int(self._now()) + LASTING_SECONDS
                await self._ledger.hold(holds, holder=writer, until=until)
                held = self._held.setdefault(writer, {})
                held.update(holds)
                for done in [one for one, nano in holds.items() if not nano]:
                    del held[done]
                if not held:
                    del self._held[writer]

    def _wanted(
        self, inherited: Mapping[str, Mapping[Account, int]], only: Account | None
    ) -> dict[str, dict[Account, int]]:
        """Returns holds that are not what they should be, some at once."""
        wanted: dict[str, dict[Account, int]] = {}
        left = _AT_ONCE
        for writer in inherited.keys() | self._held.keys():
            costs, held = inherited.get(writer, {}), self._held.get(writer, {})
            for account in costs.keys() | held.keys() if only is None else (only,):
                nano = costs.get(account, 0)
                if nano != held.get(account, 0) and left:
                    wanted.setdefault(writer, {})[account] = nano
                    left -= 1
        return wanted
