"""The outbox of the usage journal: what is closed, on its way to the store.

What it holds, in the order of delivery: closed segments of this process, and lines that the disk
refused; then the segments of dead processes (orphans.py). Delivered after a failed try, a segment
stays until budgets hold nothing for it any more (`settle`).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from .base.ledger import Account, Ledger
from .base.usage import UsageLog
from .inheritance import Inheritance
from .orphans import Orphans
from .segment import Lines, Segment

logger = logging.getLogger("anthropic_bedrock_proxy.journal")


class Outbox:
    """The segments that one process has to deliver: its own, and those that it found."""

    def __init__(self, directory: Path, ledger: Ledger | None, *, now: Callable[[], float]) -> None:
        """`ledger` holds the costs of dead processes until they are delivered."""
        self._directory = directory
        self._closed: list[Lines] = []
        self._settling: list[Lines] = []  # delivered after a failed try: `discard_settled`
        self._orphans = Orphans(directory)
        self._inheritance = None if ledger is None else Inheritance(ledger, now=now)

    def add(self, closed: Lines) -> None:
        """Takes over a closed segment, to be delivered after those that are here."""
        self._closed.append(closed)

    def adopt(self) -> None:
        """Takes over segments whose owners are dead."""
        self._orphans.adopt()

    @property
    def in_memory(self) -> int:
        """Counts the records that are in memory only."""
        return sum(len(closed.lines) for closed in self._closed)

    async def hold_inherited(self, account: Account | None = None) -> None:
        """Makes the ledger hold what dead processes spent, from all accounts or one.

        Raises `StoreError`, and `OSError` of the folder.
        """
        if self._inheritance is not None:
            await self._inheritance.hold(self._orphans.costs, account)

    async def deliver(self, log: UsageLog, *, settle: bool) -> int:
        """Moves this process's segments into `log`; returns how many records.

        With `settle` their files stay until `discard_settled`. Raises `StoreError`; what was not
        delivered then stays for the next call.
        """
        delivered = 0
        while self._closed:
            delivered += await self._deliver(self._closed[0], log)
            segment = self._closed.pop(0)
            if settle:
                self._settling.append(segment)
            else:
                self._discard(segment)
        return delivered

    async def deliver_adopted(self, log: UsageLog) -> int:
        """Delivers segments of dead processes until there are none; returns how many records.

        The files stay until the ledger holds nothing for them any more: if this process dies, the
        next one learns of these holds from them.
        """
        delivered = 0
        self._orphans.adopt()
        while self._orphans.adopted:
            await self.hold_inherited()
            adopted = list(self._orphans.adopted)
            for segment in adopted:
                if not segment.left_alone:
                    delivered += await self._deliver(segment, log)
                segment.costs = Counter()
            await self.hold_inherited()
            for segment in adopted:
                self._orphans.adopted.remove(segment)
                self._discard(segment)
            self._orphans.adopt()
        return delivered

    def discard_settled(self) -> None:
        """Deletes the segments that were delivered after a failed try."""
        for segment in self._settling:
            self._discard(segment)
        self._settling = []

    def save(self) -> bool:
        """Writes lines that are in memory only to files; False if the disk refuses them still."""
        for position, lines in enumerate(self._closed):
            if not isinstance(lines, Segment):
                try:
                    self._closed[position] = lines.save(self._directory)
                except OSError:
                    return False
        return True

    def close(self) -> None:
        """Unlocks every file and forgets it; what is still there is an orphan now."""
        for segment in (*self._closed, *self._settling):
            segment.close()
        self._orphans.close()
        self._closed, self._settling = [], []

    async def _deliver(self, segment: Lines, log: UsageLog) -> int:
        try:
            return await segment.deliver(log)
        except OSError as error:
            self._leave_alone(segment, error)
            return 0

    def _discard(self, segment: Lines) -> None:
        """Deletes and unlocks a delivered segment; only unlocks one that could not be read."""
        try:
            if not segment.left_alone:
                if segment.corrupt and isinstance(segment, Segment):
                    logger.warning(
                        "%s: %d lines hold no usage record, or not as it was written, and are set "
                        "aside in a .corrupt file",
                        segment.path,
                        len(segment.corrupt),
                    )
                segment.discard()
        except OSError as error:
            self._leave_alone(segment, error)
        segment.close()

    def _leave_alone(self, segment: Lines, error: OSError) -> None:
        segment.left_alone = True
        if isinstance(segment, Segment):
            self._orphans.leave_alone(segment.path, error)
