from __future__ import annotations

import json
import os
import signal
import tempfile
from types import SimpleNamespace

import pytest

from anthropic_bedrock_proxy.telemetry.output import Output


@pytest.fixture
def pipe():
    read, write = os.pipe()
    yield read, write
    os.close(read)


def test_a_pipe_that_is_full_stops_nobody_and_what_was_lost_is_told(pipe):
    read, write = pipe
    output = Output(write)
    line = b"x" * 99 + b"\n"
    for _ in range(2_000):  # a pipe holds 64 KiB
        output.write(line)
    held = os.read(read, 1 << 20)
    assert len(held) < 100_000
    output.write(b"after\n")
    os.close(write)
    told, after = os.read(read, 1 << 20).strip().split(b"\n")
    assert json.loads(told)["message"] == f"{200_000 - len(held)} bytes of the log were lost"
    assert after == b"after"


def test_a_pipe_that_another_worker_fills_after_the_look_is_not_waited_for(pipe):
    read, write = pipe
    output = Output(write)
    output._poll = SimpleNamespace(poll=lambda _: [True])  # there was room
    child = os.fork()
    if not child:
        signal.alarm(5)  # it ends by that if it waits
        for _ in range(100):
            output.write(b"x" * 999 + b"\n")  # a pipe holds 64 KiB
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert len(os.read(read, 1 << 20)) < 100_000


def test_a_line_that_was_cut_is_ended_before_the_next(pipe):
    read, write = pipe
    output = Output(write)
    output.write(b"x" * 100_000 + b"\n")
    held = os.read(read, 1 << 20)
    output.write(b"after\n")
    assert os.read(read, 1 << 20).startswith(b"\n{")
    assert set(held) == {ord("x")}
    os.close(write)


def test_lines_of_several_processes_do_not_mix(pipe):
    read, write = pipe
    children = []
    for number in range(4):
        child = os.fork()
        if not child:
            output = Output(write)
            for _ in range(100):
                output.write((b"%d" % number * 200 + b"\n") * 60)
            os._exit(0)
        children.append(child)
    os.close(write)
    with os.fdopen(os.dup(read), "rb") as reader:
        lines = reader.read().split(b"\n")
    for child in children:
        os.waitpid(child, 0)
    told = [line for line in lines if line and not line.startswith(b"{")]  # others tell of losses
    assert len(told) > 60
    assert {(len(line), len(set(line))) for line in told} == {(200, 1)}


def test_a_full_disk_stops_nobody():
    with open("/dev/full", "wb") as full:  # noqa: PTH123  # a device
        output = Output(full.fileno())
        output.write(b"lost\n")
    with tempfile.TemporaryFile() as file:
        output = Output(file.fileno())
        output.write(b"kept\n")
        file.seek(0)
        assert file.read() == b"kept\n"
