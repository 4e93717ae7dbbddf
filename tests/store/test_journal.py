"""The journal keeps its word: what was appended is counted once, whatever dies in between."""

from __future__ import annotations

import asyncio
import itertools
import resource
import signal
import stat
import subprocess
import sys

import pytest
from journals import Listener, drain, errors, line, listen, record, segments

from anthropic_bedrock_proxy.store.base.errors import StoreError
from anthropic_bedrock_proxy.store.journal import Journal
from anthropic_bedrock_proxy.store.segment import BATCH
from anthropic_bedrock_proxy.store.sqlite.store import SQLiteStore


def test_records_reach_the_store_whole_and_the_file_goes(tmp_path, store):
    (tmp_path / "journal").mkdir()
    journal = Journal(tmp_path / "journal")
    full = record("1", input_tokens=7, error="api_error", estimated=True, ttft_ms=3, cost_nano=9)
    journal.append(full)
    journal.append(record("2"))
    (segment,) = segments(tmp_path / "journal")
    assert segment.name.startswith(f"usage-{journal.writer}-")
    assert segment.read_bytes().count(b"\n") == 2
    assert drain(journal, store) == 2
    assert store.usage.by_id["1"] == full
    assert segments(tmp_path / "journal") == []
    journal.append(record("3"))
    asyncio.run(journal.finish(store.usage))
    journal.close()
    assert set(store.usage.by_id) == {"1", "2", "3"}
    assert list((tmp_path / "journal").iterdir()) == []


def test_nothing_is_touched_until_the_first_append_nor_while_idle(tmp_path, store):
    (tmp_path / "journal").mkdir()
    journal = Journal(tmp_path / "journal")
    assert drain(journal, store) == 0
    assert list((tmp_path / "journal").iterdir()) == []
    journal.append(record("1"))
    assert stat.S_IMODE(segments(tmp_path / "journal")[0].stat().st_mode) == 0o600
    drain(journal, store)
    before = (tmp_path / "journal").stat().st_mtime_ns
    assert drain(journal, store) == 0
    assert (tmp_path / "journal").stat().st_mtime_ns == before
    asyncio.run(journal.finish(store.usage))
    journal.close()


def test_more_than_a_batch(tmp_path, store):
    journal = Journal(tmp_path)
    for number in range(1234):
        journal.append(record(number))
    assert drain(journal, store) == 1234
    assert len(store.usage.by_id) == 1234


APPEND_FOREVER = """
import os, sys
from pathlib import Path
from anthropic_bedrock_proxy.store.journal import Journal
from anthropic_bedrock_proxy.store.base.usage import UsageRecord

journal = Journal(Path(sys.argv[1]))
number = 0
while True:
    journal.append(UsageRecord(
        id=str(number), key_id="k", at_ms=1, model="m", bedrock_model_id="b", dialect="invoke"))
    os.write(1, b"%d\\n" % number)
    number += 1
"""


def test_kill_9_loses_no_completed_append(tmp_path, store):
    child = subprocess.Popen([sys.executable, "-c", APPEND_FOREVER, tmp_path], stdout=-1)
    told = list(itertools.islice(child.stdout, 300))
    assert drain(Journal(tmp_path), store) == 0, "it lives"
    child.send_signal(signal.SIGKILL)
    told += child.stdout.readlines()
    child.stdout.close()
    assert child.wait() == -signal.SIGKILL
    assert drain(Journal(tmp_path), store) >= len(told) >= 300
    assert {number.decode().strip() for number in told if number.endswith(b"\n")} <= set(
        store.usage.by_id
    )
    assert segments(tmp_path) == []


def test_a_store_that_is_down_loses_nothing_and_gets_nothing_twice(tmp_path, store):
    journal = Journal(tmp_path)
    (tmp_path / "usage-1-dead.jsonl").write_bytes(line("orphan"))
    store.down = True
    for number in range(5):
        journal.append(record(number))
        with pytest.raises(StoreError):
            drain(journal, store)
    assert len(segments(tmp_path)) == 3, "the orphan, the one closed, the one that grows"
    store.down = False
    assert drain(journal, store) == 6
    assert len(store.usage.by_id) == 6
    assert len(segments(tmp_path)) == 2, "for an heir, who would set right what is held"
    assert drain(journal, store) == 0
    assert len(segments(tmp_path)) == 2
    journal.discard_settled()
    assert segments(tmp_path) == []


