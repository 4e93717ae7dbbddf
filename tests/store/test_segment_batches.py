"""What comes as several batches at once, and what one by one."""

from __future__ import annotations

import asyncio

import pytest

from anthropic_bedrock_proxy.store.base.errors import StoreError
from anthropic_bedrock_proxy.store.base.usage import UsageBatch, UsageRecord
from anthropic_bedrock_proxy.store.journal import Journal
from anthropic_bedrock_proxy.store.segment import BATCH


class Log:
    """Takes four batches at once, and fails at the calls that it is told to."""

    batches_at_once = 4

    def __init__(self, *fail_at: int) -> None:
        self.fail_at = fail_at
        self.batches: list[UsageBatch] = []

    async def append(self, batch: UsageBatch) -> None:
        self.batches.append(batch)
        if len(self.batches) in self.fail_at:
            raise StoreError("maybe it arrived, maybe not")

    @property
    def sizes(self) -> list[int]:
        return [len(batch.records) for batch in self.batches]

    @property
    def fresh(self) -> list[bool]:
        return [batch.through is not None for batch in self.batches]


def write(journal: Journal, count: int) -> None:
    for number in range(count):
        journal.append(
            UsageRecord(
                id=f"{number}",
                key_id="k",
                at_ms=1,
                model="m",
                bedrock_model_id="b",
                dialect="invoke",
            )
        )


def test_what_was_never_tried_comes_several_batches_at_once(tmp_path):
    journal, log = Journal(tmp_path), Log()
    write(journal, 5 * BATCH + 7)
    assert asyncio.run(journal.drain(log)) == 5 * BATCH + 7
    assert log.sizes == [4 * BATCH, BATCH + 7]
    assert log.fresh == [True, True]


def test_what_was_tried_comes_one_by_one_under_the_same_numbers_and_the_rest_at_once(tmp_path):
    journal, log = Journal(tmp_path / "several"), Log(1)
    write(journal, 6 * BATCH)
    with pytest.raises(StoreError):
        asyncio.run(journal.drain(log))
    asyncio.run(journal.drain(log))
    assert log.sizes == [4 * BATCH, BATCH, BATCH, BATCH, BATCH, 2 * BATCH]
    assert log.fresh == [True, False, False, False, False, True]
    several, *single, rest = log.batches
    assert several.number == single[0].number
    assert several.through == single[3].number, "the number that its last batch has alone"
    assert rest.number > single[3].number
    assert rest.through > rest.number


def test_what_another_process_left_comes_one_by_one(tmp_path):
    journal, log = Journal(tmp_path), Log(1)
    write(journal, 3 * BATCH)
    asyncio.run(journal.finish(log))
    journal.close()
    heir = Log()
    assert asyncio.run(Journal(tmp_path).drain(heir)) == 3 * BATCH
    assert heir.sizes == [BATCH, BATCH, BATCH]
    assert heir.fresh == [False, False, False]
    assert heir.batches[-1].number == log.batches[0].through


def test_what_the_disk_refused_and_the_store_too_comes_one_by_one_from_its_file(tmp_path):
    folder = tmp_path / "journal"
    folder.write_text("in the way")
    journal, log = Journal(folder), Log(1)
    write(journal, 2 * BATCH)
    with pytest.raises(StoreError):
        asyncio.run(journal.drain(log))  # saves its lines where it can
    folder.unlink()
    log.fail_at = (1, 2)
    with pytest.raises(StoreError):
        asyncio.run(journal.drain(log))
    asyncio.run(journal.drain(log))
    assert log.sizes == [2 * BATCH, BATCH, BATCH, BATCH]
    assert log.fresh == [True, False, False, False]
    assert log.batches[1].number == log.batches[2].number == log.batches[0].number
