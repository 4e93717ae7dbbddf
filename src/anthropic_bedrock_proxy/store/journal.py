"""The usage journal: a request's usage is in a local file before its answer ends.

Theory of operation:
- `append` writes one line to the active segment, without a store round trip. Once it has returned,
  the death of the process (kill -9 included) does not lose the record.
- `drain` closes the active segment and moves closed ones into the store in batches (outbox.py): its
  own, then those of dead processes. A segment is deleted only when the store has all of it. The
  store counts a record once however often it comes, so doubt is settled by sending again.
- A line that the disk refuses stays in memory and goes to the store from there; callers of `append`
  never see it.
- A store may rely on order: the batches of a writer reach it with growing numbers, and one that
  failed comes again before the next, also when another process goes on with it.
- Budgets ask for rounds: `round` is the round of delivery that will take what is appended now, and
  the store has everything up to round `delivered`. They say when files that were delivered after a
  failed try may go: `discard_settled`.
- Everything here runs on the thread of one event loop.

Example: process a1 drains every second; at 2 s the store is down, at 3 s the process is killed.

    second  files of a1                            round  delivered
    0       1200 lines in segment 1                  1        0
    1       segment 1 delivered and deleted          2        1      batches of 500, 500, 200
    1-2     3 lines in segment 2                     2        1
    2       segment 2 closed; its batch failed       3        1
    2-3     2 lines in segment 3                     3        1
    3       segments 2 and 3, no longer locked
    4       (none)                                                   process b2 delivers both

Process b2 sends segment 2 first, as the same batch that a1 tried, so nothing is counted twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from secrets import token_hex

from .base.errors import StoreError
from .base.ledger import Account, Ledger
from .base.usage import UsageLog, UsageRecord
from .outbox import Outbox
from .segment import Lines, Name, Segment, encode

LONGEST_PAUSE_SECONDS = 30.0

logger = logging.getLogger("anthropic_bedrock_proxy.journal")


class Journal:
    """The journal of one process in a directory that many share.

    `writer` names this process to the store and must be new; by default it is random. It stands in
    the names of files. `memory_limit` bounds the records kept while the disk refuses them.
    """

    def __init__(
        self,
        directory: Path,
        ledger: Ledger | None = None,
        *,
        writer: str | None = None,
        memory_limit: int = 100_000,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`ledger` holds the costs of dead processes until they are delivered."""
        self._directory = directory
        self._memory_limit = memory_limit
        self._pid = os.getpid()
        self._writer = writer or _new_writer()
        self._appended = 0  # records since the last rotation
        self._behind = 0  # records before it that the store has not got
        self._numbers = 0  # the last number of a segment (or `Lines`) of this writer
        self._active: Segment | None = None  # opened by the first append, so after the fork
        self._in_memory: list[bytes] = []  # refused by the disk; for after `_active`
        self._dropped = 0
        self._refused = False
        self._outbox = Outbox(directory, ledger, now=now)
        self._draining = asyncio.Lock()
        # For budgets, see above; `failing`: the last round failed.
        self.round = 1
        self.delivered = 0
        self.failing = False

    @property
    def writer(self) -> str:
        """Returns the name of this process in its usage (`UsageBatch.writer`); new after a fork."""
        self._forget_parent()
        return self._writer

    @property
    def undelivered(self) -> int:
        """Counts the records of this process that the store has not got yet."""
        return self._behind + self._appended

    def append(self, record: UsageRecord) -> None:
        """Writes the record down. Never raises for a disk that fails."""
        line = encode(record)
        self._appended += 1
        try:
            active = self._active
            if active is None or self._pid != os.getpid():
                active = self._start()
            active.append(line)
        except OSError as error:
            self._keep(line, error)
        else:
            if self._refused:
                self._refused = False
                logger.warning("usage is written to %s again", self._directory)

    async def hold_inherited(self, account: Account | None = None) -> None:
        """Makes the ledger hold what dead processes spent, from all accounts or one.

        Raises `StoreError`, and `OSError` of the folder.
        """
        await self._outbox.hold_inherited(account)

    async def drain(self, log: UsageLog) -> int:
        """Moves everything closed into `log`; returns how many records were delivered.

        Raises `StoreError`; what was not delivered then stays for the next call.
        """
        async with self._draining:
            self._forget_parent()
            with contextlib.suppress(StoreError, OSError):  # our own usage does not wait for these
                self._outbox.adopt()
                await self.hold_inherited()
            try:
                # What an earlier drain could not deliver goes first; the own segment is not
                # rotated before, so an outage of the store leaves two files, not one per drain.
                delivered = await self._deliver(log)
                self._rotate()
                delivered += await self._deliver(log)
                delivered += await self._outbox.deliver_adopted(log)
            except StoreError:
                self.failing = True
                self._save_memory()
                raise
            self.failing = False
            return delivered

    async def run(
        self,
        log: UsageLog,
        *,
        interval_seconds: float = 1.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Drains every `interval_seconds` until cancelled; less and less often while it fails."""
        pause = interval_seconds
        down = False
        while True:
            try:
                delivered = await self.drain(log)
            except (StoreError, OSError) as error:  # the latter of the journal's own folder
                pause = max(interval_seconds, min(pause * 2, LONGEST_PAUSE_SECONDS))
                if not down:
                    logger.error("usage stays in %s: %s", self._directory, error)  # noqa: TRY400  # an outage is not a bug: no traceback
                down = True
            else:
                pause = interval_seconds
                if down:
                    logger.warning("usage reaches the store again, %d records now", delivered)
                down = False
            await sleep(pause)

    async def finish(self, log: UsageLog) -> None:
        """Drains once more. What the store does not take waits on disk for the next start."""
        try:
            await self.drain(log)
        except (StoreError, OSError) as error:
            logger.warning("usage waits in %s: %s", self._directory, error)

    def discard_settled(self) -> None:
        """Deletes the files that are delivered, and had failed before.

        While delivery failed, budgets may have come to hold more than is undelivered, and for long.
        They call this once no such hold is left: if this process dies before, whoever finds the
        files ends its holds.
        """
        self._forget_parent()
        self._outbox.discard_settled()

    def close(self) -> None:
        """Unlocks the files, for other processes. After `finish`, and after budgets have closed."""
        self._forget_parent()
        if lost := self._kept():
            logger.critical("%d usage records are lost: no disk, no store", lost)
        if self._active is not None and not self._active.size:
            self._active.discard()
        self._forget()

    def _start(self) -> Segment:
        self._forget_parent()
        self._active = Segment.create(self._directory, self._name())
        return self._active

    def _name(self) -> Name:
        self._numbers += 1
        return Name(self._writer, self._numbers)

    def _rotate(self) -> None:
        """Closes the active segment and the lines in memory, and begins the next round."""
        self.round += 1
        self._behind, self._appended = self._behind + self._appended, 0
        if self._active is not None and (self._active.size or self._in_memory):
            # Also if it is empty: its number comes before that of the lines in memory.
            self._outbox.add(self._active)
            self._active = None
        if self._in_memory:
            self._outbox.add(Lines(self._name(), self._in_memory))
            self._in_memory = []
        if self._dropped:
            logger.critical("%d usage records were lost while memory was full", self._dropped)
            self._dropped = 0

    def _forget_parent(self) -> None:
        """Forgets, after a fork, what was written before: the parent delivers and deletes that."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._writer, self._numbers = _new_writer(), 0
            self._forget()

    def _forget(self) -> None:
        if self._active is not None:
            self._active.close()
        self._outbox.close()
        self._active = None
        self._in_memory = []

    def _kept(self) -> int:
        """Counts the records that are in memory only."""
        return len(self._in_memory) + self._outbox.in_memory

    def _keep(self, line: bytes, error: OSError) -> None:
        if self._active is not None and self._active.torn:
            # Nothing may be written behind half a line.
            self._outbox.add(self._active)
            self._active = None
        if not self._refused:
            self._refused = True
            logger.error(
                "usage cannot be written to %s (%s); it is kept in memory until the store has it",
                self._directory,
                error.strerror or error,
            )
        if self._kept() < self._memory_limit:
            self._in_memory.append(line)
            return
        if not self._dropped:
            logger.critical("memory for usage is full; records are lost from here on")
        self._dropped += 1

    async def _deliver(self, log: UsageLog) -> int:
        delivered = await self._outbox.deliver(log, settle=self.failing)
        self.delivered = self.round - 1
        self._behind = 0
        return delivered

    def _save_memory(self) -> None:
        """Writes the lines that neither disk nor store took so far: the disk may have recovered."""
        if not self._outbox.save():
            return
        waiting, self._in_memory = self._in_memory, []
        for position, line in enumerate(waiting):
            try:
                (self._active or self._start()).append(line)
            except OSError:
                self._in_memory = waiting[position:]
                return


def _new_writer() -> str:
    return token_hex(6)
