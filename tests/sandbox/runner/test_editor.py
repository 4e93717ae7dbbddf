from __future__ import annotations

import base64
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anthropic_bedrock_proxy.sandbox.runner.editor import (
    MAX_FILE_BYTES,
    EditError,
    edit,
    hunk,
)

PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 100
WEBP = b"RIFF1234WEBP"


def do(folder, command, path, **fields):
    kind, result = edit({"command": command, "path": path, **fields}, str(folder))
    assert kind == command
    return result


def refused(folder, command="view", path="f", **fields):
    with pytest.raises(EditError) as raised:
        edit({"command": command, "path": path, **fields}, str(folder))
    return raised.value.error_code, str(raised.value)


def test_view_shows_a_text_and_its_lines(tmp_path):
    (tmp_path / "f").write_text("a\nb\n\nd\n")
    assert do(tmp_path, "view", "f") == {
        "file_type": "text",
        "content": "a\nb\n\nd",
        "num_lines": 4,
        "start_line": 1,
        "total_lines": 4,
    }


@pytest.mark.parametrize(
    ("view_range", "content", "num_lines", "start_line"),
    [
        ([2, 3], "b\nc", 2, 2),
        ([2, -1], "b\nc\nd", 3, 2),
        ([4, 99], "d", 1, 4),
        ([1, 1], "a", 1, 1),
    ],
)
def test_view_shows_the_lines_that_it_is_asked_for(
    tmp_path, view_range, content, num_lines, start_line
):
    (tmp_path / "f").write_text("a\nb\nc\nd")
    assert do(tmp_path, "view", str(tmp_path / "f"), view_range=view_range) == {
        "file_type": "text",
        "content": content,
        "num_lines": num_lines,
        "start_line": start_line,
        "total_lines": 4,
    }


@pytest.mark.parametrize("view_range", [[0, 2], [5, 6], [3, 2], [1], "1-2", [1, 2.0], [True, 2]])
def test_a_range_that_is_none_is_refused(tmp_path, view_range):
    (tmp_path / "f").write_text("a\nb\nc\nd")
    assert refused(tmp_path, view_range=view_range)[0] == "invalid_tool_input"


def test_an_empty_file_has_no_lines(tmp_path):
    (tmp_path / "f").write_text("")
    assert do(tmp_path, "view", "f")["total_lines"] == 0
    assert do(tmp_path, "view", "f", view_range=[1, -1])["content"] == ""


