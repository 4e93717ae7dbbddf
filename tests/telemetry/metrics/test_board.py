"""What one process counts, any other reads; whoever dies loses nothing of it."""

from __future__ import annotations

import os
import signal

import pytest

from anthropic_bedrock_proxy.telemetry.metrics.board import _HEADER, NUMBERS, Board
from anthropic_bedrock_proxy.telemetry.metrics.facts import EVENT, OTHER, REQUEST, STATE


def counts(board, kind=EVENT):
    """The first number of each series by its labels, without those that were never counted."""
    found = {}
    for series in board.read():
        if series.kind is kind and series.numbers[0]:
            found.setdefault(series.labels, []).append(series.numbers[0])
    return found


def add(slab, name, amount=1.0, kind=EVENT):
    labels = (name, *[""] * (len(kind.labels) - 1))
    slab.numbers[slab.place(kind, labels)] += amount


def in_child(work):
    """Runs `work` in a forked process, which then dies as after kill -9."""
    child = os.fork()
    if not child:
        try:
            work()
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL


def test_what_a_process_counted_outlives_it_and_goes_on_in_its_successor():
    board = Board(workers=1)
    for _ in range(3):
        in_child(lambda: add(board.take(), "x", 2.0))
    assert counts(board) == {("x", "", "", ""): [6.0]}


def test_each_process_that_lives_has_a_slab_of_its_own():
    board = Board(workers=1)
    add(board.take(), "x")
    in_child(lambda: add(board.take(), "x", 5.0))
    assert counts(board) == {("x", "", "", ""): [1.0, 5.0]}


def test_slabs_are_as_many_as_processes_and_their_successors_need():
    board = Board(workers=2)
    reader, writer = os.pipe()
    children = []
    for _ in range(board.slabs):
        child = os.fork()
        if not child:
            board.take()
            os.write(writer, b"x")
            signal.pause()
        children.append(child)
    try:
        taken = b""
        while len(taken) < board.slabs:
            taken += os.read(reader, 64)
        with pytest.raises(OSError, match="no slab is free"):
            board.take()
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    board.take()


def test_states_of_the_dead_are_forgotten_and_counters_are_not():
    board = Board(workers=1)

    def work():
        slab = board.take()
        add(slab, "held", 7.0, kind=STATE)
        add(slab, "x")

    in_child(work)
    slab = board.take()  # the successor
    assert counts(board, STATE) == {}
    assert counts(board) == {("x", "", "", ""): [1.0]}
    add(slab, "held", 2.0, kind=STATE)
    assert counts(board, STATE) == {("held", "", ""): [2.0]}
    assert board.processes() == [os.getpid()]


def test_states_that_nobody_has_told_for_a_while_are_left_out():
    board = Board(workers=1)
    slab = board.take()
    add(slab, "held", 7.0, kind=STATE)
    add(slab, "x")
    _HEADER.pack_into(slab._memory, 0, slab._used, slab._length, -100.0, os.getpid())
    assert counts(board, STATE) == {}
    assert counts(board) == {("x", "", "", ""): [1.0]}
    assert board.processes() == []
    slab.beat()
    assert counts(board, STATE) == {("held", "", ""): [7.0]}


def test_labels_may_have_any_text():
    board = Board(workers=1)
    slab = board.take()
    odd = ("a\nb", 'c"d', "\x00é😀", "")
    slab.numbers[slab.place(EVENT, odd)] += 1.0
    assert counts(board) == {odd: [1.0]}


def test_what_finds_no_room_is_counted_under_other_and_nothing_is_lost():
    board = Board(workers=1)
    slab = board.take()
    many = NUMBERS // REQUEST.width + 10
    for number in range(many):
        slab.numbers[slab.place(REQUEST, ("GET", f"/{number}", "200"))] += 1.0
    found = counts(board, REQUEST)
    assert sum(map(sum, found.values())) == many
    assert found[(OTHER, OTHER, OTHER)][0] >= 10
    assert found[("GET", "/0", "200")] == [1.0]


def test_long_names_find_no_room_either():
    board = Board(workers=1)
    slab = board.take()
    for number in range(20):
        slab.numbers[slab.place(EVENT, (f"{number}" * 50_000, "", "", ""))] += 1.0
    assert sum(map(sum, counts(board).values())) == 20
    assert counts(board)[(OTHER,) * 4][0] > 1


def test_a_name_that_is_not_there_yet_ends_the_reading_and_breaks_nothing():
    board = Board(workers=1)
    slab = board.take()
    add(slab, "x")
    _HEADER.pack_into(slab._memory, 0, slab._used, slab._length + 20, 0.0, os.getpid())
    assert counts(board) == {("x", "", "", ""): [1.0]}
