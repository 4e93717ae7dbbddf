"""Files over several executors; what one of them promises is in conformance/test_sandbox."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from executors import OWNER, at, mark_of, running_executor, several

from anthropic_bedrock_proxy.aws.http import MAX_BODY_BYTES
from anthropic_bedrock_proxy.sandbox.address import ExecutorAddress
from anthropic_bedrock_proxy.sandbox.base import (
    BashCell,
    Ran,
    RefusedFileError,
    SandboxUnavailableError,
    UnknownFileError,
)
from anthropic_bedrock_proxy.sandbox.client import SandboxClient
from anthropic_bedrock_proxy.sandbox.connection import ExecutorConnection
from anthropic_bedrock_proxy.sandbox.executor.spool import SpoolBounds


async def _never(_):
    await asyncio.Event().wait()


@asynccontextmanager
async def one_of_two_hangs():
    """(a client of an executor that never answers and one that does, the one that does)"""
    async with running_executor() as silent, running_executor() as good:
        connections = [silent.connection(connect=_never), good.connection()]
        client = SandboxClient(connections)
        try:
            async with asyncio.timeout(4):  # the silent one is given up after 15 s
                yield client, good
        finally:
            await client.close()


def test_one_that_does_not_answer_holds_up_neither_containers_nor_files():
    async def main():
        async with one_of_two_hangs() as (client, good):
            await client.check()
            record = await client.upload(OWNER, "a.txt", b"x", "text/plain")
            assert mark_of(record.id) == good.address.mark

    asyncio.run(main())


def test_files_of_those_that_answer_are_listed_and_if_none_does_that_is_told():
    async def main():
        async with running_executor() as good:
            away = ExecutorConnection(
                ExecutorAddress.from_url("unix:///nowhere/executor.sock"), None
            )
            client = SandboxClient([away, good.connection()])
            record = await client.upload(OWNER, "a.txt", b"x", "text/plain")
            assert await client.list_files(OWNER) == [record]
            alone = SandboxClient([away])
            with pytest.raises(SandboxUnavailableError, match="cannot be reached"):
                await alone.list_files(OWNER)
            await client.close()

    asyncio.run(main())


def test_a_file_is_brought_to_the_executor_of_the_container_once():
    async def main():
        async with several() as (client, executors):
            record = await client.upload(OWNER, "a.txt", b"hello", "text/plain")
            home = mark_of(record.id)
            other = next(mark for mark in executors if mark != home)
            for number in range(2):
                container = f"container_{other}{number:020x}"
                reply = await client.run(
                    at(container), BashCell("read a.txt"), create=True, uploads=[record.id]
                )
                assert reply.outcome.stdout == "hello\n"
            copy = f"copy_{record.id.removeprefix('file_')}"
            assert executors[other].parts.spool.find(OWNER, copy).size_bytes == 5
            assert [one.id for one in await client.list_files(OWNER)] == [record.id]

    asyncio.run(main())


def test_a_copy_that_has_lapsed_is_brought_again():
    async def main():
        async with several() as (client, executors):
            record = await client.upload(OWNER, "a.txt", b"hello", "text/plain")
            other = next(mark for mark in executors if mark != mark_of(record.id))
            spool = executors[other].parts.spool
            for number in range(2):
                container = f"container_{other}{number:020x}"
                reply = await client.run(
                    at(container), BashCell("read a.txt"), create=True, uploads=[record.id]
                )
                assert reply.outcome == Ran("hello\n", "", 0)
                spool.remove(OWNER, f"copy_{record.id.removeprefix('file_')}")

    asyncio.run(main())


def test_another_proxy_does_not_bring_a_copy_again_over_what_code_has_made_of_it():
    async def main():
        async with several() as (client, executors):
            record = await client.upload(OWNER, "a.txt", b"hello", "text/plain")
            other = next(mark for mark in executors if mark != mark_of(record.id))
            container = f"container_{other}{0:020x}"
            uploads = [record.id]
            cell = BashCell("read a.txt")
            await client.run(at(container), cell, create=True, uploads=uploads)
            (runner,) = executors[other].isolation.runners
            runner.files["a.txt"] = b"edited"
            second = SandboxClient([executor.connection() for executor in executors.values()])
            reply = await second.run(at(container, "c2"), cell, create=False, uploads=uploads)
            assert reply.outcome.stdout == "edited\n"
            await second.close()

    asyncio.run(main())


def test_files_of_all_executors_are_listed_and_each_is_found_by_its_id():
    async def main():
        async with several() as (client, executors):
            records = []
            while {mark_of(record.id) for record in records} != set(executors):
                records.append(await client.upload(OWNER, "a.txt", b"x", "text/plain"))
            listed = await client.list_files(OWNER)
            assert sorted(one.id for one in listed) == sorted(one.id for one in records)
            for record in records:
                assert await client.file(OWNER, record.id) == record
                assert await client.file_content(OWNER, record.id) == b"x"
                with pytest.raises(UnknownFileError):
                    await client.file_content("key-2", record.id)
                await client.delete_file(OWNER, record.id)
                with pytest.raises(UnknownFileError):
                    await client.file(OWNER, record.id)

    asyncio.run(main())


@pytest.mark.parametrize(
    "name", ["", "file_", "file_ffff" + "0" * 24, "../state", "file_1/content"]
)
def test_what_is_no_file_of_ours_is_unknown(name):
    async def main():
        async with running_executor() as executor:
            client = executor.client()
            for take in (client.file, client.file_content, client.delete_file):
                with pytest.raises(UnknownFileError):
                    await take(OWNER, name)

    asyncio.run(main())


def test_a_file_over_the_bound_of_other_answers_is_fetched_whole():
    """Answers of AWS may have 64 MiB; a file may have what the settings allow."""

    async def main():
        size = MAX_BODY_BYTES + 1
        bounds = SpoolBounds(file_bytes=size, owner_bytes=size)
        async with running_executor(spool=bounds) as executor:
            client = executor.client()
            record = await client.upload(OWNER, "a.bin", bytes(size), "text/plain", seconds=60)
            assert record.expires_at == record.created_at + 60
            assert len(await client.file_content(OWNER, record.id)) == size

    asyncio.run(main())


def test_a_file_that_is_too_large_is_refused():
    async def main():
        async with running_executor(spool=SpoolBounds(file_bytes=3)) as executor:
            client = executor.client()
            with pytest.raises(RefusedFileError, match="3 bytes"):
                await client.upload(OWNER, "a.txt", b"1234", "text/plain")

    asyncio.run(main())
