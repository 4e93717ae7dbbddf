"""The program that reads pages, as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import msgspec
import pytest
from test_markup import ARTICLE

from anthropic_bedrock_proxy.fetch.reading.frames import (
    ReadingAnswer,
    ReadingOrder,
    frame,
    read_frame,
)
from anthropic_bedrock_proxy.fetch.reading.reader import MEMORY, PROGRAM, reader_environ
from anthropic_bedrock_proxy.fetch.reading.worker import answer

URL = "https://a.example/"
SLOW = b"<p " + b" ".join(b"a%d=1" % number for number in range(300_000)) + b">x"


@contextmanager
def working(*, memory=MEMORY, seconds=10, program=PROGRAM):
    process = subprocess.Popen(
        [*program, str(memory), str(seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=reader_environ(os.environ),
    )
    try:
        yield process
    finally:
        process.kill()
        process.stdin.close()
        process.stdout.close()
        process.wait()


def send(process, body, media_type="text/html", charset=None):
    order = msgspec.json.encode(ReadingOrder(media_type, charset, URL))
    process.stdin.write(frame(order) + frame(body))
    process.stdin.flush()


def ask(process, *args):
    send(process, *args)
    return msgspec.json.decode(read_frame(process.stdout), type=ReadingAnswer)


def test_pages_are_read_one_after_the_other_until_its_stdin_ends():
    with working() as process:
        answer = ask(process, ARTICLE.encode())
        assert answer.title == "The title"
        assert answer.text.startswith("# Heading\n")
        assert ask(process, ARTICLE.encode(), "application/xhtml+xml") == answer
        assert ask(process, ARTICLE.encode(), "text/plain").text == ARTICLE
        assert ask(process, b"caf\xe9", "text/plain", "iso-8859-1") == ReadingAnswer(text="café")
        assert ask(process, b"a\0", "text/plain").failure == "no text"
        process.stdin.close()
        assert process.wait(10) == 0


@pytest.mark.parametrize("media_type", ["text/plain", "application/json", "text/xml"])
def test_only_html_is_changed(media_type):
    body = b'<p>{"a": 1}</p>'
    assert answer(ReadingOrder(media_type, None, URL), body) == ReadingAnswer(text=body.decode())


def test_a_cut_order_ends_it():
    with working() as process:
        process.stdin.write(frame(b"{}")[:3])
        process.stdin.close()
        assert process.wait(10) == 0
        assert process.stdout.read() == b""


def test_a_page_that_needs_too_much_memory_is_told():
    with working(memory=160 * 1024 * 1024) as process:
        assert ask(process, b"a <b>b</b> " * 900_000).failure == "no memory"
        assert ask(process, b"still here", "text/plain").text == "still here"


def test_the_kernel_ends_it_when_a_library_takes_too_long():
    """Also when nobody is there any more who would."""
    with working(seconds=1) as process:
        send(process, SLOW)
        process.stdin.close()
        assert process.wait(20) in (-signal.SIGALRM, -signal.SIGXCPU)


def test_a_page_that_trafilatura_does_not_master_is_read_simply():
    with working(seconds=4) as process:
        text = ask(process, b"<p>a<li>b" * 200_000).text
        assert text.startswith("a\nb\na\nb")


def test_it_ends_when_it_has_grown_and_says_so():
    with working() as process:
        answer = ask(process, b"<p>" + b"<i>a</i>" * 1_200_000)
        assert answer.last
        assert process.wait(10) == 0


@pytest.mark.parametrize("limit", ["RLIMIT_FSIZE", "RLIMIT_CORE"])
def test_it_can_write_nothing(limit):
    code = (
        "import resource, sys\n"
        "from anthropic_bedrock_proxy.fetch.reading import worker\n"
        "worker.serve = lambda _, stdout, seconds: stdout.write(\n"
        f"    repr(resource.getrlimit(resource.{limit})).encode())\n"
        "worker.main()\n"
    )
    with working(program=(sys.executable, "-c", code)) as process:
        assert process.stdout.read() == b"(0, 0)"
