from __future__ import annotations

from anthropic_bedrock_proxy.sandbox.runner.clock import CodeClock


def test_the_clock_runs_from_its_beginning():
    assert CodeClock(60, 100).deadline() == 160


def test_while_it_stands_still_there_is_no_deadline_and_later_the_time_that_was_left():
    clock = CodeClock(60, 100)
    clock.stop(110)
    clock.stop(120)
    assert clock.deadline() is None
    clock.go_on(500)
    clock.go_on(510)
    assert clock.deadline() == 550
