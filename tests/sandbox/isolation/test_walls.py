"""Both isolations keep the promises of the port."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from walls import (
    MEGABYTE,
    SECONDS,
    EndedError,
    Inside,
    attempt,
    begin,
    containers,
    launchers,
    opened,
    options,
    sandboxes,
)

from anthropic_bedrock_proxy.sandbox.isolation.base import IsolationError
from anthropic_bedrock_proxy.sandbox.isolation.select import make_isolation


def left(kind, name):
    """What is there of sandboxes, by whatever they are found."""
    return containers(name) if kind == "docker" else launchers()


async def write_much(runner):
    for _ in range(100):
        await runner.write(b"x" * MEGABYTE)


def test_a_runner_reads_and_writes_and_keeps_its_state(kind):
    async def main():
        async with sandboxes(kind) as (inside,):
            await inside.ask("x = 20")
            return await inside.ask("print(x + 1)")

    assert asyncio.run(main()) == "21\n"


def test_its_workspace_is_writable_and_its_home_and_its_folder(kind):
    async def main():
        async with sandboxes(kind) as (inside,):
            told = await inside.ask(
                "import os; open('file', 'w').write('x'); os.mkdir('folder');"
                "print(os.getcwd(), os.environ['HOME'], sorted(os.listdir()))"
            )
            return inside.runner.workspace, told

    workspace, told = asyncio.run(main())
    assert told == f"{workspace} {workspace} ['file', 'folder']\n"


def test_many_bytes_go_both_ways_unharmed(kind):
    async def main():
        async with sandboxes(kind) as (inside,):
            sent = "".join(chr(33 + i % 90) for i in range(5 * MEGABYTE))
            told = await inside.ask(f"data = {sent!r}; print(data[::-1], end='')")
            return told == sent[::-1]

    assert asyncio.run(main())


def test_whoever_writes_to_a_runner_that_does_not_read_waits(kind):
    async def main():
        command = (
            "python3",
            "-I",
            "-c",
            "import sys, time; print('ready', flush=True); time.sleep(99)",
        )
        async with opened(kind, command=command) as isolation:
            inside = await begin(isolation)
            writing = asyncio.create_task(inside.runner.write(b"x" * 64 * MEGABYTE))
            done, _ = await asyncio.wait([writing], timeout=0.5)
            assert not done
            await inside.runner.kill()
            with pytest.raises(IsolationError):
                await writing

    asyncio.run(main())


def test_an_endless_writer_is_held_up_while_nobody_reads(kind):
    code = "import sys\nwhile True: sys.stdout.write('x' * 65536)"

    async def main():
        async with opened(kind, command=("python3", "-I", "-c", code)) as isolation:
            runner = await isolation.start()
            assert await runner.read()
            await runner.kill()
            async with asyncio.timeout(SECONDS):
                rest = 0
                while data := await runner.read():
                    rest += len(data)
            assert rest < 16 * MEGABYTE

    asyncio.run(main())


def test_an_end_is_read_and_told(kind):
    async def main():
        async with sandboxes(kind) as (inside,):
            with pytest.raises(EndedError) as told:
                await inside.ask("import os; os._exit(7)")
            assert await inside.runner.read() == b""
            with pytest.raises(IsolationError):  # the first bytes may still fit into a pipe
                await write_much(inside.runner)
            return str(told.value)

    assert asyncio.run(main()) == "exit code 7"


def test_a_kill_ends_all_that_was_started_and_leaves_nothing(kind):
    daemons = textwrap.dedent("""
        import os, subprocess
        for _ in range(5):
            subprocess.Popen(["bash", "-c", "trap '' TERM HUP; while :; do sleep 9; done"],
                             start_new_session=True)
        open("file", "w").write("x")
    """)

    async def main():
        before = left(kind, "kill")
        async with opened(kind, name="kill") as isolation:
            inside = await begin(isolation)
            assert left(kind, "kill") - before
            await inside.ask(daemons)
            async with asyncio.timeout(5):
                await inside.runner.kill()
            assert left(kind, "kill") == before
            assert await inside.runner.read() == b""
            await inside.runner.kill()

    asyncio.run(main())
    assert "trap '' TERM HUP" not in subprocess.check_output(["ps", "axww"], text=True)


def test_closing_ends_all_runners(kind):
    async def main():
        before = left(kind, "close")
        isolation = make_isolation(options(kind, name="close"))
        await isolation.open()
        if (await isolation.state()).status == "ready":
            runners = [(await begin(isolation)).runner for _ in range(3)]
            await isolation.close()
            assert left(kind, "close") == before
            assert [await runner.read() for runner in runners] == [b""] * 3
        else:
            await isolation.close()
            pytest.skip(f"{kind} is needed")

    asyncio.run(main())


def test_a_start_that_is_cancelled_leaves_nothing(kind):
    async def main():
        async with opened(kind, name="cancel") as isolation:
            for delay in (0, 0.001, 0.01, 0.03, 0.06):
                starting = asyncio.create_task(isolation.start())
                await asyncio.wait([starting], timeout=delay)
                starting.cancel()
                await asyncio.wait([starting])
                if not starting.cancelled():
                    await starting.result().kill()
        return left(kind, "cancel")

    before = left(kind, "cancel")
    assert asyncio.run(main()) == before


EXECUTOR = """
import asyncio, os, sys
sys.path[:0] = {path!r}
from walls import begin, opened

