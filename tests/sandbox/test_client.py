"""The client over several executors; what one of them promises is in conformance/test_sandbox."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from executors import running_executor, until

from anthropic_bedrock_proxy.aws.http import MAX_BODY_BYTES
from anthropic_bedrock_proxy.sandbox.address import ExecutorAddress
from anthropic_bedrock_proxy.sandbox.base import (
    BashCell,
    CellAddress,
    ContainerGoneError,
    FunctionResult,
    PythonCell,
    Ran,
    RefusedFileError,
    SandboxUnavailableError,
    UnknownFileError,
    Waiting,
)
from anthropic_bedrock_proxy.sandbox.client import SandboxClient
from anthropic_bedrock_proxy.sandbox.connection import ExecutorConnection
from anthropic_bedrock_proxy.sandbox.executor.spool import SpoolBounds

OWNER = "key-1"


@asynccontextmanager
async def several(count=2, **options):
    """(a client of all, the executors by their marks)"""
    async with AsyncExitStack() as stack:
        executors = [
            await stack.enter_async_context(running_executor(**options)) for _ in range(count)
        ]
        client = SandboxClient([executor.connection() for executor in executors])
        stack.push_async_callback(client.close)
        yield client, {executor.address.mark: executor for executor in executors}


def mark_of(name):
    return name.partition("_")[2][:4]


def at(container, cell="c1"):
    return CellAddress(container, OWNER, cell)


def test_a_container_is_found_where_it_was_made_by_any_client():
    async def main():
        async with several() as (client, executors):
            for _ in range(6):
                container = client.new_container()
                await client.run(at(container), BashCell("say x"), create=True)
                home = executors[mark_of(container)]
                assert home.parts.containers.look(container, OWNER).cells == ["c1"]
                other = SandboxClient([one.connection() for one in executors.values()])
                assert (await other.look(container, OWNER)).cells == ["c1"]
                await other.remove(container, OWNER)
                await other.close()
            with pytest.raises(ContainerGoneError):
                await client.look(container, OWNER)

    asyncio.run(main())


def test_new_containers_go_where_they_can_be_had():
    async def main():
        async with several(3) as (client, executors):
            bad, good, _ = executors.values()
            bad.isolation.refuses = "no daemon"
            await client.check()
            marks = {mark_of(client.new_container()) for _ in range(100)}
            assert marks == set(executors) - {bad.address.mark}
            assert good.address.mark in marks

    asyncio.run(main())


def test_new_containers_and_files_do_not_go_where_an_executor_was_a_moment_ago():
    async def main():
        async with running_executor() as stays:
            async with running_executor() as goes:
                client = SandboxClient([stays.connection(), goes.connection()])
                await client.check()
                await until(lambda: None not in client.states().values())
            await client.check()
            made = [client.new_container() for _ in range(50)]
            assert {mark_of(name) for name in made} == {stays.address.mark}
            file = await client.upload(OWNER, "a.txt", b"a", "text/plain")
            assert mark_of(file.id) == stays.address.mark
            await client.close()

    asyncio.run(main())


def test_it_is_unavailable_only_if_all_are():
    async def main():
        async with several() as (client, executors):
            for executor in executors.values():
                executor.isolation.refuses = "no daemon"
            with pytest.raises(SandboxUnavailableError, match=r"^no daemon$"):
                await client.check()

    asyncio.run(main())


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


def test_states_are_told_at_once_and_asked_for_in_the_background():
    async def main():
        async with several(1) as (client, executors):
            (executor,) = executors.values()
            url = executor.address.url
            assert client.states() == {url: None}
            await until(lambda: client.states()[url] is not None)
            assert client.states()[url].isolation == "fake"

    asyncio.run(main())


def test_an_executor_that_is_away_is_unavailable():
    async def main():
        address = ExecutorAddress.from_url("unix:///nowhere/executor.sock")
        client = SandboxClient([ExecutorConnection(address, None)])
        with pytest.raises(SandboxUnavailableError, match="cannot be reached"):
            await client.check()
        with pytest.raises(SandboxUnavailableError, match="cannot be reached"):
            await client.run(at(client.new_container()), BashCell("say x"), create=True)
        await client.close()

    asyncio.run(main())


def test_a_connection_that_is_cut_in_a_cell_is_joined_again():
    async def main():
        async with running_executor() as executor:
            client = executor.client()
            cell = BashCell("stand\nsay x")
            running = asyncio.create_task(client.run(at(client.new_container()), cell, create=True))
            await until(lambda: executor.isolation.ran)
            (connection,) = client._executors.values()
            for one in list(connection._pool._open):
                one._transport.abort()  # as a network does
            executor.isolation.gate.set()
            assert (await running).outcome == Ran("x\n", "", 0)
            assert len(executor.isolation.ran) == 1

    asyncio.run(main())


def test_a_cell_that_takes_too_long_is_said_to_and_runs_on():
    async def main():
        async with running_executor() as executor:
            client = SandboxClient([executor.connection()], cell_seconds=0.05)
            address = at(client.new_container())
            with pytest.raises(SandboxUnavailableError, match=r"not answered within 0\.05 s"):
                await client.run(address, BashCell("stand\nsay x"), create=True)
            executor.isolation.gate.set()
            await until(lambda: not executor.parts.containers.counts().running)
            joined = await client.run(address, BashCell("say y"), create=False)
            assert joined.outcome == Ran("x\n", "", 0)
            await client.close()

    asyncio.run(main())


def test_large_results_go_in_several_calls_and_one_that_is_too_large_as_an_error():
    async def main():
        async with running_executor() as executor:
            client = executor.client()
            address = at(client.new_container())
            cell = PythonCell("gather f f f", {"f": "f"})
            outcome = (await client.run(address, cell, create=True)).outcome
            assert isinstance(outcome, Waiting)
            sizes = [3_000_000, 3_000_000, 17_000_000]
            results = [
                FunctionResult(call.id, "x" * size)
                for call, size in zip(outcome.calls, sizes, strict=True)
            ]
            failed = (await client.resume(address, results)).outcome
            # What the fake prints is more than a runner may say: its end is refused.
            assert failed.error_code == "unavailable"
            sent = [f for f in executor.isolation.results if f["type"] == "result"]
            assert [len(frame["text"]) for frame in sent[:2]] == sizes[:2]
            assert sent[2]["text"].startswith("Error")

    asyncio.run(main())


def test_results_are_measured_as_the_json_that_is_sent():
    # Each of these has six bytes: one that the executor refused was lost, and its code waited on.
    async def main():
        async with running_executor() as executor:
            client = executor.client()
            address = at(client.new_container())
            cell = PythonCell("call f\nsay x", {"f": "f"})
            outcome = (await client.run(address, cell, create=True)).outcome
            result = FunctionResult(outcome.calls[0].id, "\0" * 3_000_000)
            ended = (await client.resume(address, [result])).outcome
            error = "Error: the result is too large to be passed on."
            assert ended == Ran(f"{error}\nx\n", "", 0)

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


def test_a_new_container_is_made_where_its_file_lies():
    async def main():
        async with several() as (client, _):
            record = await client.upload(OWNER, "a.txt", b"x", "text/plain")
            for _ in range(20):
                assert mark_of(client.new_container(record.id)) == mark_of(record.id)
            marks = {mark_of(client.new_container("file_ffff" + "0" * 24)) for _ in range(200)}
            assert len(marks) > 1

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
