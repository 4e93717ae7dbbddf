"""Python cells, in the real interpreter of a runner."""

from __future__ import annotations

import os
import signal

import pytest
from inside import is_alive

from anthropic_bedrock_proxy.sandbox.runner.repl import INTERRUPTED

FIND_SOCKET = """
import os, stat
def connection():
    for fd in range(3, 64):
        try:
            if stat.S_ISSOCK(os.fstat(fd).st_mode):
                yield fd
        except OSError:
            pass
*_, fd = connection()  # those before it are the event loop's own
"""


def test_names_outlive_their_cell(inside):
    assert inside.says("import math\nx = [1]\ndef double(n): return 2 * n") == ""
    assert inside.says("x.append(double(math.floor(2.5)))\nprint(x)") == "[1, 4]\n"


def test_code_may_await_at_the_top(inside):
    code = """
import asyncio
async def one(n):
    await asyncio.sleep(0)
    return n
async def many():
    yield await one(7)
print(await asyncio.gather(one(1), one(2)), [n async for n in many()])
"""
    assert inside.says(code) == "[1, 2] [7]\n"


def test_a_task_that_a_cell_has_left_goes_on_in_the_next(inside):
    inside.says(
        "import asyncio\nheard = asyncio.Event()\n"
        "async def wait():\n    await heard.wait()\n    print('heard')\n"
        "task = asyncio.create_task(wait())\nawait asyncio.sleep(0)"
    )
    assert inside.says("heard.set()\nawait task") == "heard\n"


def test_the_value_of_the_last_expression_is_not_shown(inside):
    assert inside.says("x = 'secret'\nx") == ""


def test_a_traceback_shows_the_lines_of_the_code_and_none_of_the_runner(inside):
    inside.says("def fail(n):\n    return {}[n]")
    done = inside.python("def outer():\n    fail('k')\nouter()")
    lines = [line for line in done["stderr"].split("\n") if set(line) - set(" ^~")]
    assert lines == [
        "Traceback (most recent call last):",
        '  File "<cell 2>", line 3, in <module>',
        "    outer()",
        '  File "<cell 2>", line 2, in outer',
        "    fail('k')",
        '  File "<cell 1>", line 2, in fail',
        "    return {}[n]",
        "KeyError: 'k'",
    ]
    assert done["return_code"] == 1


def test_causes_are_shown_without_the_runner_too(inside):
    done = inside.python(
        "try:\n    await query([])\n"
        "except TypeError as error:\n    raise ValueError('x') from error",
        functions=["query"],
    )
    assert "TypeError: query() takes one dict, not list" in done["stderr"]
    assert done["stderr"].endswith("ValueError: x\n")
    assert "runner" not in done["stderr"]


@pytest.mark.parametrize(
    ("code", "return_code", "stderr"),
    [("exit()", 0, ""), ("exit(3)", 3, ""), ("raise SystemExit('why')", 1, "why\n")],
)
def test_the_code_of_an_exit_is_the_return_code_and_names_stay(inside, code, return_code, stderr):
    done = inside.python(f"x = 5\n{code}\nx = 6")
    assert (done["return_code"], done["stderr"]) == (return_code, stderr)
    assert inside.says("print(x)") == "5\n"


def test_an_exit_in_a_task_does_not_end_the_cell(inside):
    done = inside.python(
        "import asyncio\nasync def leave(): exit(4)\n"
        "task = asyncio.create_task(leave())\nawait asyncio.sleep(0)\nprint('on')"
    )
    assert (done["stdout"], done["return_code"]) == ("on\n", 0)
    assert "SystemExit: 4" in done["stderr"]


def test_a_syntax_error_is_shown_with_its_line(inside):
    done = inside.python("x = 1\nprint(")
    assert done["return_code"] == 1
    assert done["stderr"].startswith('  File "<cell 1>", line 2\n    print(\n')
    assert "SyntaxError" in done["stderr"]


@pytest.mark.parametrize("code", ["x = '\0'", "(" * 500 + ")" * 500, "-" * 100_000 + "1"])
def test_code_that_cannot_be_compiled_is_an_error_of_its_cell(inside, code):
    done = inside.python(code)
    assert done["type"] == "done"
    assert done["return_code"] != 0
    assert done["stderr"]
    assert inside.says("print(1)") == "1\n"


def test_all_that_is_written_to_the_descriptors_is_seen_in_order(inside):
    done = inside.python(
        "import os, subprocess, sys\nprint('print')\nos.write(1, b'write\\n')\n"
        "subprocess.run(['echo', 'program'])\nprint('error', file=sys.stderr)\n"
        "print('no end', end='')"
    )
    assert done["stdout"] == "print\nwrite\nprogram\nno end"
    assert done["stderr"] == "error\n"


def test_there_is_nothing_to_read(inside):
    assert "EOFError" in inside.python("input()")["stderr"]


