"""Attacks on what all share: memory, processes, disk, CPU. A neighbour has to stay unharmed."""

from __future__ import annotations

import asyncio
import textwrap
import time

import pytest
from walls import MEGABYTE, EndedError, attempt, begin, opened, sandboxes


def besides(kind, code, **limits):
    """Runs an attack; returns its answer or its end, and the neighbour's answer meanwhile.

    The neighbour is asked ten times while the attack goes on, each within two seconds.
    """

    async def main():
        async with sandboxes(kind, 2, **limits) as (attacker, neighbour):
            attacking = asyncio.create_task(attacker.ask(textwrap.dedent(code)))
            for _ in range(10):
                async with asyncio.timeout(2):
                    assert await neighbour.ask("print(sum(range(100_000)))") == "4999950000\n"
                await asyncio.wait([attacking], timeout=0.1)
            try:
                return await attacking
            except EndedError as error:
                return f"ended: {error}"

    return asyncio.run(main())


def is_out_of_memory(told):
    """Sandlock does not learn who has killed a runner."""
    return told in {"ended: out of memory", "ended: killed, or out of memory"}


def test_a_memory_hog_is_ended_and_why_is_told(kind):
    told = besides(kind, "x = [bytearray(8 << 20) for _ in range(200)]")
    assert is_out_of_memory(told)


@pytest.mark.parametrize(
    "hog",
    [
        "[mmap.mmap(-1, 8 << 20) for _ in range(200)]",
        "[mmap.mmap(-1, 8 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) for _ in range(200)]",
    ],
    ids=["shared", "private"],
)
def test_so_is_one_by_way_of_maps(kind, hog):
    told = besides(
        kind, f"import mmap\nmaps = {hog}\nfor one in maps:\n    one.write(b'x' * (8 << 20))"
    )
    assert is_out_of_memory(told)


def test_memory_of_forks_is_counted_together(kind):
    """Each has 150 MB of its parent's until it writes; of eight, not all can write all."""
    told = besides(
        kind,
        """
        import os, time
        data = bytearray(150 << 20)
        children = []
        for _ in range(8):
            child = os.fork()
            if child == 0:
                for place in range(0, len(data), 4096):
                    data[place] = 1
                time.sleep(3)
                os._exit(0)
            children.append(child)
        print(sum(os.waitpid(child, 0)[1] == 0 for child in children))
        """,
    )
    assert is_out_of_memory(told) or int(told) < 2


def test_memory_that_belongs_to_no_process_is_bounded(kind):
    told = besides(
        kind,
        """
        import os
        files = []
        for _ in range(100):
            files.append(os.memfd_create("x"))
            os.write(files[-1], b"x" * (8 << 20))
        """,
    )
    assert is_out_of_memory(told) or told.startswith(("OSError", "PermissionError"))


def test_memory_of_pipes_and_sockets_is_bounded(kind):
    told = besides(
        kind,
        """
        import os, resource, fcntl
        total = 0
        try:
            for _ in range(2000):
                _, end = os.pipe()
                fcntl.fcntl(end, 1031, 1 << 20)  # F_SETPIPE_SZ
                os.set_blocking(end, False)
                total += os.write(end, b"x" * (1 << 20))
        except OSError:
            pass
        print(total)
        """,
    )
    assert is_out_of_memory(told) or int(told) <= 256 * MEGABYTE


FORK_BOMB = """
import os, time
made = 0
while True:
    try:
        child = os.fork()
    except OSError:
        break
    if child == 0:
        while True:
            try:
                if os.fork() == 0:
                    continue
            except OSError:
                time.sleep(0.01)
    made += 1
    if made > 500:
        break
print(made)
"""


def test_a_fork_bomb_is_bounded(kind):
    told = besides(kind, FORK_BOMB, pids=32)
    assert told.startswith("ended") or int(told) <= 32


def test_a_fork_bomb_is_gone_with_its_sandbox(kind):
    async def main():
        async with opened(kind, pids=32) as isolation:
            inside = await begin(isolation)
            await inside.runner.write(b'"import os\\nwhile True:\\n    try: os.fork()\\n'
                                      b'    except OSError: pass"\n')  # fmt: skip
            await asyncio.wait([asyncio.create_task(inside.line())], timeout=1)
            began = time.monotonic()
            await inside.runner.kill()
            assert time.monotonic() - began < 5
            return await (await begin(isolation)).ask("print('well')")

    assert asyncio.run(main()) == "well\n"


