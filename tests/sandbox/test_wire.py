from __future__ import annotations

import msgspec
import pytest

from anthropic_bedrock_proxy.sandbox.base import (
    BashCell,
    CellReply,
    EditCell,
    Edited,
    Failed,
    FunctionCall,
    FunctionResult,
    OutputFile,
    PythonCell,
    Ran,
    Waiting,
)
from anthropic_bedrock_proxy.sandbox.wire import (
    ResumeBody,
    RunBody,
    is_filename,
    is_id,
    is_owner,
)


@pytest.mark.parametrize(
    "body",
    [
        RunBody("key", PythonCell("x", {"f": "g"}), create=True, uploads=["file_1"]),
        RunBody("key", BashCell("ls", restart=True)),
        RunBody("key", EditCell({"command": "view", "view_range": [1, 2]})),
        ResumeBody("key", [FunctionResult("toolu_1", "sunny")]),
        CellReply(1.5, Ran("a", "b", 124, [OutputFile("file_1", "a.csv", 3)], timed_out=True)),
        CellReply(1.5, Edited("create", {"is_file_update": False})),
        CellReply(1.5, Failed("unavailable", "why")),
        CellReply(1.5, Waiting([FunctionCall("toolu_1", "f", {"a": [None]})])),
    ],
    ids=lambda body: msgspec.json.encode(body).decode()[:60],
)
def test_a_body_arrives_as_it_was_sent(body):
    assert msgspec.json.decode(msgspec.json.encode(body), type=type(body)) == body


@pytest.mark.parametrize("text", ["a", "srvtoolu_01-A", "x" * 128])
def test_what_may_be_an_id(text):
    assert is_id(text)


@pytest.mark.parametrize("text", ["", "x" * 129, "a/b", "..", "a b", "a\n", "é"])
def test_what_is_no_id(text):
    assert not is_id(text)


@pytest.mark.parametrize("text", ["", "x" * 129, "a\r\nb", "é", "\x00"])
def test_who_is_no_owner(text):
    assert not is_owner(text)


def test_who_may_be_an_owner():
    assert is_owner("key_1: any text")


@pytest.mark.parametrize("text", ["a.csv", "données.csv", ".hidden", "x" * 255])
def test_what_may_name_a_file(text):
    assert is_filename(text)


@pytest.mark.parametrize("text", ["", ".", "..", "a/b", "a\nb", "a\x00", "é" * 128, "\ud800"])
def test_what_names_no_file(text):
    assert not is_filename(text)