def test_view_shows_two_levels_of_a_directory(tmp_path):
    for path in ("a/b/c/d", ".h/x", "z"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    (tmp_path / "link").symlink_to("a")
    result = do(tmp_path, "view", ".")
    assert result["content"].split("\n") == [".h/", "a/", "a/b/", "link", "z"]
    assert (result["file_type"], result["num_lines"], result["total_lines"]) == ("text", 5, 5)
    assert refused(tmp_path, path=".", view_range=[1, 2])[0] == "invalid_tool_input"


def test_a_directory_is_shown_in_bounds(tmp_path):
    for n in range(1100):
        (tmp_path / f"f{n}").write_text("")
    lines = do(tmp_path, "view", ".")["content"].split("\n")
    assert len(lines) == 1001
    assert lines[-1] == "…"


@pytest.mark.parametrize("data", [PNG, b"\xff\xd8\xff\xe0", b"GIF89a", WEBP])
def test_view_shows_an_image_as_base64(tmp_path, data):
    (tmp_path / "f").write_bytes(data)
    assert do(tmp_path, "view", "f") == {
        "file_type": "image",
        "content": base64.b64encode(data).decode(),
    }


@pytest.mark.parametrize(
    "data", [b"%PDF-1.7\xff", b"RIFF1234WAVE\xff", PNG + b"x" * MAX_FILE_BYTES]
)
def test_what_is_neither_text_nor_a_small_image_is_refused(tmp_path, data):
    (tmp_path / "f").write_bytes(data)
    assert refused(tmp_path)[0] == "invalid_tool_input"


@pytest.mark.parametrize("command", ["view", "str_replace"])
def test_a_file_that_is_not_there_is_not_found(tmp_path, command):
    code, message = refused(tmp_path, command, "no/f", old_str="a")
    assert (code, message) == ("file_not_found", "There is no no/f.")


@pytest.mark.parametrize("command", ["view", "create", "str_replace"])
def test_a_fifo_is_refused_at_once(tmp_path, command):
    os.mkfifo(tmp_path / "f")
    assert refused(tmp_path, command, old_str="a", file_text="")[0] == "invalid_tool_input"


@pytest.mark.parametrize(
    "fields",
    [
        {"command": "insert"},
        {"command": None},
        {"command": ["view"]},
        {"path": ""},
        {"path": "a\0b"},
        {"path": 7},
        {"command": "create"},
        {"command": "create", "file_text": None},
        {"command": "create", "file_text": "\ud800"},
        {"command": "create", "file_text": "x" * (MAX_FILE_BYTES + 1)},
        {"command": "create", "path": ".", "file_text": ""},
        {"command": "create", "path": "f/g", "file_text": ""},
        {"command": "create", "path": "x" * 300, "file_text": ""},
        {"command": "str_replace", "old_str": ""},
        {"command": "str_replace", "new_str": "x"},
        {"command": "str_replace", "path": ".", "old_str": "x"},
        {"command": "str_replace", "old_str": "a", "new_str": "x" * MAX_FILE_BYTES},
    ],
)
def test_input_that_is_none_is_refused_and_changes_nothing(tmp_path, fields):
    (tmp_path / "f").write_text("a\n")
    code, message = refused(tmp_path, **fields)
    assert code == "invalid_tool_input"
    assert message.endswith(".")
    assert [path.name for path in tmp_path.iterdir()] == ["f"]
    assert (tmp_path / "f").read_text() == "a\n"


def test_create_makes_a_file_and_its_folders(tmp_path):
    assert do(tmp_path, "create", "a/b/f", file_text="é\r\n") == {"is_file_update": False}
    assert (tmp_path / "a/b/f").read_bytes() == "é\r\n".encode()
    assert do(tmp_path, "create", "a/b/f", file_text="x") == {"is_file_update": True}
    assert (tmp_path / "a/b/f").read_text() == "x"


def test_create_follows_a_symbolic_link_as_all_programs_do(tmp_path):
    (tmp_path / "f").write_text("old")
    (tmp_path / "link").symlink_to("f")
    assert do(tmp_path, "create", "link", file_text="new") == {"is_file_update": True}
    assert (tmp_path / "f").read_text() == "new"


def test_str_replace_changes_the_one_place_and_shows_it(tmp_path):
    (tmp_path / "f").write_text('{\n  "debug": true,\n  "x": 1\n}\n')
    assert do(tmp_path, "str_replace", "f", old_str="true", new_str="false") == {
        "old_start": 2,
        "old_lines": 1,
        "new_start": 2,
        "new_lines": 1,
        "lines": ['-  "debug": true,', '+  "debug": false,'],
    }
    assert (tmp_path / "f").read_text() == '{\n  "debug": false,\n  "x": 1\n}\n'


def test_str_replace_without_a_new_text_takes_out(tmp_path):
    (tmp_path / "f").write_text("a\nb\nc\n")
    (tmp_path / "f").chmod(0o755)
    result = do(tmp_path, "str_replace", "f", old_str="b\n")
    assert result == {
        "old_start": 2,
        "old_lines": 1,
        "new_start": 1,
        "new_lines": 0,
        "lines": ["-b"],
    }
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o755


def test_str_replace_says_where_the_matches_are_if_there_is_not_one(tmp_path):
    (tmp_path / "f").write_text("ab\nx\nab\nab")
    assert refused(tmp_path, "str_replace", old_str="no")[0] == "invalid_tool_input"
    assert "is not in the file" in refused(tmp_path, "str_replace", old_str="no")[1]
    assert (
        "3 times in the file, at lines 1, 3, 4. "
        in refused(tmp_path, "str_replace", old_str="ab")[1]
    )
    (tmp_path / "f").write_text("a" * 40)
    assert refused(tmp_path, "str_replace", old_str="a")[1].count("1, ") == 20


def test_a_hunk_keeps_equal_lines_between_changed_ones():
    assert hunk("a\nb\nc\nd\n", "a\nB\nc\nD\n")["lines"] == ["-b", "+B", " c", "-d", "+D"]
    many = "".join(f"{n}\n" for n in range(600))
    assert len(hunk(many, many.replace("\n", "!\n"))["lines"]) == 1200


LINES = st.lists(st.sampled_from("abc"), max_size=8).map(
    lambda lines: "".join(f"{x}\n" for x in lines)
)


@given(LINES, LINES)
def test_a_hunk_makes_the_one_text_of_the_other(before, after):
    made = hunk(before, after)
    old, new = before.split("\n")[:-1], after.split("\n")[:-1]
    first = made["old_start"] - bool(made["old_lines"])
    assert [line[1:] for line in made["lines"] if line[0] in " -"] == old[
        first : first + made["old_lines"]
    ]
    replaced = [line[1:] for line in made["lines"] if line[0] in " +"]
    assert len(replaced) == made["new_lines"]
    assert made["new_start"] - bool(replaced) == first
    assert old[:first] + replaced + old[first + made["old_lines"] :] == new
