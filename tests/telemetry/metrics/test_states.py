from __future__ import annotations

import asyncio
import os

import pytest

from anthropic_bedrock_proxy.telemetry.metrics.board import Board
from anthropic_bedrock_proxy.telemetry.metrics.exposition import Exposition
from anthropic_bedrock_proxy.telemetry.metrics.facts import STATE
from anthropic_bedrock_proxy.telemetry.metrics.states import States


def told(board):
    return {series.labels: series.numbers[0] for series in board.read() if series.kind is STATE}


def test_what_is_no_longer_told_is_left_out():
    board, source = Board(), [("breaker_state", "east", "m", 2.0)]
    states = States(board.take(), [lambda: source])
    states.write()
    assert told(board)[("breaker_state", "east", "m")] == 2.0
    assert told(board)[("workers", "", "")] == 1.0
    source.clear()
    states.write()
    assert ("breaker_state", "east", "m") not in told(board)
    source.append(("breaker_state", "east", "m", 0.0))
    states.write()
    assert told(board)[("breaker_state", "east", "m")] == 0.0


def test_what_one_worker_no_longer_tells_hides_nothing_that_others_tell():
    board, source = Board(), [("budget_left_ratio", "key", "daily", 0.05)]
    child = os.fork()
    if not child:
        States(board.take(), [lambda: source]).write()
        os._exit(0)
    states = States(board.take(), [lambda: source])
    states.write()
    source.clear()
    states.write()
    os.waitpid(child, 0)
    text, _ = Exposition(board).render("")
    assert 'budget_left_ratio{owner="key",period="daily"} 0.05' in text.decode()


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
