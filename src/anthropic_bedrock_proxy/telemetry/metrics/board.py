"""The board: memory that the workers share, in which each counts for itself and any can read all.

Theory of operation:
- The board is one file without a name, made before the workers are forked, and mapped into each. It
  has a slab for each process that counts; a process takes a free one and keeps it until it ends.
- A slab has a header, numbers, and the names of its series in the order of their places. Its owner
  alone writes to it: a number is 8 bytes that are stored at once, a new name counts only when the
  header says so. So nothing is locked, and whatever kills a process leaves a slab that is whole.
- A slab is taken by a lock on one byte of the file, which the kernel releases when its owner has
  died. Who takes it goes on with the numbers that are there: counters never go back. States are
  set to nothing; a reader ignores those of a slab that has not been heard of for 10 s.
- Series are bounded by the numbers of a slab. What finds no room is counted under "other", for
  which there is a series of each kind from the beginning.

Example: worker 2 counts its first request for a path, and is killed later.

    names    ["http","GET","/health","200"]          the header: 40 numbers, 61 bytes of names
    numbers  0 0 1 0 … 0.0021                        (buckets, beyond, sum)
    -        the lock is released, the numbers stay  the next worker takes the slab and goes on

Prior art: the multiprocess mode of prometheus_client, which has a file for each process and kind,
and keeps those of the dead.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from struct import Struct
from typing import Final

import msgspec

from .facts import KINDS, OTHER, STATE, FactKind

NUMBERS: Final = 32_768  # of a slab
_NAMES_BYTES: Final = 1 << 19
_SPARE: Final = 4  # slabs beyond two for each worker: one that leaves, and its successor
_FRESH_SECONDS: Final = 10.0
_HEADER: Final = Struct("<qqdq")  # numbers that are used, bytes of names, last beat, process id
_NUMBERS_AT: Final = 64
_NAMES_AT: Final = _NUMBERS_AT + NUMBERS * 8
_SLAB: Final = _NAMES_AT + _NAMES_BYTES

Labels = tuple[str, ...]


class Series(msgspec.Struct, frozen=True):
    """One series as it is read: its kind, labels and numbers, and the process that counts it."""

    kind: FactKind
    labels: Labels
    numbers: tuple[float, ...]
    process: int = 0


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
            return Slab(memoryview(self._map)[index * _SLAB : (index + 1) * _SLAB])
        raise OSError("no slab is free")

    def read(self) -> list[Series]:
        """Reads every series of every process, states of those that are alive only."""
        now, found = time.monotonic(), []
        view = memoryview(self._map)
        for index in range(self.slabs):
            slab = view[index * _SLAB : (index + 1) * _SLAB]
            _, length, beat, process = _HEADER.unpack_from(slab)
            fresh = now - beat <= _FRESH_SECONDS
            numbers = slab[_NUMBERS_AT:_NAMES_AT].cast("d")
            for kind, labels, place in _series(slab, length):
                if fresh or kind is not STATE:
                    row = tuple(numbers[place : place + kind.width])
                    found.append(Series(kind, labels, row, process))
        return found

    def processes(self) -> list[int]:
        """Lists the processes that count now, by their ids."""
        now, view = time.monotonic(), memoryview(self._map)
        heads = [_HEADER.unpack_from(view, index * _SLAB) for index in range(self.slabs)]
        return [int(process) for _, _, beat, process in heads if now - beat <= _FRESH_SECONDS]


class Slab:
    """The slab of this process. `numbers` are its numbers: add to them where `place` says."""

    def __init__(self, memory: memoryview) -> None:
        self._memory = memory
        self.numbers = memory[_NUMBERS_AT:_NAMES_AT].cast("d")
        used, length, _, _ = _HEADER.unpack_from(memory)
        self._used, self._length = int(used), int(length)
        self._places: dict[tuple[str, Labels], int] = {
            (kind.name, labels): place for kind, labels, place in _series(memory, self._length)
        }
        for (kind, _), place in self._places.items():
            if kind == STATE.name:
                self.numbers[place] = 0.0
        self.beat()
        for kind_ in KINDS.values():
            self._add(kind_, (OTHER,) * len(kind_.labels))

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
        _HEADER.pack_into(self._memory, 0, self._used, self._length, time.monotonic(), os.getpid())

    def _add(self, kind: FactKind, labels: Labels) -> int:
        known = self._places.get((kind.name, labels))
        if known is not None:
            return known
        name = msgspec.json.encode((kind.name, *labels)) + b"\n"
        begin = _NAMES_AT + self._length
        if self._used + kind.width > NUMBERS or begin + len(name) > _SLAB:
            return self._places[kind.name, (OTHER,) * len(kind.labels)]
        place = self._places[kind.name, labels] = self._used
        self._memory[begin : begin + len(name)] = name
        self._used += kind.width
        self._length += len(name)
        self.beat()
        return place


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
