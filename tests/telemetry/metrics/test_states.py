from __future__ import annotations

import asyncio

import pytest

from anthropic_bedrock_proxy.telemetry.metrics.board import Board
from anthropic_bedrock_proxy.telemetry.metrics.facts import STATE
from anthropic_bedrock_proxy.telemetry.metrics.states import States


def told(board):
    return {series.labels: series.numbers[0] for series in board.read() if series.kind is STATE}


def test_what_is_no_longer_told_becomes_nothing():
    board, source = Board(), [("breaker_state", "east", "m", 2.0)]
    states = States(board.take(), [lambda: source])
    states.write()
    assert told(board)[("breaker_state", "east", "m")] == 2.0
    assert told(board)[("workers", "", "")] == 1.0
    source.clear()
    states.write()
    assert told(board)[("breaker_state", "east", "m")] == 0.0


def test_states_are_bounded_whatever_sources_tell():
    board = Board()
    many = [("budget_left_usd", f"key:{number}", "", 1.0) for number in range(5_000)]
    States(board.take(), [lambda: many]).write()
    assert len(told(board)) <= 2_001


def test_they_are_written_once_a_second_with_how_late_that_was():
    board, now, slept = Board(), [0.0], []

    async def sleep(seconds):
        slept.append(seconds)
        now[0] += seconds + 0.25
        if len(slept) == 3:
            raise asyncio.CancelledError

    states = States(board.take(), [], monotonic=lambda: now[0])
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(states.run(sleep=sleep))
    assert slept == [1.0] * 3
    assert told(board)[("event_loop_lag_seconds", "", "")] == 0.25
