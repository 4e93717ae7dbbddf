"""The board: memory that the workers share, in which each counts for itself and any can read all.

Theory of operation:
- The board is one file without a name, made before the workers are forked, and mapped into each. It
  has a slab for each process that counts; a process takes a free one and keeps it until it ends.
- A slab has a header, numbers, and the names of its series in the order of their places. Its owner
  alone writes to it: a number, or a word of the header, is 8 bytes that are stored at once, and a
  new name counts only when the header says so. So nothing is locked, and whatever kills a process
  leaves a slab that is whole. (`struct` writes zeroes first, which a reader may see.)
- A slab is taken by a lock on one byte of the file, which the kernel releases when its owner has
  died. Who takes it goes on with the numbers that are there: counters never go back.
- Who finds none free counts in memory of its own, which nobody reads: it can read the others'.
- A state that nobody tells is not a number (`UNTOLD`), and is not read. Nor are those of a slab
  that was released, or has not been heard of for 10 s.
- Series are bounded by the numbers of a slab. What finds no room is counted under "other", for
  which there is a series of each kind from the beginning.

Example: worker 2 counts its first request for a path, and is killed later.

    names    ["http","GET","/health","200"]          the header: 61 bytes of names
    numbers  0 0 1 0 … 0.0021                        (buckets, beyond, sum)
    -        the lock is released, the numbers stay  the next worker takes the slab and goes on

Prior art: the multiprocess mode of prometheus_client, which has a file for each process and kind,
and keeps those of the dead.
"""

from __future__ import annotations

import fcntl
import math
import mmap
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Final

import msgspec

from .facts import KINDS, OTHER, STATE, FactKind

NUMBERS: Final = 32_768  # of a slab
_NAMES_BYTES: Final = 1 << 19
# Slabs beyond two for each worker (one that leaves, and its successor): workers that are told to
# end may have long answers to finish. One that nobody took is a hole, and costs nothing.
_SPARE: Final = 32
_FRESH_SECONDS: Final = 10.0
# The words of the header.
_LENGTH: Final = 0  # bytes of names
_PROCESS: Final = 1  # its id
_BEAT: Final = 2  # when it was last heard of; 0.0: nobody has the slab, or it was released
_HEADER: Final = 3 * 8
UNTOLD: Final = math.nan
_NUMBERS_AT: Final = 64
_NAMES_AT: Final = _NUMBERS_AT + NUMBERS * 8
_SLAB: Final = _NAMES_AT + _NAMES_BYTES

Labels = tuple[str, ...]


class Series(msgspec.Struct, frozen=True):
    """One series as it is read: its kind, labels and numbers."""

    kind: FactKind
    labels: Labels
    numbers: tuple[float, ...]


class Board:
    """The shared memory; make it before workers are forked."""

    def __init__(self, workers: int = 1) -> None:
        """`workers` is how many processes count at a time."""
        self.slabs = 2 * workers + _SPARE
        self._descriptor = _nameless_file(self.slabs * _SLAB)
        self._map = mmap.mmap(self._descriptor, self.slabs * _SLAB)

    def take(self) -> Slab:
        """Takes a free slab for this process. Raises `OSError` if there is none."""
        for index in range(self.slabs):
            try:
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, index * _SLAB)
            except OSError:
                continue  # another process has it
            return Slab(self._slab(index))
        raise OSError("no slab is free")

    def unread(self) -> Slab:
        """Makes a slab outside of the board, for a process that found none free."""
        return Slab(memoryview(bytearray(_SLAB)))

    def read(self) -> list[Series]:
        """Reads every series of every process, states of those that are alive only."""
        now, found = time.monotonic(), []
        for index in range(self.slabs):
            slab = self._slab(index)
            numbers, fresh = slab[_NUMBERS_AT:_NAMES_AT].cast("d"), _is_fresh(slab, now)
            for kind, labels, place in _series(slab, slab[:_HEADER].cast("q")[_LENGTH]):
                row = tuple(numbers[place : place + kind.width])
                if kind is not STATE or (fresh and not math.isnan(row[0])):
                    found.append(Series(kind, labels, row))
        return found

    def processes(self) -> dict[int, int]:
        """Returns the ids of the processes that count now, by the numbers of their slabs."""
        now = time.monotonic()
        slabs = {index: self._slab(index) for index in range(self.slabs)}
        return {
            index: slab[:_HEADER].cast("q")[_PROCESS]
            for index, slab in slabs.items()
            if _is_fresh(slab, now)
        }

    def _slab(self, index: int) -> memoryview:
        return memoryview(self._map)[index * _SLAB : (index + 1) * _SLAB]


