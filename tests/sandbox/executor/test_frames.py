from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anthropic_bedrock_proxy.sandbox.executor import cell_run
from anthropic_bedrock_proxy.sandbox.executor.frames import (
    MAX_CALLS,
    MAX_END_BYTES,
    MAX_FILES,
    MAX_LINE_BYTES,
    CallsFrame,
    DataFrame,
    DoneFrame,
    EditedFrame,
    FailedFrame,
    FrameReader,
    LeftFile,
    PutFrame,
    ReadyFrame,
    ResultFrame,
    RunBashFrame,
    RunEditFrame,
    RunnerLineError,
    RunPythonFrame,
    StoredFrame,
    ToldCall,
    encode_frame,
)
from anthropic_bedrock_proxy.sandbox.runner import functions, lines

LINES = (
    b'{"type":"ready","python":"3.11","hardened":true}\n'
    b'{"type":"calls","id":1,"calls":[{"call":4,"name":"f","input":{"a":[1,null]}}]}\n'
    b'{"type":"done","id":1,"stdout":"\\u00e9","stderr":"","return_code":-9,"timed_out":true,'
    b'"files":[{"path":"/o/a","name":"a","size":3}]}\n'
    b'{"type":"edited","id":2,"kind":"view","result":{}}\n'
    b'{"type":"failed","id":3,"error_code":"file_not_found","message":"no"}\n'
    b'{"type":"stored","id":4}\n{"type":"data","id":5,"data":"YWI=","last":false}\n'
)
FRAMES = [
    ReadyFrame("3.11", hardened=True),
    CallsFrame(1, [ToldCall(4, "f", {"a": [1, None]})]),
    DoneFrame(1, "é", "", -9, timed_out=True, files=[LeftFile("/o/a", "a", 3)]),
    EditedFrame(2, "view", {}),
    FailedFrame(3, "file_not_found", "no"),
    StoredFrame(4),
    DataFrame(5, b"ab", last=False),
]


@given(st.lists(st.integers(0, len(LINES)), max_size=8))
def test_lines_become_the_same_frames_however_they_were_split(cuts):
    reader, found = FrameReader(), []
    edges = [0, *sorted(cuts), len(LINES)]
    for begin, end in pairwise(edges):
        found += reader.feed(LINES[begin:end])
    assert found == FRAMES


def test_lines_become_frames_a_byte_at_a_time():
    reader = FrameReader()
    assert [frame for byte in LINES for frame in reader.feed(bytes([byte]))] == FRAMES


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"junk",
        b"[]",
        b'"done"',
        b'{"type":"run","id":1}',
        b'{"type":"stored"}',
        b'{"type":"stored","id":"1"}',
        b'{"type":"stored","id":1.5}',
        b'{"type":"stored","id":1}{"type":"stored","id":1}',
        b'{"type":"edited","id":1,"kind":"view","result":{"a":' + b"[" * 100_000,
        b'{"type":"failed","id":1,"error_code":"\xff"}',
        b'{"type":"failed","id":1,"error_code":"\\ud800"}',
        b'{"type":"calls","id":1,"calls":[]}',
        b'{"type":"data","id":1,"data":"no base64!","last":true}',
    ],
    ids=lambda line: repr(line[:50]),
)
def test_what_no_honest_runner_writes_is_an_error(line):
    with pytest.raises(RunnerLineError):
        FrameReader().feed(line + b"\n")


@given(st.binary(max_size=200))
def test_no_bytes_at_all_raise_anything_else(data):
    try:
        frames = FrameReader().feed(data)
    except RunnerLineError:
        return
    assert b"\n" not in data or frames


def test_a_line_without_end_is_an_error_once_it_is_too_long():
    reader = FrameReader()
    piece = b" " * (MAX_LINE_BYTES // 4)
    for _ in range(4):
        assert reader.feed(piece) == []
    with pytest.raises(RunnerLineError, match="too long"):
        reader.feed(b" ")


def test_what_would_be_kept_is_bounded_below_that():
    done = {"type": "done", "id": 1, "stdout": "x" * MAX_END_BYTES, "stderr": "", "return_code": 0}
    with pytest.raises(RunnerLineError, match="too long"):
        FrameReader().feed(json.dumps(done).encode() + b"\n")


def test_calls_and_files_are_bounded():
    call = {"call": 1, "name": "f", "input": {}}
    calls = {"type": "calls", "id": 1, "calls": [call] * (MAX_CALLS + 1)}
    with pytest.raises(RunnerLineError, match="too many"):
        FrameReader().feed(json.dumps(calls).encode() + b"\n")
    file = {"path": "/a", "name": "a", "size": 1}
    done = {"type": "done", "id": 1, "stdout": "", "stderr": "", "return_code": 0}
    with pytest.raises(RunnerLineError, match="too many"):
        FrameReader().feed(json.dumps(done | {"files": [file] * (MAX_FILES + 1)}).encode() + b"\n")


def test_lines_to_the_runner_are_as_the_protocol_has_them():
    sent = [
        (
            RunPythonFrame(1, "x", ["f"], 60.0, 270.0),
            {"type": "run", "id": 1, "kind": "python", "code": "x", "functions": ["f"]}
            | {"seconds": 60.0, "call_seconds": 270.0},
        ),
        (
            RunBashFrame(2, "ls", restart=True, seconds=30.0),
            {"type": "run", "id": 2, "kind": "bash", "command": "ls", "restart": True}
            | {"seconds": 30.0},
        ),
        (
            RunEditFrame(3, {"command": "view"}),
            {"type": "run", "id": 3, "kind": "edit", "input": {"command": "view"}},
        ),
        (ResultFrame(1, 4, "é\n"), {"type": "result", "id": 1, "call": 4, "text": "é\n"}),
        (
            PutFrame(5, "a.csv", b"ab", last=True),
            {"type": "put", "id": 5, "name": "a.csv", "data": "YWI=", "last": True},
        ),
    ]
    for frame, expected in sent:
        line = encode_frame(frame)
        assert line.count(b"\n") == 1
        assert json.loads(line) == expected


@pytest.mark.parametrize("text", ["x" * MAX_LINE_BYTES, "\ud800"], ids=["long", "surrogate"])
def test_what_cannot_be_sent_is_an_error(text):
    with pytest.raises(RunnerLineError):
        encode_frame(ResultFrame(1, 1, text))


def test_executor_and_runner_know_the_same_bounds():
    assert MAX_LINE_BYTES == lines.MAX_LINE_BYTES
    assert MAX_CALLS == functions.MAX_CALLS
    assert cell_run._MAX_CALLS_BYTES == functions.MAX_TOLD_BYTES
