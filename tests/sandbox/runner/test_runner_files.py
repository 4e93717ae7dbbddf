"""Files in and out of a sandbox, with what code may have laid in the way."""

from __future__ import annotations

import base64
import subprocess

import pytest

from anthropic_bedrock_proxy.sandbox.executor import frames
from anthropic_bedrock_proxy.sandbox.runner import files


def b64(data):
    return base64.b64encode(data).decode()


def meanwhile(inside, command):
    """Does what a cell has left in the background to do."""
    subprocess.run(["bash", "-c", command], cwd=inside.workspace, check=True)


def fetched(inside, path):
    """Returns the bytes of an output file, or the message that says why there are none."""
    inside.get(path)
    data = b""
    while True:
        message = inside.read()
        assert message["id"] == 901
        if message["type"] == "failed":
            return message["error_code"]
        data += base64.b64decode(message["data"])
        if message["last"]:
            return data


@pytest.mark.parametrize("kind", ["python", "bash"])
def test_regular_files_at_the_top_of_the_folder_are_listed_by_name(inside, kind):
    script = """
cd $OUTPUT_DIR; printf 12345 > b; printf 1 > a; mkdir d; echo > d/inner
ln -s /etc/passwd link; ln -s b link2; mkfifo fifo; ln b .hard; touch "$(printf '\\377')"
"""
    done = (
        inside.bash(script)
        if kind == "bash"
        else inside.python(f"import subprocess\nsubprocess.run(['bash', '-c', {script!r}])")
    )
    assert [(file["name"], file["size"]) for file in done["files"]] == [
        (".hard", 5),
        ("a", 1),
        ("b", 5),
    ]
    assert fetched(inside, done["files"][2]["path"]) == b"12345"


def test_each_cell_has_an_empty_folder_of_its_own_which_goes_if_nothing_is_in_it(inside):
    first = inside.bash("echo 1 > $OUTPUT_DIR/f")
    assert fetched(inside, first["files"][0]["path"]) == b"1\n"
    second = inside.says("import os\nprint(os.listdir(os.environ['OUTPUT_DIR']))")
    assert second == "[]\n"
    assert inside.bash("ls $OUTPUT_DIR; echo $OUTPUT_DIR")["stdout"].count("\n") == 1
    assert list(inside.workspace.glob(".output-*")) == []


def test_what_a_cell_left_goes_when_the_next_one_begins(inside):
    path = inside.bash("cd $OUTPUT_DIR; echo 1 > f; ln -s /etc l")["files"][0]["path"]
    inside.edit("view", path)
    assert fetched(inside, path) == b"1\n"
    inside.bash("true")
    assert list(inside.workspace.glob(".output-*")) == []
    assert fetched(inside, path) == "file_not_found"


@pytest.mark.parametrize(
    "trick",
    [
        "rm -r {0}; ln -s $PWD/mine {0}",
        "rm -r {0}; echo > {0}",
        "mkdir {0}/inner; mv mine/f {0}/inner; cp -r {0}/inner/f mine/f",
    ],
)
def test_nothing_but_that_goes_with_it(inside, trick):
    (inside.workspace / "mine").mkdir()
    (inside.workspace / "mine" / "f").write_text("x")
    path = inside.bash("echo 1 > $OUTPUT_DIR/f")["files"][0]["path"].partition("/")[0]
    meanwhile(inside, trick.format(path))
    inside.bash("true")
    assert (inside.workspace / "mine" / "f").read_text() == "x"


def test_no_more_files_than_the_bound_are_listed(inside):
    done = inside.bash("cd $OUTPUT_DIR; for i in $(seq 100 199); do echo > f$i; done")
    names = [file["name"] for file in done["files"]]
    assert names == [f"f{n}" for n in range(100, 100 + files.MAX_FILES)]
    assert done["stderr"] == "Only 20 files were taken, 80 left out.\n"


def test_the_executor_takes_as_many_files_as_the_runner_lists():
    assert files.MAX_FILES == frames.MAX_FILES


def test_a_large_file_comes_in_pieces(tmp_path, inside):
    done = inside.bash("head -c 3000000 /dev/urandom > f; head -c 999999 f > $OUTPUT_DIR/f")
    got = fetched(inside, done["files"][0]["path"])
    assert got == (tmp_path / "f").read_bytes()[:999999]