class Slab:
    """The slab of this process. `numbers` are its numbers: add to them where `place` says."""

    def __init__(self, memory: memoryview) -> None:
        self._memory = memory
        self._words, self._moments = memory[:_HEADER].cast("q"), memory[:_HEADER].cast("d")
        self.numbers = memory[_NUMBERS_AT:_NAMES_AT].cast("d")
        self._length = self._words[_LENGTH]
        self._used = 0
        self._places: dict[tuple[str, Labels], int] = {}
        for kind, labels, place in _series(memory, self._length):
            self._places[kind.name, labels] = place
            self._used = place + kind.width
            if kind is STATE:
                self.numbers[place] = UNTOLD
        self._words[_PROCESS] = os.getpid()
        self.beat()
        for kind in KINDS.values():
            self._add(kind, (OTHER,) * len(kind.labels))

    def place(self, kind: FactKind, labels: Labels) -> int:
        """Returns where the numbers of a series begin; makes it if there is room.

        Look up once and remember: every label has to come from a bounded set.
        """
        place = self._places.get((kind.name, labels))
        if place is None:
            place = self._add(kind, labels)
        return place

    def beat(self) -> None:
        """Says that this process lives, and that its states are of now."""
        self._moments[_BEAT] = time.monotonic()

    def release(self) -> None:
        """Says that this process ends: its states are no longer of now."""
        self._moments[_BEAT] = 0.0

    def _add(self, kind: FactKind, labels: Labels) -> int:
        known = self._places.get((kind.name, labels))
        if known is not None:
            return known
        name = msgspec.json.encode((kind.name, *labels)) + b"\n"
        begin = _NAMES_AT + self._length
        if self._used + kind.width > NUMBERS or begin + len(name) > _SLAB:
            return self._places[kind.name, (OTHER,) * len(kind.labels)]
        place = self._places[kind.name, labels] = self._used
        for index in range(place, place + kind.width):  # whoever was killed here may have left some
            self.numbers[index] = UNTOLD if kind is STATE else 0.0
        self._memory[begin : begin + len(name)] = name
        self._used += kind.width
        self._length += len(name)
        self._words[_LENGTH] = self._length
        return place


def _is_fresh(slab: memoryview, now: float) -> bool:
    beat = slab[:_HEADER].cast("d")[_BEAT]
    return beat > 0.0 and now - beat <= _FRESH_SECONDS


def _series(slab: memoryview, length: int) -> Iterator[tuple[FactKind, Labels, int]]:
    """Yields the series of a slab and where the numbers of each begin."""
    place = 0
    for line in bytes(slab[_NAMES_AT : _NAMES_AT + length]).splitlines():
        try:
            name, *labels = msgspec.json.decode(line, type=list[str])
        except msgspec.DecodeError:  # other processors may show a length before what it counts
            return
        kind = KINDS[name]
        yield kind, tuple(labels), place
        place += kind.width


def _nameless_file(size: int) -> int:
    """Makes a file of that size, all holes, that ends with its last process; in memory on Linux."""
    if sys.platform == "linux":
        descriptor = os.memfd_create("metrics", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size)
    return descriptor
