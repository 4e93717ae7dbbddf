from __future__ import annotations

from anthropic_bedrock_proxy.sandbox.base import BashCell
from anthropic_bedrock_proxy.sandbox.executor.cell_queue import (
    MAX_QUEUE,
    MAX_QUEUE_BYTES,
    CellQueue,
    Job,
    QueuedBytes,
)


def job(size=0):
    return Job("c", BashCell("x" * size), ())


def test_a_queue_is_bounded_in_number():
    queue = CellQueue(QueuedBytes())
    assert [queue.add(job()) for _ in range(MAX_QUEUE + 1)] == [True] * MAX_QUEUE + [False]


def test_a_queue_is_bounded_in_bytes_but_has_room_for_any_first_cell():
    queue = CellQueue(QueuedBytes())
    assert queue.add(job(MAX_QUEUE_BYTES))
    assert not queue.add(job())
    queue.remove_first()
    assert [queue.add(job(MAX_QUEUE_BYTES // 3)) for _ in range(3)] == [True, True, False]


def test_all_queues_together_are_bounded_until_cells_end_or_their_containers():
    queued = QueuedBytes(1000)
    one, two = CellQueue(queued), CellQueue(queued)
    assert one.add(job(500))
    assert not two.add(job(500))
    one.remove_first()
    assert two.add(job(500))
    assert not one.add(job(500))
    two.clear()
    assert queued.total == 0
    assert one.add(job(500))


def test_what_cannot_be_measured_is_taken_and_refused_when_it_is_sent():
    assert CellQueue(QueuedBytes()).add(Job("c", BashCell("\ud800"), ()))
