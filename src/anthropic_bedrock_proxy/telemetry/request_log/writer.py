"""The writer of the request log: a line for each request, in files that are bounded together.

Theory of operation:
- Records are gathered for a moment and handed to a thread, so that a slow disk keeps no request
  waiting. What the thread cannot get rid of is dropped, and counted: the log tells when that
  begins, and how much it was.
- A worker writes to a segment of its own. It begins another when that is large or old, and then
  deletes segments that are too old or too many bytes together: also what another worker, which is
  quiet, has open, so it looks whether its own is still there. A worker that is idle deletes, too.
- A segment's name begins with the moment it was begun; a request is in one that was written to
  after it began: that is how one is found (reader.py).

    019d2f3c41a-4711-9f3e.jsonl     begun at that millisecond, by process 4711
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from secrets import token_hex
from threading import Thread
from typing import BinaryIO, Final

import msgspec

from ...gateway.exchange import Exchange
from ...redaction import hide_accounts, shown
from ...timeline import UpstreamRequest
from ..access_log import RequestLine
from ..gathering import Gathering
from .allowance import KeylessAllowance
from .record import BudgetState, RequestRecord, encode

SEGMENTS: Final = 16  # that the allowed bytes are divided into
SEGMENT_SECONDS: Final = 900.0
SUFFIX: Final = ".jsonl"
_GATHER_SECONDS: Final = 1.0
_GATHER_BYTES: Final = 1024 * 1024
_MAX_WAITING: Final = 64  # batches for the thread: 4 MiB and more
_CLOSE_SECONDS: Final = 2.0
_log = logging.getLogger("anthropic_bedrock_proxy.telemetry")


class RequestLog:
    """Writes the records of one worker. Belongs to one event loop."""

    def __init__(
        self,
        folder: Path,
        *,
        max_bytes: int,
        keep_seconds: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._segments = Segments(folder, max_bytes=max_bytes, keep_seconds=keep_seconds, now=now)
        self._records = Gathering(self._hand_over, seconds=_GATHER_SECONDS, most=_GATHER_BYTES)
        self.flush = self._records.flush
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._loss = _Loss()
        self._keyless = KeylessAllowance()
        self._thread = Thread(target=self._write, name="request-log", daemon=True)
        self._thread.start()

    def __call__(self, line: RequestLine, encoded: bytes, exchange: Exchange) -> None:
        """Notes a request that has ended, unless there is nothing to explain of it."""
        if not line.model and line.error is None:
            return
        keyless = line.error is not None and not line.key_id and not exchange.timeline.upstream
        if keyless and not self._keyless.take(exchange.ended):
            return
        record = encode(record_of(exchange, msgspec.Raw(encoded))) + b"\n"
        self._records.add(record, len(record))

    def close(self) -> None:
        """Writes what is left, if the disk takes it soon."""
        self.flush()
        self._queue.put(None)
        self._thread.join(_CLOSE_SECONDS)

    def _hand_over(self, records: list[bytes]) -> None:
        """Hands what has gathered to the thread."""
        if self._queue.qsize() >= _MAX_WAITING:
            self._loss.count(len(records), "the disk is too slow")
            return
        self._loss.end()
        self._queue.put(b"".join(records))

    def _write(self) -> None:
        while True:
            self._segments.tidy()
            with contextlib.suppress(Empty):
                while (batch := self._queue.get(timeout=SEGMENT_SECONDS)) is not None:
                    self._segments.write(batch)
                self._segments.close()
                return


class _Loss:
    """Counts records that are lost, and tells when that begins and when it has ended."""

    def __init__(self) -> None:
        self._records = 0

    def count(self, records: int, why: str | None) -> None:
        if not self._records:
            _log.warning("requests cannot be noted for `explain`: %s", why)
        self._records += records

    def end(self) -> None:
        if self._records:
            _log.info("requests are noted for `explain` again, %d were not", self._records)
            self._records = 0


class Segments:
    """The files, as the thread sees them. It never raises: requests matter more."""

    def __init__(
        self, folder: Path, *, max_bytes: int, keep_seconds: float, now: Callable[[], float]
    ) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._keep_seconds = keep_seconds
        self._now = now
        self._file: BinaryIO | None = None
        self._begun = 0.0
        self._loss = _Loss()

    def write(self, batch: bytes) -> None:
        """Appends whole lines; without a disk that takes them, they are lost."""
        try:
            file = self._open()
            file.write(batch)
            file.flush()
            self._loss.end()
        except OSError as error:
            self.close()
            self._loss.count(batch.count(b"\n"), error.strerror)

    def tidy(self) -> None:
        """Closes the open segment if it is old, and deletes what is not kept any more."""
        if self._file is not None and self._is_old():
            self.close()
        with contextlib.suppress(OSError):  # `write` tells of it
            self._prune()

    def close(self) -> None:
        """Closes the open segment."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None

    def _open(self) -> BinaryIO:
        file, now = self._file, self._now()
        if file is not None:
            is_there = os.fstat(file.fileno()).st_nlink  # else another worker has deleted it
            if is_there and not self._is_old() and file.tell() < self._max_bytes // SEGMENTS:
                return file
            self.close()
        # Not its parents: where the data should be mounted, nothing of ours may stand.
        self._folder.mkdir(mode=0o700, exist_ok=True)
        name = f"{int(now * 1000):011x}-{os.getpid()}-{token_hex(2)}{SUFFIX}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        file = self._file = open(os.open(self._folder / name, flags, 0o600), "ab")  # noqa: PTH123, SIM115  # with a mode; kept open
        self._begun = now
        self._prune()
        return file

    def _is_old(self) -> bool:
        return self._now() - self._begun >= min(SEGMENT_SECONDS, self._keep_seconds)

    def _prune(self) -> None:
        """Deletes what is too old, and the oldest of what is too much."""
        total, oldest = 0, self._now() - self._keep_seconds
        for path in sorted(self._folder.glob(f"*{SUFFIX}"), reverse=True):
            with contextlib.suppress(FileNotFoundError):  # another worker was faster
                found = path.stat()
                total += found.st_size
                if found.st_mtime < oldest or total > self._max_bytes:
                    path.unlink()


def record_of(exchange: Exchange, line: msgspec.Raw) -> RequestRecord:
    """Makes the record of a request that has ended; `line` is its line as JSON."""
    timeline = exchange.timeline
    return RequestRecord(
        line=line,
        started=exchange.started,
        ended=exchange.ended,
        received=exchange.received,
        admitted=exchange.admitted,
        told=exchange.told,
        limits=exchange.limits,
        budgets=tuple(
            BudgetState(
                one.budget.account.owner,
                one.budget.period,
                one.budget.nano,
                one.remaining,
                one.budget.resets_at,
            )
            for one in exchange.slices
        )
        if exchange.slices
        else (),
        dropped=shown(exchange.dropped) if exchange.dropped else (),
        warnings=shown(exchange.warnings) if exchange.warnings else (),
        switches=exchange.switches,
        upstream=_without_accounts(timeline.upstream),
        tools=timeline.tools,
        served_by=exchange.served_by,
        service_tier=exchange.service_tier,
        error_message=exchange.error_message,
    )


def _without_accounts(upstream: Sequence[UpstreamRequest]) -> Sequence[UpstreamRequest]:
    for made in upstream:
        if made.bedrock_model_id.startswith("arn:"):
            return [
                msgspec.structs.replace(made, bedrock_model_id=hide_accounts(made.bedrock_model_id))
                for made in upstream
            ]
    return upstream
