"""The supervisor: its lines, its bounds and its end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from inside import SECONDS, Inside, is_alive, running, start_message

from anthropic_bedrock_proxy.sandbox.bundle import runner_program
from anthropic_bedrock_proxy.sandbox.runner import supervisor


def test_it_says_that_it_is_ready(inside):
    assert inside.ready["type"] == "ready"
    assert inside.ready["python"].startswith("3.")
    assert isinstance(inside.ready["hardened"], bool)


def test_lines_may_come_byte_by_byte(tmp_path):
    with running(tmp_path, start=False) as inside:
        start = json.dumps(start_message(tmp_path)).encode() + b"\n"
        cell = {"type": "run", "id": 1, "kind": "bash", "command": "echo é", "seconds": SECONDS}
        run = json.dumps(cell, ensure_ascii=False).encode() + b"\n"
        program = runner_program()
        inside.write(program[:-100])
        for n in range(len(program) - 100, len(program)):
            inside.write(program[n : n + 1])
        for byte in start + run:
            inside.write(bytes([byte]))
        assert inside.read()["type"] == "ready"
        assert inside.read()["stdout"] == "é\n"


def test_lines_may_come_all_at_once(tmp_path):
    with running(tmp_path, start=False) as inside:
        cell = {"type": "run", "id": 1, "kind": "bash", "command": "echo 1", "seconds": SECONDS}
        lines = [json.dumps(line).encode() for line in (start_message(tmp_path), cell)]
        inside.write(runner_program() + b"\n".join([*lines, b""]))
        assert inside.read()["type"] == "ready"
        assert inside.read()["stdout"] == "1\n"


def test_the_end_of_the_executor_is_the_end_of_all(inside):
    inside.says("import subprocess\nprint(1)")
    inside.bash("sleep 1000 & setsid -f sleep 1000; setsid -f sh -c 'trap \"\" TERM; sleep 1000'")
    pids = inside.says(
        "import os\n"
        "a = subprocess.Popen(['sleep', '1000'], start_new_session=True)\n"
        "mine = os.getppid()\n"
        "def parent(name):\n"
        "    try:\n"
        "        return open(f'/proc/{name}/stat').read().rpartition(')')[2].split()[1]\n"
        "    except OSError:  # another process of this machine that has ended\n"
        "        return ''\n"
        "print(os.getpid(), a.pid, *(name for name in os.listdir('/proc') if name.isdigit()"
        " and parent(name) == str(mine)))"
    ).split()
    assert len(pids) >= 5
    assert all(is_alive(int(one)) for one in pids)
    assert inside.end() == 0
    assert inside.read() is None
    while any(is_alive(int(one)) for one in pids):  # killed, and on their way
        pass


def test_the_end_comes_in_the_middle_of_a_cell_too(inside):
    inside.send(
        {
            "type": "run",
            "id": 1,
            "kind": "python",
            "code": "import os, signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
            "os.mkfifo('pid')\nopen('pid', 'w').write(str(os.getpid()))\nwhile True: pass",
            "functions": [],
            "seconds": SECONDS,
            "call_seconds": SECONDS,
        }
    )
    while not (inside.workspace / "pid").exists():
        pass
    process = int((inside.workspace / "pid").read_text())
    assert is_alive(process)
    assert inside.end() == 0
    while is_alive(process):
        pass


@pytest.mark.parametrize(
    "line",
    [
        b"junk\n",
        b"[]\n",
        b"{}\n",
        b'{"type":"nothing"}\n',
        b'{"type":"run","id":1,"kind":"nothing"}\n',
        b'{"type":"run","id":1,"kind":"bash","seconds":1}\n',
        b'{"type":"result","call":"1","text":""}\n',
        b'{"type":"put","id":1}\n',
        b"x" * (16 * 1024 * 1024 + 1),
    ],
)
def test_a_line_that_is_none_ends_the_runner(tmp_path, line):
    inside = Inside(tmp_path)
    try:
        try:
            inside.write(line)
        except BrokenPipeError:
            assert len(line) > 65536
        assert inside.process.wait(SECONDS) == 2
    finally:
        inside.close()


def test_nothing_is_done_before_the_start(tmp_path):
    with running(tmp_path, start=False) as inside:
        inside.write(runner_program() + b'{"type":"get","id":1,"path":"x"}\n')
        assert inside.process.wait(SECONDS) == 2


def test_a_workspace_that_is_no_folder_ends_the_runner(tmp_path):
    with running(tmp_path, start=False) as inside:
        start = json.dumps(start_message(tmp_path / "none")).encode() + b"\n"
        inside.write(runner_program() + start)
        assert inside.process.wait(SECONDS) == 3


def test_a_runner_without_a_program_ends(tmp_path):
    with running(tmp_path, start=False) as inside:
        inside.write(runner_program()[:-5])
        assert inside.end() == 0


def test_a_cell_while_another_runs_is_refused(inside):
    told = inside.python("await x()", functions=["x"])
    failed = inside.bash("echo")
    assert (failed["type"], failed["error_code"]) == ("failed", "unavailable")
    inside.answer(told["calls"][0]["call"], "")
    assert inside.read()["type"] == "done"


@pytest.mark.parametrize("kind", ["python", "bash"])
def test_a_hundred_megabytes_of_output_flow_through_in_bounded_memory(inside, kind):
    done = (
        inside.bash("head -c 100000000 /dev/zero | tr '\\0' x; printf end >&2")
        if kind == "bash"
        else inside.python(
            "import os, sys\nfor _ in range(1600): os.write(1, b'x' * 62500)\n"
            "sys.stderr.write('end')"
        )
    )
    assert done["stdout"] == "x" * 7500 + "\n[… 99990000 characters left out …]\n" + "x" * 2500
    assert done["stderr"] == "end"
    status = Path(f"/proc/{inside.process.pid}/status").read_text("utf-8")
    most = int(status.partition("VmHWM:")[2].split()[0])
    assert most < 60_000  # kilobytes


def test_signals_from_inside_are_nothing_to_it(inside):
    done = inside.bash("for s in HUP INT QUIT TERM USR1 USR2 ALRM; do kill -$s $PPID; done; echo 1")
    assert (done["stdout"], done["return_code"]) == ("1\n", 0)
    assert inside.says("print(2)") == "2\n"


def test_orphans_are_adopted_and_reaped(inside):
    inside.bash("for i in 1 2 3; do (sleep 0 & ) ; done; (exit 3) & (exit 4) &")
    children = "cat /proc/[0-9]*/stat | awk -v p=$PPID '$4 == p && $3 == \"Z\"' | wc -l"
    while inside.bash(children)["stdout"].strip() != "0":
        pass


def test_the_text_editor_works_in_the_workspace(inside):
    edited = inside.edit("create", "a/f", file_text="x\n")
    assert edited == {
        "type": "edited",
        "id": 1,
        "kind": "create",
        "result": {"is_file_update": False},
    }
    assert (inside.workspace / "a/f").read_text() == "x\n"
    failed = inside.edit("view", "\ud800".encode("utf-8", "replace").decode() + "none")
    assert (failed["type"], failed["error_code"]) == ("failed", "file_not_found")
    assert failed["message"] == "There is no ?none."


def test_a_large_view_reaches_the_executor(inside):
    (inside.workspace / "f").write_bytes(b"\x01" * 2**20)
    assert len(inside.edit("view", "f")["result"]["content"]) == 2**20


def test_a_workspace_that_is_full_or_gone_is_an_error_of_the_cell(inside):
    inside.workspace.rmdir()
    assert inside.bash("true")["error_code"] == "unavailable"
    assert inside.python("1")["error_code"] == "unavailable"


def test_bring_up_imports_nothing_that_is_slow():
    program = (
        "import sys\n"
        f"import {supervisor.__name__}\n"
        "print({'asyncio', 'subprocess', 'pathlib', 'difflib', 'inspect'} & set(sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert said.stdout == b"set()\n"
