"""The reader of the request log: one request by its id, whichever worker here served it."""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from .record import RequestRecord, began_ms, decode
from .writer import SUFFIX

_CLOCKS_MS: Final = 60_000  # a clock may have been set back


def find(
    folder: Path,
    request_id: str,
    *,
    keep_seconds: float,
    now: Callable[[], float] = time.time,
) -> RequestRecord | None:
    """Returns the record of a request; None if there is none, or none any more. Reads files.

    What is older than `keep_seconds` is none any more, though it may not be deleted yet.
    """
    at_ms = began_ms(request_id)
    if at_ms is None or at_ms < (now() - keep_seconds) * 1000:
        return None
    wanted = b'"request_id":"%b"' % request_id.encode()
    for path in _segments(folder, at_ms):
        line = _line_with(path, wanted)
        if line is not None:
            try:
                return decode(line)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                return None  # of another version, or cut by a full disk
    return None


def _segments(folder: Path, at_ms: int) -> Iterator[Path]:
    """Yields the files that a request of that moment may be in: those written to after it."""
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            if path.stat().st_mtime * 1000 >= at_ms - _CLOCKS_MS:
                yield path
        except FileNotFoundError:
            continue  # deleted meanwhile


def _line_with(path: Path, wanted: bytes) -> bytes | None:
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as data:
            at = data.find(wanted)
            if at < 0:
                return None
            begin = data.rfind(b"\n", 0, at) + 1
            end = data.find(b"\n", at)
            return data[begin : end if end >= 0 else len(data)]
    except (OSError, ValueError):  # deleted meanwhile, or empty
        return None