@pytest.mark.parametrize("late", [False, True])
def test_a_file_that_is_too_large_is_not_fetched(inside, late):
    if late:
        done = inside.bash("echo > $OUTPUT_DIR/f")
        meanwhile(inside, f"head -c 1000001 /dev/zero > {done['files'][0]['path']}")
    else:
        done = inside.bash("head -c 1000001 /dev/zero > $OUTPUT_DIR/f")
    assert fetched(inside, done["files"][0]["path"]) == "output_file_too_large"


@pytest.mark.parametrize("path", ["f", "../f", "/etc/passwd", ".output-0/f", ""])
def test_only_what_was_listed_can_be_fetched(inside, path):
    (inside.workspace / "f").write_text("x")
    inside.bash("echo > $OUTPUT_DIR/f")
    assert fetched(inside, path) == "file_not_found"


@pytest.mark.parametrize(
    "trick",
    [
        "rm {0}",
        "ln -sf /etc/passwd {0}",
        "ln -sf /proc/self/environ {0}",
        "rm {0}; mkfifo {0}",
        "rm {0}; mkdir {0}",
        "mv $(dirname {0}) x; ln -s x $(dirname {0})",
        "mv $(dirname {0}) x; ln -s /etc $(dirname {0})",
    ],
)
def test_what_was_listed_and_is_something_else_now_is_not_fetched(inside, trick):
    path = inside.bash("echo > $OUTPUT_DIR/passwd")["files"][0]["path"]
    meanwhile(inside, trick.format(path))
    assert fetched(inside, path) == "file_not_found"


@pytest.mark.parametrize(
    "trick",
    [
        "rmdir $OUTPUT_DIR",
        "rmdir $OUTPUT_DIR; ln -s /etc $OUTPUT_DIR",
        "rmdir $OUTPUT_DIR; echo > $OUTPUT_DIR",
    ],
)
def test_a_folder_that_is_something_else_now_has_no_files(inside, trick):
    done = inside.bash(trick)
    assert (done["type"], done["return_code"], done["files"]) == ("done", 0, [])


def test_a_file_comes_in_pieces(inside):
    inside.put("up.bin", b64(b"abc"), last=False)
    assert not (inside.workspace / "up.bin").exists()
    inside.put("up.bin", b64(b"\0def"))
    assert inside.read() == {"type": "stored", "id": 900}
    assert (inside.workspace / "up.bin").read_bytes() == b"abc\0def"
    assert inside.bash("ls -A")["stdout"].split()[-1] == "up.bin"


def test_a_file_comes_while_a_cell_runs(inside):
    (call,) = inside.python("await x()\nprint(open('f').read())", functions=["x"])["calls"]
    inside.put("f", b64(b"new"))
    assert inside.read()["type"] == "stored"
    inside.answer(call["call"], "")
    assert inside.read()["stdout"] == "new\n"


@pytest.mark.parametrize("target", ["outside", "/dev/null", "/proc/self/mem", "none/none"])
def test_a_link_in_the_way_is_replaced_and_not_followed(inside, tmp_path_factory, target):
    outside = tmp_path_factory.mktemp("outside") / "file"
    outside.write_text("old")
    target = str(outside) if target == "outside" else target
    (inside.workspace / "f").symlink_to(target)
    inside.put("f", b64(b"new"))
    assert inside.read()["type"] == "stored"
    assert not (inside.workspace / "f").is_symlink()
    assert (inside.workspace / "f").read_text() == "new"
    assert outside.read_text() == "old"


def test_a_folder_in_the_way_stays(inside):
    (inside.workspace / "f").mkdir()
    inside.put("f", b64(b"new"))
    failed = inside.read()
    assert (failed["error_code"], failed["id"]) == ("unavailable", 900)
    assert [path.name for path in inside.workspace.iterdir()] == ["f"]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../f", "/f", "a\0b", "x" * 300])
def test_a_name_that_is_none_is_refused(inside, name):
    inside.put(name, b64(b"new"))
    assert inside.read()["type"] == "failed"
    assert list(inside.workspace.iterdir()) == []


def test_data_that_are_none_are_refused_and_what_had_come_goes(inside):
    inside.put("f", b64(b"new"), last=False)
    inside.put("f", "#")
    assert inside.read()["error_code"] == "invalid_tool_input"
    assert list(inside.workspace.iterdir()) == []


def test_an_upload_that_is_left_for_another_goes(inside):
    inside.put("f", b64(b"1"), 1, last=False)
    inside.put("g", b64(b"2"), 2)
    assert inside.read() == {"type": "stored", "id": 2}
    assert [path.name for path in inside.workspace.iterdir()] == ["g"]