def test_an_outage_in_the_middle_goes_on_where_it_stopped(tmp_path, store):
    class Flaky:
        batches_at_once = 1
        batches = 0

        async def append(self, batch):
            self.batches += 1
            if self.batches == 2:
                raise StoreError("gone")
            await store.usage.append(batch)

        totals = store.usage.totals

    journal = Journal(tmp_path)
    for number in range(1200):
        journal.append(record(number))
    flaky = Flaky()
    with pytest.raises(StoreError):
        asyncio.run(journal.drain(flaky))
    assert asyncio.run(journal.drain(flaky)) == 1200 - BATCH
    assert len(store.usage.by_id) == 1200


def test_batches_are_of_one_writer_and_their_numbers_grow(tmp_path):
    journal, log = Journal(tmp_path), Listener()
    for number in range(1234):
        journal.append(record(number))
        if number in {3, 4, 700}:
            listen(journal, log)
    listen(journal, log)
    assert {batch.writer for batch in log.batches} == {journal.writer}
    assert len(journal.writer) == 12
    assert Journal(tmp_path).writer != journal.writer
    assert log.numbers == sorted(set(log.numbers))
    assert log.ids == [str(number) for number in range(1234)]
    assert Journal(tmp_path, writer="me").writer == "me"


def test_a_batch_in_doubt_comes_again_as_it_was_before_any_later_one(tmp_path):
    journal, log = Journal(tmp_path), Listener()
    for number in range(1200):
        journal.append(record(number))
    log.fail_at = {2, 3}
    for _ in range(2):
        with pytest.raises(StoreError):
            listen(journal, log)
        journal.append(record("later"))
    listen(journal, log)
    first, doubtful, again, once_more, *rest = log.batches
    assert doubtful == again == once_more
    numbers = [batch.number for batch in (first, doubtful, *rest)]
    assert numbers == sorted(set(numbers))


def test_a_folder_that_was_moved_away_is_not_made_anew_and_used_when_it_is_back(tmp_path, store):
    folder, away = tmp_path / "data" / "journal", tmp_path / "away"
    folder.mkdir(parents=True)
    journal = Journal(folder)
    journal.append(record("1"))
    (tmp_path / "data").rename(away)
    assert drain(journal, store) == 1
    journal.append(record("2"))
    assert not (tmp_path / "data").exists()
    assert drain(journal, store) == 1, "from memory"
    away.rename(tmp_path / "data")
    journal.append(record("3"))
    assert segments(folder)[-1].read_bytes() == line("3")


def test_what_was_in_memory_has_later_numbers_and_keeps_them(tmp_path):
    (tmp_path / "journal").write_text("")
    journal, log = Journal(tmp_path / "journal"), Listener()
    log.fail_at = {1}
    journal.append(record("1"))
    with pytest.raises(StoreError):
        listen(journal, log)
    journal.append(record("2"))
    (tmp_path / "journal").unlink()
    (tmp_path / "journal").mkdir()
    log.fail_at = {2}
    with pytest.raises(StoreError):
        listen(journal, log)
    journal.append(record("3"))
    assert len(segments(tmp_path / "journal")) == 2, "what was in memory is on disk now"
    listen(journal, log)
    assert log.ids == ["1", "1", "1", "2", "3"]
    assert log.batches[0] == log.batches[1] == log.batches[2]
    assert log.numbers[2:] == sorted(set(log.numbers))


def test_a_segment_begun_and_left_empty_is_not_filled_behind_the_memory(tmp_path):
    journal, log = Journal(tmp_path), Listener()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        journal.append(record("1"))
        assert [path.stat().st_size for path in segments(tmp_path)] == [0]
        listen(journal, log)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    journal.append(record("2"))
    listen(journal, log)
    assert log.ids == ["1", "2"]
    assert log.numbers == sorted(set(log.numbers))


def test_replaying_a_segment_again_counts_nothing_twice(tmp_path):
    async def story():
        store = SQLiteStore(tmp_path / "s.db")
        await store.open()
        for _ in range(2):
            (tmp_path / "usage-1-dead.jsonl").write_bytes(line("1") + line("2") + line("1"))
            assert await Journal(tmp_path).drain(store.usage) == 3
        (total,) = await store.usage.totals()
        assert total.requests == 2
        await store.close()

    asyncio.run(story())


