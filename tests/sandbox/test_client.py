"""The client over several executors; what one of them promises is in conformance/test_sandbox."""

from __future__ import annotations

import asyncio

import pytest
from executors import OWNER, at, mark_of, running_executor, several, until

from anthropic_bedrock_proxy.sandbox.address import ExecutorAddress
from anthropic_bedrock_proxy.sandbox.base import (
    BashCell,
    ContainerGoneError,
    FunctionResult,
    PythonCell,
    Ran,
    SandboxUnavailableError,
    Waiting,
)
from anthropic_bedrock_proxy.sandbox.client import SandboxClient
from anthropic_bedrock_proxy.sandbox.connection import ExecutorConnection
from anthropic_bedrock_proxy.timeline import ToolRun, current_run


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


def test_a_new_container_is_made_where_its_file_lies():
    async def main():
        async with several() as (client, _):
            record = await client.upload(OWNER, "a.txt", b"x", "text/plain")
            for _ in range(20):
                assert mark_of(client.new_container(record.id)) == mark_of(record.id)
            marks = {mark_of(client.new_container("file_ffff" + "0" * 24)) for _ in range(200)}
            assert len(marks) > 1

    asyncio.run(main())


def test_a_call_for_a_cell_is_noted_in_the_run_that_makes_it():
    async def main():
        async with running_executor() as executor:
            client = executor.client()
            run = ToolRun("bash_code_execution", "srvtoolu_1", 0.0)
            current_run.set(run)
            address = at(client.new_container())
            await client.run(address, BashCell("say x"), create=True)
            (noted,) = run.cells
            assert (noted.cell, noted.failed, noted.span_id) == (address.cell, False, "")
            assert 0 < noted.began <= noted.ended

    asyncio.run(main())


@pytest.mark.parametrize("traced", [True, False])
def test_an_executor_is_told_the_span_of_a_traced_call(traced):
    heads = []

    async def refuse(reader, writer):
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    async def main():
        server = await asyncio.start_server(refuse, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            address = ExecutorAddress.from_url(f"http://127.0.0.1:{port}")
            client = SandboxClient([ExecutorConnection(address, None)])
            run = ToolRun("bash_code_execution", "srvtoolu_1", 0.0)
            if traced:
                run.trace_id, run.span_id = "a" * 32, "b" * 16
            current_run.set(run)
            with pytest.raises(SandboxUnavailableError):
                await client.run(at(client.new_container()), BashCell("say x"), create=True)
            await client.close()
            return run.cells

    (noted,) = asyncio.run(main())
    assert noted.failed
    field = f"\r\ntraceparent: 00-{'a' * 32}-{noted.span_id}-01\r\n".encode()
    assert all((field in head) == traced for head in heads)
    assert len(noted.span_id) == (16 if traced else 0)
