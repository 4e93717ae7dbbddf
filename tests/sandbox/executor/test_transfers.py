from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from fake_isolation import FakeIsolation

from anthropic_bedrock_proxy.sandbox.base import Failed, OutputFile
from anthropic_bedrock_proxy.sandbox.executor.frames import LeftFile
from anthropic_bedrock_proxy.sandbox.executor.runner_link import (
    RunnerBounds,
    RunnerEndedError,
    start_runner,
)
from anthropic_bedrock_proxy.sandbox.executor.spool import Spool, SpoolBounds
from anthropic_bedrock_proxy.sandbox.executor.transfers import PIECE_BYTES, bring_in, fetch

OWNER = "key-1"


@asynccontextmanager
async def linked(bounds=None):
    isolation = FakeIsolation()
    link = await start_runner(isolation, b"{}", RunnerBounds())
    spool = Spool(bounds)
    try:
        yield link, spool, isolation.runners[0]
    finally:
        spool.close()
        await link.end("over")


def put(spool, name, content, owner=OWNER):
    file = spool.begin(owner)
    file.write(content)
    return file.finish(name, "text/plain", downloadable=False).id


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES, PIECE_BYTES + 1])
def test_a_file_goes_in_once_in_pieces(size):
    async def main():
        async with linked() as (link, spool, runner):
            name = put(spool, "a.bin", b"x" * size)
            there = set()
            for _ in range(2):
                assert await bring_in(link, spool, OWNER, [name], there) is None
            assert runner.files == {"a.bin": b"x" * size}
            pieces = [frame for frame in runner.received if frame["type"] == "put"]
            assert len(pieces) == max(1, -(-size // PIECE_BYTES))
            assert there == {name}

    asyncio.run(main())


def test_a_file_of_another_owner_is_not_found():
    async def main():
        async with linked() as (link, spool, runner):
            name = put(spool, "a.bin", b"x", owner="key-2")
            failure = await bring_in(link, spool, OWNER, [name], set())
            assert isinstance(failure, Failed)
            assert failure.error_code == "file_not_found"
            assert runner.files == {}

    asyncio.run(main())


def test_what_a_cell_left_is_kept_for_its_owner():
    async def main():
        async with linked() as (link, spool, runner):
            runner.left = {"/out/a.csv": b"a,b"}
            files, missing = await fetch(link, spool, OWNER, [LeftFile("/out/a.csv", "a.csv", 3)])
            assert files == [OutputFile(files[0].id, "a.csv", 3)]
            assert missing == []
            (record,) = spool.list(OWNER)
            assert (record.mime_type, record.downloadable) == ("text/csv", True)

    asyncio.run(main())


def test_a_file_that_is_too_large_for_the_runner_is_left_out_and_named():
    async def main():
        async with linked() as (link, spool, runner):
            runner.left = {"/out/a": b"a", "/out/b": None, "/out/c": b"c"}
            left = [LeftFile(f"/out/{name}", name, 1) for name in "abc"]
            files, missing = await fetch(link, spool, OWNER, left)
            assert [file.name for file in files] == ["a", "c"]
            assert missing == ["b was left out: too large"]

    asyncio.run(main())


def test_where_it_fails_the_cell_no_file_of_it_is_kept():
    async def main():
        async with linked() as (link, spool, runner):
            runner.left = {"/out/a": b"a", "/out/b": None}
            left = [LeftFile("/out/a", "a", 1), LeftFile("/out/b", "b", 3)]
            failure = await fetch(link, spool, OWNER, left, too_large_fails=True)
            assert failure.error_code == "output_file_too_large"
            assert spool.list(OWNER) == []

    asyncio.run(main())


def test_a_runner_that_sends_more_than_a_file_may_have_is_ended():
    async def main():
        async with linked(SpoolBounds(file_bytes=3)) as (link, spool, runner):
            runner.left = {"/out/a": b"xxxxxxxx"}
            with pytest.raises(RunnerEndedError, match="too large"):
                await fetch(link, spool, OWNER, [LeftFile("/out/a", "a", 3)])
            assert spool.list(OWNER) == []

    asyncio.run(main())


def test_what_there_is_no_room_for_and_what_has_no_name_is_left_out():
    async def main():
        async with linked(SpoolBounds(owner_bytes=4)) as (link, spool, runner):
            put(spool, "mine", b"xx")
            runner.left = {"/out/a": b"yyy", "/out/b": b"z"}
            left = [
                LeftFile("/out/a", "a", 3),
                LeftFile("/out/b", "b", 1),
                LeftFile("/out/b", "../b", 1),
            ]
            files, missing = await fetch(link, spool, OWNER, left)
            assert [file.name for file in files] == ["b"]
            assert [line.partition(":")[0] for line in missing] == [
                "a was left out",
                "A file was left out",
            ]

    asyncio.run(main())


def test_a_runner_that_sends_its_files_too_slowly_is_ended():
    async def main():
        async with linked() as (link, spool, runner):
            left = [LeftFile("/out/a", "a", 3)]

            def dribble(frame):
                runner.tell(type="data", id=frame["id"], data="YQ==", last=False)

            runner._send = dribble
            with pytest.raises(RunnerEndedError, match="did not send its files in time"):
                await fetch(link, spool, OWNER, left, seconds=0.05)
            assert spool.list(OWNER) == []

    asyncio.run(main())


def test_a_runner_that_sends_pieces_of_nothing_is_ended():
    async def main():
        async with linked() as (link, spool, runner):

            def empty(frame):
                runner.tell(type="data", id=frame["id"], data="", last=False)

            runner._send = empty
            with pytest.raises(RunnerEndedError, match="no piece of a file"):
                await fetch(link, spool, OWNER, [LeftFile("/out/a", "a", 3)])

    asyncio.run(main())