def test_the_environment_is_made_from_nothing(inside):
    code = "import os\nprint(sorted(os.environ), os.getcwd() == os.environ['HOME'])"
    names = ["HOME", "LANG", "OUTPUT_DIR", "PATH", "PWD", "TMPDIR"]
    assert inside.says(code) == f"{names} True\n"


def test_modules_of_the_workspace_can_be_imported(inside):
    (inside.workspace / "mine.py").write_text("X = 9")
    assert inside.says("import mine\nprint(mine.X)") == "9\n"


def test_classes_of_a_cell_can_be_pickled(inside):
    code = "import pickle\nclass A: pass\nprint(pickle.loads(pickle.dumps(A)) is A, __name__)"
    assert inside.says(code) == "True __main__\n"


@pytest.mark.parametrize(
    "code", ["sys.stdout.close()", "sys.stdout = None", "sys.stdout = [1]", "os.close(1)"]
)
def test_output_that_the_code_has_broken_does_not_break_the_interpreter(inside, code):
    done = inside.python(f"import os, sys\nx = 1\n{code}")
    assert done["type"] == "done"
    assert inside.python("print(x, file=sys.stderr)")["stderr"] == "1\n"


def test_a_fork_of_the_code_does_not_end_the_cell(inside):
    said = inside.says(
        "import os\nchild = os.fork()\n"
        "if child: print('parent', os.waitpid(child, 0)[1])\n"
        "else: print('child')"
    )
    assert sorted(said.split("\n")) == ["", "child", "parent 0"]
    assert inside.says("print(child > 0)") == "True\n"


def test_what_a_thread_writes_after_the_cell_is_in_the_next_python_cell(inside):
    inside.says(
        "import os, threading\nos.mkfifo('go')\n"
        "def wait():\n    open('go').read()\n    print('late')\n    open('went', 'w').close()\n"
        "thread = threading.Thread(target=wait)\nthread.start()"
    )
    between = inside.bash("echo > go; until [ -e went ]; do :; done; echo bash")
    assert between["stdout"] == "bash\n"
    assert inside.says("thread.join()\nprint('next')") == "late\nnext\n"


@pytest.mark.parametrize("code", ["while True: pass", "import asyncio\nawait asyncio.sleep(99)"])
def test_code_that_runs_too_long_is_interrupted_and_names_stay(inside, code):
    done = inside.python(f"x = 5\nprint('begun')\n{code}", seconds=0.3)
    assert (done["return_code"], done["timed_out"], done["stdout"]) == (124, True, "begun\n")
    last = code.split("\n")[-1]
    assert last in done["stderr"]
    assert done["stderr"].endswith(
        f"\n{INTERRUPTED}\ndetection_timeout: the code ran longer than 0.3 s\n"
    )
    assert "runner" not in done["stderr"]
    assert inside.says("print(x)") == "5\n"


def test_code_that_ends_well_after_its_interruption_has_timed_out_all_the_same(inside):
    code = "try:\n    x = 0\n    while True: x += 1\nexcept KeyboardInterrupt: print('caught')"
    done = inside.python(code, seconds=0.3)
    assert (done["return_code"], done["timed_out"], done["stdout"]) == (124, True, "caught\n")
    assert done["stderr"] == "detection_timeout: the code ran longer than 0.3 s\n"


def test_code_that_does_not_stop_is_killed_with_all_that_it_has_started(inside):
    done = inside.python(
        "import signal, subprocess\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "a = subprocess.Popen(['sleep', '1000'])\n"
        "b = subprocess.Popen(['sleep', '1000'], start_new_session=True)\n"
        "print(a.pid, b.pid, flush=True)\nwhile True: pass",
        seconds=0.3,
    )
    assert (done["return_code"], done["timed_out"]) == (124, True)
    assert done["stderr"] == (
        "detection_timeout: the code ran longer than 0.3 s\n"
        "It did not stop, so the interpreter has ended; its variables are lost.\n"
    )
    inside.bash("true")  # so that the last signals have arrived
    assert not any(is_alive(int(process)) for process in done["stdout"].split())
    assert "NameError" in inside.python("a")["stderr"]


@pytest.mark.parametrize(
    ("code", "return_code"),
    [
        ("os._exit(3)", 3),
        ("os.kill(os.getpid(), 11)", 128 + signal.SIGSEGV),
        ("os.kill(os.getpid(), 9)", 128 + signal.SIGKILL),
    ],
)
def test_an_interpreter_that_ends_itself_ends_its_cell_and_is_replaced(inside, code, return_code):
    done = inside.python(f"import os\nprint('last')\n{code}")
    assert (done["return_code"], done["stdout"], done["timed_out"]) == (
        return_code,
        "last\n",
        False,
    )
    assert done["stderr"] == (
        f"The code has ended the interpreter (return code {return_code}): "
        "the interpreter has ended; its variables are lost.\n"
    )
    assert "NameError" in inside.python("os")["stderr"]


