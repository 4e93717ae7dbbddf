"""One suite for the port `Sandbox`: what it promises, over a real executor with fake runners."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from executors import running_executor

from anthropic_bedrock_proxy.sandbox.base import (
    BashCell,
    CellAddress,
    ContainerGoneError,
    EditCell,
    Edited,
    Failed,
    FunctionCall,
    FunctionResult,
    PythonCell,
    Ran,
    SandboxUnavailableError,
    UnknownFileError,
    Waiting,
)

OWNER, STRANGER = "key-1", "key-2"
WEATHER = {"weather": "get_weather", "news": "get_news"}


@asynccontextmanager
async def opened_over_unix():
    async with running_executor() as executor:
        yield executor.client(), executor


@asynccontextmanager
async def opened_over_tcp():
    async with running_executor(url="http://127.0.0.1", token="t0ken") as executor:
        yield executor.client(), executor


@pytest.fixture(params=[opened_over_unix, opened_over_tcp])
def story(request):
    """Runs `tell(sandbox, executor)`."""

    def run(tell):
        async def running():
            async with request.param() as (sandbox, executor):
                await tell(sandbox, executor)

        asyncio.run(running())

    return run


def python(text, functions=WEATHER):
    return PythonCell(text, functions)


def test_a_cell_runs_and_a_container_stays(story):
    async def tell(sandbox, executor):
        container = sandbox.new_container()
        first = CellAddress(container, OWNER, "srvtoolu_1")
        reply = await sandbox.run(first, python("say hello"), create=True)
        assert reply.outcome == Ran("hello\n", "", 0)
        second = CellAddress(container, OWNER, "srvtoolu_2")
        assert (await sandbox.run(second, BashCell("say bash"), create=False)).outcome == Ran(
            "bash\n", "", 0
        )
        third = CellAddress(container, OWNER, "srvtoolu_3")
        edited = await sandbox.run(third, EditCell({"command": "create"}), create=False)
        assert edited.outcome == Edited("create", {"is_file_update": False})
        assert executor.isolation.started == 1
        state = await sandbox.look(container, OWNER)
        assert state.cells == ["srvtoolu_1", "srvtoolu_2", "srvtoolu_3"]
        assert state.expires_at >= reply.expires_at

    story(tell)


def test_a_call_waits_for_its_result_over_several_rounds(story):
    async def tell(sandbox, _):
        at = CellAddress(sandbox.new_container(), OWNER, "srvtoolu_1")
        cell = python('call weather {"city": "Rome"}\ngather weather news')
        outcome = (await sandbox.run(at, cell, create=True)).outcome
        (call,) = outcome.calls
        assert call == FunctionCall(call.id, "get_weather", {"city": "Rome"})
        assert call.id.startswith("toolu_")
        assert len(call.id) == len("toolu_") + 24
        assert (await sandbox.look(at.container, OWNER)).cells == [at.cell]
        outcome = (await sandbox.resume(at, [FunctionResult(call.id, "sunny")])).outcome
        assert [one.name for one in outcome.calls] == ["get_weather", "get_news"]
        results = [FunctionResult(one.id, one.name) for one in outcome.calls]
        reply = await sandbox.resume(at, results)
        assert reply.outcome == Ran("sunny\nget_weather\nget_news\n", "", 0)

    story(tell)


def test_who_runs_a_cell_again_joins_it_and_who_brings_results_again_changes_nothing(story):
    async def tell(sandbox, executor):
        at = CellAddress(sandbox.new_container(), OWNER, "srvtoolu_1")
        cell = python("call weather\nsay done")
        first, again = await asyncio.gather(
            sandbox.run(at, cell, create=True), sandbox.run(at, cell, create=True)
        )
        assert first.outcome == again.outcome
        assert isinstance(first.outcome, Waiting)
        result = FunctionResult(first.outcome.calls[0].id, "sunny")
        ends = [(await sandbox.resume(at, [result])).outcome for _ in range(2)]
        ends.append((await sandbox.run(at, cell, create=False)).outcome)
        assert ends == [Ran("sunny\ndone\n", "", 0)] * 3
        assert len(executor.isolation.ran) == 1

    story(tell)


def test_some_of_the_results_leave_the_rest_waiting(story):
    async def tell(sandbox, _):
        at = CellAddress(sandbox.new_container(), OWNER, "srvtoolu_1")
        outcome = (await sandbox.run(at, python("gather weather news"), create=True)).outcome
        first, second = outcome.calls
        outcome = (await sandbox.resume(at, [FunctionResult(second.id, "news")])).outcome
        assert outcome == Waiting([first])
        outcome = (await sandbox.resume(at, [FunctionResult(first.id, "sun")])).outcome
        assert outcome == Ran("sun\nnews\n", "", 0)

    story(tell)


def test_a_cell_behind_one_that_waits_is_told_so_and_runs_later(story):
    async def tell(sandbox, _):
        container = sandbox.new_container()
        first, second = (CellAddress(container, OWNER, name) for name in ("c1", "c2"))
        waiting = (await sandbox.run(first, python("call weather"), create=True)).outcome
        behind = BashCell("say late")
        for _ in range(2):
            reply = await sandbox.run(second, behind, create=False, beside=["c1"])
            assert reply.outcome == Waiting([])
        await sandbox.resume(first, [FunctionResult(waiting.calls[0].id, "sun")])
        assert (await sandbox.run(second, behind, create=False)).outcome == Ran("late\n", "", 0)

    story(tell)


def test_a_cell_that_nobody_cares_for_any_more_fails_its_calls_and_makes_room(story):
    async def tell(sandbox, _):
        container = sandbox.new_container()
        first, second = (CellAddress(container, OWNER, name) for name in ("c1", "c2"))
        await sandbox.run(first, python("gather weather news\ncall weather\nsay end"), create=True)
        reply = await sandbox.run(second, BashCell("say next"), create=False, beside=["c0"])
        assert reply.outcome == Ran("next\n", "", 0)
        words = "Error: the conversation went on without the results of this code.\n"
        late = await sandbox.resume(first, [])
        assert late.outcome == Ran(3 * words + "end\n", "", 0)

    story(tell)


def test_nobody_is_told_of_the_containers_of_others(story):
    async def tell(sandbox, executor):
        at = CellAddress(sandbox.new_container(), OWNER, "c1")
        outcome = (await sandbox.run(at, python("call weather"), create=True)).outcome
        foreign = CellAddress(at.container, STRANGER, "c1")
        results = [FunctionResult(outcome.calls[0].id, "forged")]
        for create in (True, False):
            with pytest.raises(ContainerGoneError):
                await sandbox.run(foreign, python("say mine"), create=create)
        with pytest.raises(ContainerGoneError):
            await sandbox.resume(foreign, results)
        with pytest.raises(ContainerGoneError):
            await sandbox.look(at.container, STRANGER)
        assert len(executor.isolation.ran) == 1
        assert (await sandbox.run(at, python(""), create=False)).outcome == outcome

    story(tell)


def test_what_never_was_is_gone(story):
    async def tell(sandbox, executor):
        at = CellAddress(sandbox.new_container(), OWNER, "c1")
        for name in (at.container, "container_ffff00112233445566778899", "nonsense", "../state"):
            gone = CellAddress(name, OWNER, "c1")
            with pytest.raises(ContainerGoneError):
                await sandbox.run(gone, python("say x"), create=False)
            with pytest.raises(ContainerGoneError):
                await sandbox.look(name, OWNER)
        await sandbox.run(at, python("say x"), create=True)
        for name in ("c2", "../c1", ""):
            with pytest.raises(ContainerGoneError):
                await sandbox.resume(CellAddress(at.container, OWNER, name), [])
        assert len(executor.isolation.ran) == 1

    story(tell)


def test_files_go_in_and_come_out(story):
    async def tell(sandbox, _):
        content = bytes(range(97, 123)) * 100_000  # more than two pieces
        record = await sandbox.upload(OWNER, "data.txt", content, "text/plain")
        assert (record.filename, record.size_bytes) == ("data.txt", len(content))
        at = CellAddress(sandbox.new_container(), OWNER, "c1")
        cell = python("read data.txt\nleave out.csv a,b")
        outcome = (await sandbox.run(at, cell, create=True, uploads=[record.id])).outcome
        assert outcome.stdout == content.decode() + "\n"
        (file,) = outcome.files
        assert (file.name, file.size) == ("out.csv", 3)
        assert await sandbox.file_content(OWNER, file.id) == b"a,b"
        missing = await sandbox.run(
            CellAddress(at.container, OWNER, "c2"), cell, create=False, uploads=["file_x"]
        )
        assert missing.outcome.error_code == "file_not_found"

    story(tell)


def test_a_runner_that_ends_fails_its_cell_and_the_next_one_has_a_new_one(story):
    async def tell(sandbox, executor):
        container = sandbox.new_container()
        at = CellAddress(container, OWNER, "c1")
        outcome = (await sandbox.run(at, python("die out of memory"), create=True)).outcome
        assert isinstance(outcome, Failed)
        assert outcome.error_code == "unavailable"
        assert "out of memory" in outcome.message
        assert (await sandbox.run(at, python("say x"), create=False)).outcome == outcome
        after = CellAddress(container, OWNER, "c2")
        assert (await sandbox.run(after, python("say x"), create=False)).outcome.stdout == "x\n"
        assert len(executor.isolation.runners) == 1

    story(tell)


def test_without_isolation_it_is_unavailable_and_says_why(story):
    async def tell(sandbox, executor):
        executor.isolation.refuses = "Install Docker."
        with pytest.raises(SandboxUnavailableError, match=r"Install Docker\."):
            await sandbox.check()
        at = CellAddress(sandbox.new_container(), OWNER, "c1")
        with pytest.raises(SandboxUnavailableError, match=r"Install Docker\."):
            await sandbox.run(at, python("say x"), create=True)
        executor.isolation.refuses = ""
        assert (await sandbox.run(at, python("say x"), create=True)).outcome.stdout == "x\n"

    story(tell)


def test_it_is_available_where_runners_can_be_had(story):
    async def tell(sandbox, _):
        await sandbox.check()

    story(tell)


def test_a_file_is_known_to_its_owner_alone_and_brought_in_once(story):
    async def tell(sandbox, _):
        record = await sandbox.upload(OWNER, "a.txt", b"first", "text/plain")
        assert await sandbox.file(OWNER, record.id) == record
        for owner, name in ((STRANGER, record.id), (OWNER, record.id[:-1] + "g"), (OWNER, "")):
            with pytest.raises(UnknownFileError):
                await sandbox.file(owner, name)
        container = sandbox.new_container(record.id)
        for number in range(2):
            at = CellAddress(container, OWNER, f"srvtoolu_{number}")
            uploads = [record.id]
            reply = await sandbox.run(at, python("read a.txt"), create=True, uploads=uploads)
            assert reply.outcome == Ran("first\n", "", 0)
            if not number:  # what lies there already is not looked up again
                await sandbox.delete_file(OWNER, record.id)

    story(tell)