FULL_DISK = """
import asyncio, logging, resource, sys
from pathlib import Path
from anthropic_bedrock_proxy.store.base.errors import StoreError
from anthropic_bedrock_proxy.store.journal import Journal
from anthropic_bedrock_proxy.store.memory.store import MemoryStore
from anthropic_bedrock_proxy.store.base.usage import UsageRecord

logging.basicConfig(format="%(name)s %(message)s", stream=sys.stdout)
directory = Path(sys.argv[1])
journal, store = Journal(directory), MemoryStore()

def append(numbers):
    for number in numbers:
        journal.append(UsageRecord(
            id=str(number), key_id="k", at_ms=1, model="m", bedrock_model_id="b", dialect="d"))

def whole():
    return [path.read_bytes()[-2:] for path in directory.glob("usage-*.jsonl")]

_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
append(range(20))
assert whole() == [b"}\\n"], "the torn line is mended"
store.down = True
try:
    asyncio.run(journal.drain(store.usage))
except StoreError:
    pass
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
append(range(20, 25))
assert set(whole()) == {b"}\\n"}
store.down = False
asyncio.run(journal.finish(store.usage))
journal.discard_settled()
journal.close()
assert store.usage.by_id.keys() == set(map(str, range(25))), store.usage.by_id.keys()
assert not list(directory.iterdir())
"""