def test_an_interpreter_that_ends_between_cells_is_replaced(inside):
    inside.says("import os, threading\nos.mkfifo('go')\nx = 1")
    inside.says("threading.Thread(target=lambda: os._exit(open('go').close() or 0)).start()")
    inside.bash("echo > go")
    while inside.python("print(x)")["return_code"] == 0:
        pass
    assert inside.says("print('new')") == "new\n"


def test_closing_all_descriptors_ends_only_the_interpreter(inside):
    done = inside.python("import os, threading\nos.closerange(0, 1000)\nwhile True: pass")
    assert done["return_code"] == 137
    assert "closed its descriptors" in done["stderr"]
    assert inside.says("print('new')") == "new\n"


def test_the_interpreter_has_no_descriptor_that_leads_to_the_executor(inside):
    said = inside.says(
        "import os\n"
        "print(sorted({os.readlink(f'/proc/self/fd/{fd}').split(':')[0]"
        " for fd in (0, 1, 2, *range(3, 64)) if os.path.exists(f'/proc/self/fd/{fd}')"
        " or os.path.islink(f'/proc/self/fd/{fd}')}))"
    )
    executor = {inside.process.stdin.fileno(), inside.process.stdout.fileno()}
    assert said == "['/dev/null', 'anon_inode', 'pipe', 'socket']\n"
    said = inside.says(
        "print(*{os.fstat(fd).st_ino for fd in range(64) if os.path.islink(f'/proc/self/fd/{fd}')})"
    )
    assert not {str(os.fstat(fd).st_ino) for fd in executor} & set(said.split())


@pytest.mark.parametrize(
    "junk",
    [
        b"junk\n",
        b"\xff\n",
        b"[]\n",
        b'{"type":"done","id":1,"stdout":"","stderr":"","return_code":0}\n',
        b'{"type":"end","cell":1}\n',
        b'{"type":"end","cell":1,"return_code":true,"stderr":""}\n',
        b'{"type":"end","cell":1,"return_code":0,"stderr":"\\ud800"}\n',
        b'{"type":"end","cell":99,"return_code":0,"stderr":""}\n',
        b'{"type":"calls","calls":[]}\n',
        b'{"type":"calls","calls":[{"call":1,"name":"rm","input":{}}]}\n',
        b'{"type":"calls","calls":[{"call":1,"name":["f"],"input":{}}]}\n',
        b'{"type":"calls","calls":[{"call":0,"name":"f","input":{}}]}\n',
        b'{"type":"calls","calls":[{"call":"1","name":"f","input":{}}]}\n',
        b'{"type":"calls","calls":[{"call":1,"name":"f","input":[]}]}\n',
        b'{"type":"calls","calls":[{"call":1,"name":"f","input":{"x":NaN}}]}\n',
        b'{"type":"calls","calls":[{"call":1,"name":"f","input":{"x":1e999}}]}\n',
        b'{"type":"calls","calls":[{"call":1,"name":"f","input":{"x":"\\ud800"}}]}\n',
        b'{"type":"calls","calls":[{"call":1,"name":"f","input":{},"id":7}]}\n',
        b'{"type":"calls","calls":[{"call":1,"name":"f","input":{"x":'
        + b"[" * 200
        + b"]" * 200
        + b"}}]}\n",
        b"[" * 100_000 + b"\n",
    ],
)
def test_junk_on_the_socket_ends_the_interpreter_and_nothing_else(inside, junk):
    code = f"{FIND_SOCKET}os.write(fd, {junk!r})\nwhile True: pass"
    done = inside.python(code, functions=["f"])
    assert (done["type"], done["return_code"]) == ("done", 137)
    assert "The interpreter was ended, because " in done["stderr"]
    assert inside.says("print('new')") == "new\n"


def test_a_line_without_end_on_the_socket_ends_the_interpreter(inside):
    done = inside.python(
        f"{FIND_SOCKET}import socket\nconnection = socket.socket(fileno=os.dup(fd))\n"
        "connection.sendall(b'x' * 2**25)"
    )
    assert "the line is too long" in done["stderr"]
    assert inside.says("print('new')") == "new\n"


def test_a_forged_end_ends_the_cell_and_then_the_interpreter(inside):
    line = b'{"type":"end","cell":1,"return_code":7,"stderr":"mine"}\n'
    done = inside.python(f"{FIND_SOCKET}os.write(fd, {line!r})")
    assert (done["return_code"], done["stderr"]) == (7, "mine")
    done = inside.python("fd")  # the end of the first one has come when no cell ran, or for this
    assert done["return_code"] in {1, 137}
    assert inside.says("print('new')") == "new\n"


def test_a_forged_call_is_a_call_of_the_cell_and_nothing_more(inside):
    line = b'{"type":"calls","calls":[{"call":1,"name":"f","input":{"a":1}}]}\n'
    told = inside.python(f"{FIND_SOCKET}os.write(fd, {line!r})\nprint('end')", functions=["f"])
    assert told["calls"] == [{"call": 1, "name": "f", "input": {"a": 1}}]
    assert inside.read()["stdout"] == "end\n"
