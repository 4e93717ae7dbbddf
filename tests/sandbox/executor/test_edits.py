from __future__ import annotations

import base64

import pytest

from anthropic_bedrock_proxy.sandbox.executor.edits import is_edit
from anthropic_bedrock_proxy.sandbox.runner import editor

TEXT = {"file_type": "text", "content": "a", "num_lines": 1, "start_line": 1, "total_lines": 1}
HUNK = {"lines": ["+a"], "old_start": 0, "old_lines": 0, "new_start": 1, "new_lines": 1}
PICTURES = [
    b"\x89PNG\r\n\x1a\nx",
    b"\xff\xd8\xff\xe0",
    b"GIF87a",
    b"GIF89a",
    b"RIFF\x00\x00\x00\x00WEBP",
]


def image(data):
    return {"file_type": "image", "content": base64.b64encode(data).decode()}


def test_what_the_editor_answers_has_the_form_of_its_kind(tmp_path):
    steps = [
        {"command": "create", "path": "a", "file_text": "one\n"},
        {"command": "create", "path": "a", "file_text": "one\ntwo\n"},
        {"command": "view", "path": "a"},
        {"command": "view", "path": "a", "view_range": [2, 2]},
        {"command": "view", "path": "."},
        {"command": "str_replace", "path": "a", "old_str": "two", "new_str": "three"},
        {"command": "str_replace", "path": "a", "old_str": "one\nthree\n"},
        {"command": "view", "path": "a"},
    ]
    for step in steps:
        kind, result = editor.edit(step, str(tmp_path))
        assert is_edit(kind, result), step
    for picture in PICTURES:
        (tmp_path / "p").write_bytes(picture)
        kind, result = editor.edit({"command": "view", "path": "p"}, str(tmp_path))
        assert result["file_type"] == "image"
        assert is_edit(kind, result)


@pytest.mark.parametrize(
    ("kind", "result"),
    [
        ("insert", {}),
        ("view", {}),
        ("view", {"is_file_update": True}),
        ("view", TEXT | {"type": "text"}),
        ("view", TEXT | {"num_lines": "1"}),
        ("view", TEXT | {"start_line": -1}),
        ("view", TEXT | {"content": None}),
        ("view", TEXT | {"file_type": "pdf"}),
        ("view", image(b"<svg/>")),
        ("view", image(PICTURES[0]) | {"num_lines": 1}),
        ("view", {"file_type": "image", "content": "iVBORw0KGgo\n"}),
        ("view", {"file_type": "image", "content": "é"}),
        ("create", {"is_file_update": 1}),
        ("create", {"is_file_update": True, "error_code": "unavailable"}),
        ("str_replace", HUNK | {"lines": "+a"}),
        ("str_replace", HUNK | {"lines": [1]}),
        ("str_replace", {"lines": []}),
    ],
)
def test_nothing_else_passes(kind, result):
    assert not is_edit(kind, result)
