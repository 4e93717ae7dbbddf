"""What one process counts, any other reads; whoever dies loses nothing of it."""

from __future__ import annotations

import os
import signal

import pytest

from anthropic_bedrock_proxy.telemetry.metrics.board import (
    _BEAT,
    _HEADER,
    _LENGTH,
    NUMBERS,
    UNTOLD,
    Board,
    _is_fresh,
)
from anthropic_bedrock_proxy.telemetry.metrics.facts import EVENT, OTHER, REQUEST, STATE


def counts(board, kind=EVENT):
    """The first number of each series by its labels, without those that were never counted."""
    found = {}
    for series in board.read():
        if series.kind is kind and series.numbers[0]:
            found.setdefault(series.labels, []).append(series.numbers[0])
    return found


def add(slab, name, amount=1.0):
    slab.numbers[slab.place(EVENT, (name, "", "", ""))] += amount


def tell(slab, name, value):
    slab.numbers[slab.place(STATE, (name, "", ""))] = value


def words(slab):
    return slab._memory[:_HEADER].cast("q")


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
        tell(slab, "held", 7.0)
        add(slab, "x")

    in_child(work)
    slab = board.take()  # the successor
    assert counts(board, STATE) == {}
    assert counts(board) == {("x", "", "", ""): [1.0]}
    tell(slab, "held", 2.0)
    assert counts(board, STATE) == {("held", "", ""): [2.0]}
    assert board.processes() == {0: os.getpid()}


def test_states_that_nobody_has_told_for_a_while_are_left_out():
    board = Board(workers=1)
    slab = board.take()
    tell(slab, "held", 7.0)
    add(slab, "x")
    slab._moments[_BEAT] -= 11.0
    assert counts(board, STATE) == {}
    assert counts(board) == {("x", "", "", ""): [1.0]}
    assert board.processes() == {}
    slab.beat()
    assert counts(board, STATE) == {("held", "", ""): [7.0]}


def test_states_that_were_not_told_are_left_out_and_zeroes_are_read():
    board = Board(workers=1)
    slab = board.take()
    slab.place(STATE, ("untold", "", ""))
    tell(slab, "held", 0.0)
    assert [series.labels[0] for series in board.read() if series.kind is STATE] == ["held"]
    tell(slab, "held", UNTOLD)
    assert not any(series.kind is STATE for series in board.read())


def test_a_process_that_ends_is_forgotten_at_once_and_what_it_counted_is_not():
    board = Board(workers=1)
    slab = board.take()
    tell(slab, "held", 7.0)
    add(slab, "x")
    slab.release()
    assert counts(board, STATE) == {}
    assert counts(board) == {("x", "", "", ""): [1.0]}
    assert board.processes() == {}


def test_slabs_that_nobody_took_are_no_processes_even_when_the_machine_has_just_started():
    assert Board(workers=3).processes() == {}
    assert not _is_fresh(memoryview(bytes(_HEADER)), now=5.0)


def test_a_slab_that_is_written_all_the_time_is_read_whole_every_time():
    board = Board(workers=1)
    ready, writer = os.pipe()
    child = os.fork()
    if not child:
        slab = board.take()
        add(slab, "x")
        os.write(writer, b"x")
        number = 0
        while True:
            slab.beat()
            slab.place(EVENT, (f"{number % 1_000}", "", "", ""))
            number += 1
    try:
        os.read(ready, 1)
        for _ in range(500):
            assert counts(board) == {("x", "", "", ""): [1.0]}
            assert list(board.processes().values()) == [child]
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_kill_between_a_name_and_its_length_uses_no_place_twice():
    board = Board(workers=1)

    def work():
        slab = board.take()
        add(slab, "x", 2.0)
        add(slab, "y", 3.0)
        length = words(slab)[_LENGTH]
        tell(slab, "held", 5.0)
        words(slab)[_LENGTH] = length  # as if it was killed before it had told the name

    in_child(work)
    slab = board.take()
    add(slab, "z")
    add(slab, "x")
    assert counts(board) == {
        (name, "", "", ""): [number] for name, number in (("x", 3.0), ("y", 3.0), ("z", 1.0))
    }


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
    words(slab)[_LENGTH] += 20
    assert counts(board) == {("x", "", "", ""): [1.0]}