def test_a_full_disk_loses_nothing_and_raises_nothing(tmp_path):
    command = [sys.executable, "-c", FULL_DISK, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    failed, recovered = done.stdout.splitlines()
    assert failed.startswith("anthropic_bedrock_proxy.journal usage cannot be written to")
    assert "kept in memory" in failed
    assert "again" in recovered


def test_no_place_for_the_directory(tmp_path, store, caplog):
    (tmp_path / "file").write_text("")
    journal = Journal(tmp_path / "file" / "journal")
    for number in range(3):
        journal.append(record(number))
    assert len(errors(caplog)) == 1
    assert drain(journal, store) == 3
    asyncio.run(journal.finish(store.usage))
    journal.close()


def test_memory_is_bounded_and_what_is_lost_is_told(tmp_path, store, caplog):
    (tmp_path / "file").write_text("")
    journal = Journal(tmp_path / "file", memory_limit=2)
    for number in range(5):
        journal.append(record(number))
    assert drain(journal, store) == 2
    assert any("3 usage records were lost" in message for message in errors(caplog))


def test_neither_disk_nor_store_at_the_end(tmp_path, store, caplog):
    (tmp_path / "file").write_text("")
    journal = Journal(tmp_path / "file")
    journal.append(record("1"))
    store.down = True
    asyncio.run(journal.finish(store.usage))
    journal.close()
    assert any("1 usage records are lost" in message for message in errors(caplog))


def test_what_waited_in_memory_is_written_once_the_disk_is_back(tmp_path, store):
    (tmp_path / "journal").write_text("")
    journal = Journal(tmp_path / "journal")
    journal.append(record("1"))
    (tmp_path / "journal").unlink()
    (tmp_path / "journal").mkdir()
    store.down = True
    asyncio.run(journal.finish(store.usage))
    journal.close()
    (segment,) = segments(tmp_path / "journal")
    assert segment.read_bytes() == line("1")


def test_a_closed_journal_leaves_what_the_store_refused_to_the_next_start(tmp_path, store):
    journal = Journal(tmp_path)
    journal.append(record("1"))
    store.down = True
    asyncio.run(journal.finish(store.usage))
    journal.close()
    store.down = False
    assert drain(Journal(tmp_path), store) == 1


def test_a_segment_deleted_by_hand_is_still_delivered(tmp_path, store):
    journal = Journal(tmp_path)
    journal.append(record("1"))
    segments(tmp_path)[0].unlink()
    assert drain(journal, store) == 1


FORK = """
import asyncio, os, sys
from pathlib import Path
from anthropic_bedrock_proxy.store.journal import Journal
from anthropic_bedrock_proxy.store.memory.store import MemoryStore
from anthropic_bedrock_proxy.store.base.usage import UsageRecord

def record(name):
    return UsageRecord(
        id=name, key_id="k", at_ms=1, model="m", bedrock_model_id="b", dialect="d")

directory = Path(sys.argv[1])
journal, store = Journal(directory), MemoryStore()
journal.append(record("parent"))
writer = journal.writer
child = os.fork()
if child == 0:
    assert journal.writer != writer
    asyncio.run(journal.drain(store.usage))
    assert not store.usage.by_id, "the parent's, and the parent lives"
    journal.append(record("child"))
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert journal.writer == writer
journal.append(record("later"))
assert len(list(directory.iterdir())) == 2
asyncio.run(journal.drain(store.usage))
assert set(store.usage.by_id) == {"parent", "later", "child"}, store.usage.by_id
"""


def test_a_fork_after_the_first_append(tmp_path):
    command = [sys.executable, "-c", FORK, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_loop_backs_off_and_tells_a_change_once(tmp_path, store, caplog):
    pauses = []

    async def sleep(seconds):
        pauses.append(seconds)
        journal.append(record(len(pauses)))
        if len(pauses) == 3:
            store.down = True
        if len(pauses) == 12:
            store.down = False
        if len(pauses) == 15:
            raise asyncio.CancelledError

    async def story():
        with pytest.raises(asyncio.CancelledError):
            await journal.run(store.usage, interval_seconds=0.25, sleep=sleep)
        await journal.finish(store.usage)
        journal.close()

    journal = Journal(tmp_path)
    asyncio.run(story())
    assert pauses == [0.25] * 3 + [0.5, 1, 2, 4, 8, 16, 30, 30, 30] + [0.25] * 3
    down, up = errors(caplog)
    assert "usage stays in" in down
    assert "reaches the store again" in up
    assert len(store.usage.by_id) == 15


def test_a_drain_lets_other_tasks_run(tmp_path, store):
    turns = []

    async def other():
        while True:
            turns.append(1)
            await asyncio.sleep(0)

    async def story():
        task = asyncio.create_task(other())
        await journal.drain(store.usage)
        task.cancel()

    journal = Journal(tmp_path)
    for number in range(5000):
        journal.append(record(number))
    asyncio.run(story())
    assert len(turns) >= 10


def test_drains_at_the_same_time_deliver_once(tmp_path, store):
    async def story():
        journal = Journal(tmp_path)
        for number in range(1000):
            journal.append(record(number))
        return await asyncio.gather(*(journal.drain(store.usage) for _ in range(3)))

    assert sorted(asyncio.run(story())) == [0, 0, 1000]


def test_a_folder_that_cannot_be_read_for_a_while_ends_no_delivery(tmp_path):
    """Descriptors had run out: usage waited for a restart."""

    class Full(Journal):
        times = 2

        async def drain(self, log):
            if self.times:
                self.times -= 1
                raise OSError(24, "Too many open files")
            return await super().drain(log)

    class EnoughError(Exception):
        """The end of the test."""

    log, pauses = Listener(), []

    async def sleep(seconds):
        pauses.append(seconds)
        if len(pauses) == 3:
            raise EnoughError

    journal = Full(tmp_path)
    journal.append(record(1))
    with pytest.raises(EnoughError):
        asyncio.run(journal.run(log, sleep=sleep))
    assert len(log.ids) == 1
    assert pauses == [2.0, 4.0, 1.0]


def test_rounds_say_up_to_where_the_store_has_everything(tmp_path, store):
    journal = Journal(tmp_path)
    journal.append(record("1"))
    first = journal.round
    assert (journal.delivered < first, journal.failing) == (True, False)
    store.down = True
    for _ in range(3):
        with pytest.raises(StoreError):
            drain(journal, store)
    assert (journal.delivered < first, journal.failing) == (True, True)
    journal.append(record("2"))
    second = journal.round
    store.down = False
    drain(journal, store)
    assert journal.delivered >= second > first
    assert not journal.failing
    journal.append(record("3"))
    assert journal.round > journal.delivered


def test_lines_in_memory_belong_to_a_round_too(tmp_path, store):
    (tmp_path / "file").write_text("")
    journal = Journal(tmp_path / "file" / "journal")
    journal.append(record("1"))
    mine = journal.round
    store.down = True
    with pytest.raises(StoreError):
        drain(journal, store)
    assert journal.delivered < mine
    store.down = False
    drain(journal, store)
    assert journal.delivered >= mine


def test_what_the_store_has_not_got_is_counted(tmp_path, store):
    journal = Journal(tmp_path)
    for number in range(3):
        journal.append(record(number))
    assert journal.undelivered == 3
    store.down = True
    with pytest.raises(StoreError):
        drain(journal, store)
    journal.append(record(4))
    assert journal.undelivered == 4
    store.down = False
    drain(journal, store)
    assert journal.undelivered == 0
    journal.append(record(5))
    assert journal.undelivered == 1
    journal.close()
