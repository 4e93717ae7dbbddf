"""The usage journal: what a request used is in a local file before its answer ends.

`append` is one write, without a store round trip; once it has returned, the death of the process
(kill -9 included) does not lose the record. `drain` moves closed segments, the own one and those
of dead processes, into the store in batches, and deletes a segment only when the store has all of
it. The store counts a record once however often it comes, so doubt is settled by sending again.
If the disk refuses a line, it stays in memory and goes to the store from there; callers of
`append` never see it. Everything here runs on the thread of one event loop.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import msgspec

from .base import StoreError, UsageLog
from .records import UsageRecord
from .segment import BATCH, Segment, decode

LONGEST_PAUSE_SECONDS = 30.0

logger = logging.getLogger("anthropic_bedrock_proxy.journal")


class Journal:
    """The journal of one process in a directory that many share.

    `memory_limit` bounds the records kept while the disk refuses them.
    """

    def __init__(self, directory: Path, *, memory_limit: int = 100_000) -> None:
        self._directory = directory
        self._memory_limit = memory_limit
        self._encode = msgspec.json.Encoder().encode
        self._active: Segment | None = None  # opened by the first append, so after the fork
        self._closed: Segment | None = None  # full of what the store has not taken yet
        self._in_memory: list[bytes] = []
        self._dropped = 0
        self._refused = False
        self._left_alone: set[Path] = set()
        self._draining = asyncio.Lock()

    def append(self, record: UsageRecord) -> None:
        """Writes the record down. Never raises for a disk that fails."""
        line = self._encode(record) + b"\n"
        try:
            active = self._active
            if active is None or active.pid != os.getpid():
                active = self._start()
            active.append(line)
        except OSError as error:
            self._keep(line, error)
        else:
            if self._refused:
                self._refused = False
                logger.warning("usage is written to %s again", self._directory)

    async def drain(self, log: UsageLog) -> int:
        """Moves everything closed into `log`; returns how many records were delivered.

        Raises `StoreError`; what was not delivered then stays for the next call.
        """
        async with self._draining:
            self._forget_parent()
            try:
                # What an earlier drain could not deliver goes first; the own segment is not
                # rotated before, so an outage of the store leaves two files, not one per drain.
                delivered = await self._deliver_closed(log)
                if self._active is not None and self._active.size:
                    self._closed, self._active = self._active, None
                    delivered += await self._deliver_closed(log)
                delivered += await self._deliver_in_memory(log)
                for orphan in self._orphans():
                    try:
                        delivered += await self._deliver(orphan, log)
                    finally:
                        orphan.close()
            except StoreError:
                self._save_memory()
                raise
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
            except StoreError as error:
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

    async def close(self, log: UsageLog) -> None:
        """Drains once more. What the store does not take waits on disk for the next start."""
        try:
            await self.drain(log)
        except StoreError as error:
            logger.warning("usage waits in %s: %s", self._directory, error)
        if self._in_memory:
            logger.critical("%d usage records are lost: no disk, no store", len(self._in_memory))
            self._in_memory.clear()
        for segment in (self._active, self._closed):
            if segment is not None:
                if not segment.size:
                    segment.discard()
                segment.close()
        self._active = self._closed = None

    def _start(self) -> Segment:
        self._forget_parent()
        self._active = Segment.create(self._directory)
        return self._active

    def _forget_parent(self) -> None:
        """After a fork, the files opened before it are the parent's to write and to delete."""
        if self._active is not None and self._active.pid != os.getpid():
            self._active.close()
            self._active = None
        if self._closed is not None and self._closed.pid != os.getpid():
            self._closed.close()
            self._closed = None

    def _keep(self, line: bytes, error: OSError) -> None:
        if self._active is not None and self._active.torn:
            # Orphaned on purpose: nothing may be written behind half a line.
            self._active.close()
            self._active = None
        if not self._refused:
            self._refused = True
            logger.error(
                "usage cannot be written to %s (%s); it is kept in memory until the store has it",
                self._directory,
                error.strerror or error,
            )
        if len(self._in_memory) < self._memory_limit:
            self._in_memory.append(line)
            return
        if not self._dropped:
            logger.critical("memory for usage is full; records are lost from here on")
        self._dropped += 1

    async def _deliver_closed(self, log: UsageLog) -> int:
        if self._closed is None:
            return 0
        delivered = await self._deliver(self._closed, log)
        self._closed.close()
        self._closed = None
        return delivered

    async def _deliver(self, segment: Segment, log: UsageLog) -> int:
        delivered = 0
        try:
            delivered = await segment.deliver(log)
            if segment.corrupt:
                logger.warning(
                    "%s: %d lines hold no usage record and are set aside in a .corrupt file",
                    segment.path,
                    len(segment.corrupt),
                )
            segment.discard()
        except OSError as error:
            self._leave_alone(segment.path, error)
        return delivered

    async def _deliver_in_memory(self, log: UsageLog) -> int:
        delivered = 0
        while batch := self._in_memory[:BATCH]:
            records, _ = decode(batch)
            await log.append(records)
            del self._in_memory[: len(batch)]
            delivered += len(records)
        if self._dropped:
            logger.critical("%d usage records were lost while memory was full", self._dropped)
            self._dropped = 0
        return delivered

    def _save_memory(self) -> None:
        """Neither disk nor store took these lines so far; the disk may have recovered."""
        waiting, self._in_memory = self._in_memory, []
        for position, line in enumerate(waiting):
            try:
                (self._active or self._start()).append(line)
            except OSError:
                self._in_memory = waiting[position:]
                return

    def _orphans(self) -> Iterator[Segment]:
        """The segments whose owners are dead, each locked."""
        for path in sorted(self._directory.glob("usage-*.jsonl")):
            if path in self._left_alone:
                continue
            try:
                segment = Segment.adopt(path)
            except FileNotFoundError:
                continue  # another process delivered it
            except OSError as error:
                self._leave_alone(path, error)
                continue
            if segment is not None:
                yield segment

    def _leave_alone(self, path: Path, error: OSError) -> None:
        """Until the next start: a file that fails now fails every second."""
        self._left_alone.add(path)
        logger.error("%s: %s; left for the next start", path, error.strerror or error)
