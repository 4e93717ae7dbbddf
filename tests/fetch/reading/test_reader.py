"""The process that reads pages, started, asked and ended."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

import pytest
from fakeserver import until
from test_markup import ARTICLE
from test_reading_worker import SLOW

from anthropic_bedrock_proxy.fetch.base import BusyError, Fetched, UnreadableError, WrongTypeError
from anthropic_bedrock_proxy.fetch.reading import reader as reader_module
from anthropic_bedrock_proxy.fetch.reading.reader import IDLE_SECONDS, PageReader, reader_environ

URL = "https://a.example/"
PAGE = ARTICLE.encode()


def page(body=PAGE, media_type="text/html"):
    return Fetched(body, media_type, URL)


def script(answer):
    """Returns a program that reads an order and then does `answer`."""
    code = (
        "import sys, os, time, struct\n"
        "stdin, out = sys.stdin.buffer, sys.stdout.buffer\n"
        "for _ in range(2):\n"
        "    stdin.read(struct.unpack('>I', stdin.read(4))[0])\n"
        f"{answer}\n"
        "out.flush()\n"
        "stdin.read()\n"
    )
    return (sys.executable, "-c", code)


def run(main, **options):
    async def whole():
        reader = PageReader(reader_environ(os.environ), **options)
        try:
            return await main(reader)
        finally:
            await reader.close()

    return asyncio.run(whole())


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_pages_are_read_by_one_process():
    async def main(reader):
        assert reader.pid is None
        answers = await asyncio.gather(*(reader.read(page(), "k") for _ in range(3)))
        assert {answer.title for answer in answers} == {"The title"}
        pid = reader.pid
        await reader.read(page(), "k")
        assert reader.pid == pid
        await reader.close()
        assert not is_running(pid)
        assert reader.pid is None

    run(main)


def test_its_environment_has_no_secrets():
    environ = {"PATH": "/bin", "AWS_SECRET_ACCESS_KEY": "s", "MASTER_API_KEY": "k", "HOME": "/h"}
    assert reader_environ(environ) == {"PATH": "/bin"}


def test_what_is_no_text():
    async def main(reader):
        with pytest.raises(WrongTypeError, match="it is no text"):
            await reader.read(page(b"a\0b", "text/plain"), "k")

    run(main)


def test_a_page_that_takes_too_long_and_the_one_behind_it():
    async def main(reader):
        slow = asyncio.create_task(reader.read(page(SLOW), "k"))
        await until(lambda: reader.pid is not None)
        pid = reader.pid
        behind = asyncio.create_task(reader.read(page(), "k"))
        with pytest.raises(UnreadableError, match="takes longer to read than a page may"):
            await slow
        assert (await behind).title == "The title"
        assert reader.pid != pid
        assert not is_running(pid)

    run(main, read_seconds=1)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("time.sleep(60)", "takes longer to read"),
        ("os._exit(1)", "could not be made out"),
        ("os.kill(os.getpid(), 11)", "could not be made out"),
        ("out.write(b'\\xff' * 4)", "could not be made out"),  # four gigabytes are announced
        ("out.write(struct.pack('>I', 2) + b'{]')", "could not be made out"),
        ("out.write(struct.pack('>I', 2) + b'{}')", "could not be made out"),
        ("out.write(struct.pack('>I', 20) + b'{}'); out.flush(); os._exit(0)", "could not be"),
        (
            "w = b'{\"failure\":\"no memory\"}'; out.write(struct.pack('>I', len(w)) + w)",
            "more mem",
        ),
        ("w = b'{\"failure\":\"no packages\"}'; out.write(struct.pack('>I', len(w)) + w)", "`web`"),
    ],
)
def test_a_process_that_is_not_believed(answer, expected):
    async def main(reader):
        with pytest.raises(UnreadableError) as error:
            await reader.read(page(), "k")
        assert expected in error.value.reason

    run(main, program=script(answer), read_seconds=0, grace_seconds=0.5)


def test_a_program_that_is_not_there():
    async def main(reader):
        with pytest.raises(UnreadableError):
            await reader.read(page(), "k")

    run(main, program=("/nowhere/python",))


def test_a_reading_that_nobody_waits_for_ends_its_process():
    async def main(reader):
        task = asyncio.create_task(reader.read(page(SLOW), "k"))
        await until(lambda: reader.pid is not None)
        pid = reader.pid
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: not is_running(pid))
        assert (await reader.read(page(), "k")).title == "The title"

    run(main)


class Timer:
    def __init__(self, delay, work):
        self.delay, self.work, self.cancelled = delay, work, False

    def cancel(self):
        self.cancelled = True


def test_an_idle_process_is_ended():
    timers = []

    def later(delay, work):
        timers.append(Timer(delay, work))
        return timers[-1]

    async def main(reader):
        await reader.read(page(), "k")
        await reader.read(page(), "k")
        assert [(timer.delay, timer.cancelled) for timer in timers] == [
            (IDLE_SECONDS, True),
            (IDLE_SECONDS, False),
        ]
        pid = reader.pid
        timers[-1].work()
        assert reader.pid is None
        await until(lambda: not is_running(pid))
        assert (await reader.read(page(), "k")).title == "The title"

    run(main, later=later)


def test_what_waits_is_bounded_in_bytes():
    async def main(reader):
        body = b"x" * (reader_module.MAX_WAITING // 4)
        tasks = [
            asyncio.create_task(reader.read(page(body, "text/plain"), f"{number}"))
            for number in range(7)
        ]
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(one, BusyError) for one in done] == [False] * 4 + [True] * 3
        assert (await reader.read(page(), "k")).title == "The title"

    run(main)


def test_one_key_leaves_room_for_others():
    async def main(reader):
        body = b"x" * (reader_module.MAX_WAITING // 8)
        greedy = [reader.read(page(body, "text/plain"), "greedy") for _ in range(20)]
        tasks = [asyncio.create_task(one) for one in greedy]
        await asyncio.sleep(0)
        assert (await reader.read(page(), "other")).title == "The title"
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(one, BusyError) for one in done] == [False] * 4 + [True] * 16
        assert (await reader.read(page(body, "text/plain"), "greedy")).text

    run(main)


def test_it_ends_when_its_parent_is_killed():
    code = (
        "import asyncio, os\n"
        "from anthropic_bedrock_proxy.fetch.base import Fetched\n"
        "from anthropic_bedrock_proxy.fetch.reading.reader import PageReader, reader_environ\n"
        "async def main():\n"
        "    reader = PageReader(reader_environ(os.environ))\n"
        "    await reader.read(Fetched(b'x', 'text/plain', 'u'), 'k')\n"
        "    print(reader.pid, flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    asyncio.run(until(lambda: not is_running(pid)))
