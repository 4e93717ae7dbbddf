"""Usage on its way to the store, for tests that have no journal."""

from __future__ import annotations


class Delivered:
    """Everything is in the store as soon as it is settled, and nobody has died."""

    def __init__(self, writer: str) -> None:
        self.writer = writer
        self.round = 1
        self.delivered = 1
        self.failing = False

    async def hold_inherited(self, account):
        """See `Deliveries.hold_inherited`."""

    def discard_settled(self):
        """See `Deliveries.discard_settled`."""
