"""The program of the child process: reads pages, one after the other, until its stdin ends.

Started as `python -m …fetch.reading.worker MEMORY SECONDS`: bytes of address space, and the CPU
that one page may take; by the clock it may take twice as much. After half of it trafilatura is
stopped, which leaves the other half to a simpler reading; where that is too slow, too, the kernel
ends the process, be it in a library of C or without a parent by then. It is given no secrets, opens
nothing and writes nothing; what a page makes of it can end no more than the reading of that page.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import BinaryIO, Final

import msgspec

from .frames import (
    MAX_TEXT,
    NO_MEMORY,
    NO_PACKAGES,
    NO_TEXT,
    NO_TIME,
    ReadingAnswer,
    ReadingOrder,
    frame,
    read_frame,
)
from .markup import HTML, SlowPageError, decode_body, read_html

_MAX_RESIDENT: Final = 256 * 1024 * 1024  # bytes: a process that has more ends, and gives it back
_MAX_FILES: Final = 32


def answer(order: ReadingOrder, body: bytes) -> ReadingAnswer:
    """Reads one page."""
    text = decode_body(body, order.charset)
    if text is None:
        return ReadingAnswer(failure=NO_TEXT)
    title: str | None = None
    if order.media_type in HTML:
        try:
            title, text = read_html(text, order.url)
        except ImportError:
            return ReadingAnswer(failure=NO_PACKAGES)
    return ReadingAnswer(title=title, text=text[:MAX_TEXT])


def serve(stdin: BinaryIO, stdout: BinaryIO, *, seconds: int) -> None:
    """Answers until `stdin` ends, or the process has grown too large."""
    while (head := read_frame(stdin)) is not None and (body := read_frame(stdin)) is not None:
        signal.setitimer(signal.ITIMER_REAL, 2 * seconds)
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds / 2)
        _limit_cpu(seconds)
        try:
            found = answer(msgspec.json.decode(head, type=ReadingOrder), body)
        except SlowPageError:  # elsewhere than in trafilatura: there is no simpler way
            found = ReadingAnswer(failure=NO_TIME)
        except MemoryError:
            found = ReadingAnswer(failure=NO_MEMORY)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        del body
        if _resident() > _MAX_RESIDENT:
            found = msgspec.structs.replace(found, last=True)
        stdout.write(frame(msgspec.json.encode(found)))
        stdout.flush()
        signal.setitimer(signal.ITIMER_REAL, 0)
        if found.last:
            return


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise SlowPageError


def _resident() -> int:
    """Returns the bytes of memory in use; 0 where the system does not tell it so."""
    # Not ru_maxrss, which begins with that of the process that has started this one.
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123  # pathlib is not needed else
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return 0


def _limit_cpu(seconds: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = int(used.ru_utime + used.ru_stime)
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    soft = spent + 1 + seconds
    resource.setrlimit(
        resource.RLIMIT_CPU, (soft if most == resource.RLIM_INFINITY else min(soft, most), most)
    )


def _limit(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    with suppress(ValueError, OSError):  # a system that has no such limit
        resource.setrlimit(kind, (most, most))


def main() -> None:
    """Runs the program."""
    memory, seconds = int(sys.argv[1]), int(sys.argv[2])
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGVTALRM, _stop)
    stdin, stdout = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)  # a library that prints must not answer
    for kind, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _MAX_FILES),
    ):
        _limit(kind, most)
    serve(stdin, stdout, seconds=seconds)


if __name__ == "__main__":
    main()