def test_threads_count_as_processes(kind):
    told = besides(
        kind,
        """
        import threading, time
        made = 0
        try:
            for made in range(200):
                threading.Thread(target=time.sleep, args=(5,), daemon=True).start()
        except RuntimeError:
            pass
        print(made)
        """,
        pids=32,
    )
    assert int(told) <= 32 + 16  # of sandlock, whose own threads are reckoned for


def test_a_disk_filler_comes_to_the_limit(kind):
    told = besides(
        kind,
        """
        import os
        total = 0
        try:
            for number in range(100):
                with open(f"file-{number}", "wb", 0) as file:
                    for _ in range(8):
                        total += file.write(b"x" * (1 << 20))
        except OSError as error:
            print(error.errno, total >> 20)
        """,
        disk_bytes=32 * MEGABYTE,
    )
    number, total = map(int, told.split())
    assert number == 28  # ENOSPC
    assert 28 <= total <= 32


def test_files_without_content_come_to_a_limit_too(kind):
    told = attempt(
        kind,
        "import os\n"
        "for number in range(100_000):\n"
        "    try: os.close(os.open(f'file-{number}', os.O_CREAT))\n"
        "    except OSError as error:\n"
        "        print(error.errno, number)\n"
        "        break\n",
        disk_bytes=4 * MEGABYTE,
    )
    number, files = map(int, told.split())
    assert number == 28
    assert files <= 1024


def test_other_folders_are_no_way_around_the_disk_limit(kind):
    told = attempt(
        kind,
        "total = 0\n"
        "for folder in ('/tmp', '/dev/shm', '/var/tmp', '/run', '/dev', '/dev/mqueue'):\n"
        "    try:\n"
        "        with open(folder + '/big', 'wb', 0) as file:\n"
        "            for _ in range(64): total += file.write(b'x' * (1 << 20))\n"
        "    except OSError: pass\n"
        "print(total >> 20)",
    )
    assert int(told) <= 16 + 8  # of Docker: /tmp and /dev/shm


def test_a_deep_tree_of_odd_modes_goes_with_its_sandbox(kind):
    async def main():
        async with opened(kind) as isolation:
            inside = await begin(isolation)
            await inside.ask(
                "import os\n"
                "for _ in range(3000):\n"
                "    os.mkdir('d'); os.chdir('d')\n"
                "os.chmod('.', 0)"
            )
            await inside.runner.kill()
            return await (await begin(isolation)).ask("import os; print(os.listdir())")

    assert asyncio.run(main()) == "[]\n"


def test_cpu_spinners_leave_some_for_the_neighbour(kind):
    told = besides(
        kind,
        """
        import os, time
        began = time.monotonic()
        for _ in range(7):
            if os.fork() == 0:
                while True: pass
        while time.monotonic() - began < 3: pass
        print("spun")
        """,
    )
    assert told == "spun\n"


def test_the_share_of_cpu_is_bounded(kind):
    """Eight that spin for two seconds get what one CPU has, or half of one."""
    code = """
import os, time
began = time.monotonic()
children = []
for _ in range(8):
    child = os.fork()
    if child == 0:
        while time.monotonic() - began < 2: pass
        os._exit(0)
    children.append(child)
for child in children:
    os.waitpid(child, 0)
used = os.times()
print((used.children_user + used.children_system) / (time.monotonic() - began))
"""
    assert float(attempt(kind, code, cpus=1.0)) < 1.2
    assert float(attempt(kind, code, cpus=0.5)) < 0.75


def test_it_cannot_take_more_by_changing_its_own_limits(kind):
    code = """
import os, resource
def no(attempt, *arguments):
    try: attempt(*arguments)
    except (OSError, ValueError): return True
    return False
print(no(os.nice, -5))
print(no(resource.setrlimit, resource.RLIMIT_NOFILE, (65536, 65536)))
print(no(os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(1)))
print(no(resource.setrlimit, resource.RLIMIT_CORE, (1, 1)))
"""
    assert attempt(kind, code) == "True\n" * 4


def test_open_files_are_bounded(kind):
    code = "files = [open('/dev/null') for _ in range(5000)]"
    assert attempt(kind, code).startswith("OSError: [Errno 24]")