async def main():
    async with opened({kind!r}, name="orphans") as isolation:
        await begin(isolation)
        print("begun", flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


def test_runners_end_with_an_executor_that_is_killed_and_the_next_removes_what_is_left(kind):
    async def main():
        async with opened(kind, name="orphans"):
            pass
        before = left(kind, "orphans")
        code = EXECUTOR.format(path=sys.path, kind=kind)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE
        )
        assert await process.stdout.readline() == b"begun\n"
        orphans = left(kind, "orphans") - before
        assert orphans
        process.kill()
        await process.wait()
        async with asyncio.timeout(10):
            if kind == "docker":
                for container in orphans:
                    await (
                        await asyncio.create_subprocess_exec(
                            "docker", "wait", container, stdout=asyncio.subprocess.DEVNULL
                        )
                    ).wait()
            else:
                while left(kind, "orphans") & orphans:
                    await asyncio.sleep(0.01)
        async with opened(kind, name="orphans"):
            assert left(kind, "orphans") == before

    asyncio.run(main())


def test_runners_start_side_by_side_and_know_nothing_of_each_other(kind):
    async def main():
        async with opened(kind) as isolation:
            made = await asyncio.gather(*(begin(isolation) for _ in range(6)))
            for number, inside in enumerate(made):
                await inside.ask(f"open('mine', 'w').write('{number}')")
            return [await inside.ask("print(open('mine').read(), end='')") for inside in made]

    assert asyncio.run(main()) == [str(number) for number in range(6)]


def test_bash_and_its_tools_are_there(kind):
    code = (
        "import subprocess\n"
        "script = 'echo b > x; echo a >> x; sort x | grep -c . ; cat <(echo hi); ls; sed -n 1p x'\n"
        "print(subprocess.run(['bash', '-c', script], capture_output=True, text=True).stdout)"
    )
    assert attempt(kind, code) == "2\nhi\nx\nb\n\n"


def test_a_command_that_is_not_there_fails(kind):
    async def main():
        async with opened(kind, command=("/usr/bin/not-there",)) as isolation:
            try:
                inside = Inside(await isolation.start())
            except IsolationError as error:
                return str(error)
            with pytest.raises(EndedError):
                await inside.line()
            return "ended"

    assert asyncio.run(main())


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_starting_and_killing_keeps_no_descriptors(kind):
    async def main():
        async with opened(kind) as isolation:
            await (await begin(isolation)).runner.kill()
            before = descriptors()
            for _ in range(10):
                await (await begin(isolation)).runner.kill()
            return descriptors() - before

    assert asyncio.run(main()) <= 0
