"""Files of dead processes, taken over to be delivered."""

from __future__ import annotations

import asyncio
import threading

import pytest
from journals import Held, Listener, drain, errors, line, listen, record, segments

from anthropic_bedrock_proxy.store.base.errors import StoreError
from anthropic_bedrock_proxy.store.journal import Journal
from anthropic_bedrock_proxy.store.memory.store import MemoryStore
from anthropic_bedrock_proxy.store.segment import BATCH, Name, Segment


def test_the_file_of_a_living_owner_is_left_alone_and_that_of_a_dead_one_replayed(tmp_path, store):
    living, reader = Journal(tmp_path), Journal(tmp_path)
    living.append(record("1"))
    assert drain(reader, store) == 0
    (tmp_path / "usage-1-dead.jsonl").write_bytes(line("2") + line("3"))
    (tmp_path / "unrelated.txt").write_bytes(b"x")
    assert drain(reader, store) == 2
    assert len(segments(tmp_path)) == 1
    assert (tmp_path / "unrelated.txt").exists()
    assert drain(living, store) == 1
    assert set(store.usage.by_id) == {"1", "2", "3"}


def test_an_orphan_that_the_store_refused_is_free_once_its_finder_ends(tmp_path, store):
    (tmp_path / "usage-1-dead.jsonl").write_bytes(line("1"))
    store.down = True
    first = Journal(tmp_path)
    with pytest.raises(StoreError):
        drain(first, store)
    store.down = False
    assert drain(Journal(tmp_path), store) == 0, "its cost is held by whoever has it"
    store.down = True
    asyncio.run(first.finish(store.usage))
    first.close()
    store.down = False
    assert drain(Journal(tmp_path), store) == 1


def test_after_a_crash_another_process_delivers_the_same_batches(tmp_path):
    journal, log = Journal(tmp_path), Listener()
    for number in range(1200):
        journal.append(record(number))
    log.fail_at = {3}
    asyncio.run(journal.finish(log))
    journal.close()
    second = Listener()
    assert listen(Journal(tmp_path), second) == 1200
    assert second.batches == log.batches
    assert segments(tmp_path) == []


def test_files_of_the_last_version_are_adopted_each_as_a_writer(tmp_path):
    log = Listener()
    for name in ("usage-1-00000000000000aa", "usage-22-0000000000000011"):
        (tmp_path / f"{name}.jsonl").write_bytes(line(name))
    listen(Journal(tmp_path), log)
    assert [batch.writer for batch in log.batches] == log.ids
    assert len(set(log.ids)) == 2


def test_segments_of_a_dead_writer_come_in_order_and_none_overtakes_another(tmp_path):
    for number in (10, 9, 2):
        segment = Segment.create(tmp_path, Name("dead", number))
        segment.append(line(number))
        segment.close()
    held = next(iter(segments(tmp_path)))
    (tmp_path / "usage-other-1-aa.jsonl").write_bytes(line("other"))
    adopter = Segment.adopt(held)  # another process is at it
    log = Listener()
    assert listen(Journal(tmp_path), log) == 1, "only the other writer's"
    adopter.close()
    listen(Journal(tmp_path), log)
    assert log.ids == ["other", "2", "9", "10"]
    assert log.numbers[1:] == sorted(log.numbers[1:])


def test_a_segment_that_cannot_be_opened_is_told_once_and_blocks_nothing(tmp_path, store, caplog):
    (tmp_path / "usage-0-directory.jsonl").mkdir()
    (tmp_path / "usage-1-dead.jsonl").write_bytes(line("1"))
    journal = Journal(tmp_path)
    assert drain(journal, store) == 1
    assert drain(journal, store) == 0
    (message,) = errors(caplog)
    assert "left for the next start" in message


def test_a_new_segment_is_never_taken_for_an_orphan(tmp_path):
    created = []
    finished = threading.Event()

    def create():
        created.extend(Segment.create(tmp_path, Name("w", 1)) for _ in range(300))
        finished.set()

    creator = threading.Thread(target=create)
    creator.start()
    while not finished.is_set():
        drain(Journal(tmp_path), MemoryStore())
    creator.join()
    assert all(segment.path.exists() for segment in created)
    for segment in created:
        segment.close()


def test_files_of_the_dead_are_open_a_few_at_a_time(tmp_path, store):
    for number in range(300):
        (tmp_path / f"usage-{number}-dead.jsonl").write_bytes(line(number, cost_nano=1))
    ledger = Held()
    journal = Journal(tmp_path, ledger)
    store.down = True
    with pytest.raises(StoreError):
        drain(journal, store)
    assert len(ledger.by_writer) == 128
    store.down = False
    assert drain(journal, store) == 300
    assert segments(tmp_path) == []


def test_a_file_that_is_delivered_while_it_is_summed_is_not_read_any_further(tmp_path, store):
    for number in range(2):
        segment = Segment.create(tmp_path, Name("dead", number))
        for one in range(4 * BATCH):
            segment.append(line(f"{number}-{one}", cost_nano=1))
        segment.close()

    async def story():
        journal = Journal(tmp_path, Held())
        return await asyncio.gather(
            *(journal.hold_inherited() for _ in range(2)), journal.drain(store.usage)
        )

    *_, delivered = asyncio.run(story())
    assert delivered == 8 * BATCH
