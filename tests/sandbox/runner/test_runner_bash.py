"""Bash commands, in the real shell of a runner."""

from __future__ import annotations

import os

import pytest
from inside import is_alive

from anthropic_bedrock_proxy.sandbox.runner import bash, commands


def test_a_command_has_its_output_and_its_return_code(inside):
    assert bash.start  # what is tested, inside
    done = inside.bash("echo out; echo err >&2; exit 3")
    assert (done["stdout"], done["stderr"], done["return_code"]) == ("out\n", "err\n", 3)
    assert not done["timed_out"]


def test_the_return_code_of_a_signal_is_that_of_shells(inside):
    assert inside.bash("kill -SEGV $$")["return_code"] == 139


def test_each_command_is_a_shell_of_its_own_in_the_workspace(inside):
    said = inside.bash("cd /; x=1; echo $x > $HOME/file")
    assert said["return_code"] == 0
    done = inside.bash("pwd; echo -$x-; cat file")
    assert done["stdout"] == f"{inside.workspace}\n--\n1\n"


def test_the_environment_is_made_from_nothing(inside):
    done = inside.bash("env | cut -d= -f1 | sort | grep -v -e SHLVL -e ^_$")
    assert done["stdout"].split() == ["HOME", "LANG", "OUTPUT_DIR", "PATH", "PWD", "TMPDIR"]


def test_there_is_nothing_to_read(inside):
    assert inside.bash("cat; read x || echo none")["stdout"] == "none\n"


def test_a_command_has_no_descriptors_but_its_three(inside):
    done = inside.bash("ls -l /proc/self/fd | grep -o '[0-9]* -> [^:]*'")
    links = done["stdout"].split("\n")
    assert links[0] == "0 -> /dev/null"
    assert [link for link in links if "socket" in link or "anon_inode" in link] == []
    assert len([link for link in links if "pipe" in link]) == 2


def test_signals_do_to_programs_what_they_do_elsewhere(inside):
    done = inside.bash(
        "sh -c 'kill -TERM $$'; echo $?; sh -c 'kill -INT $$'; echo $?; yes | head -1"
    )
    assert done["stdout"] == "143\n130\ny\n"
    assert "Broken pipe" not in done["stderr"]


def test_what_is_left_in_the_background_keeps_no_cell_open_and_lives_until_restart(inside):
    lasting = f"sleep 1000.{os.getpid()}"  # other tests, beside this one, have their own
    done = inside.bash(f"{lasting} & echo $!; setsid -f {lasting}; exit 4")
    assert done["return_code"] == 4
    process = int(done["stdout"])
    others = [int(one) for one in inside.bash(f"pgrep -fx '{lasting}'")["stdout"].split()]
    assert is_alive(process)
    assert process in others
    inside.says("x = 1")
    done = inside.bash("echo new", restart=True)
    assert done["stdout"] == "new\n"
    while any(is_alive(one) for one in others):
        pass  # killed, and on their way
    assert inside.says("print(x)") == "1\n"


def test_output_of_the_background_is_in_the_next_command_and_kills_nobody(inside):
    inside.bash("mkfifo go went; (read x < go; echo late; echo > went) &")
    inside.says("open('go', 'w').write('x\\n')\nopen('went').read()")
    assert inside.bash("echo next")["stdout"] == "late\nnext\n"


def test_a_background_that_writes_without_end_keeps_no_cell_open(inside):
    assert inside.bash("yes &")["return_code"] == 0
    assert inside.bash("true", restart=True)["return_code"] == 0
    assert inside.bash("echo quiet")["stdout"] == "quiet\n"


def test_a_command_that_takes_too_long_is_killed_with_what_it_has_started(inside):
    done = inside.bash("trap '' TERM INT; sleep 1000 & setsid sleep 1000 & echo $! $$; wait", 0.3)
    assert (done["return_code"], done["timed_out"]) == (124, True)
    assert done["stderr"] == "detection_timeout: the code ran longer than 0.3 s\n"
    while any(is_alive(int(one)) for one in done["stdout"].split()):
        pass  # killed, and on their way


@pytest.mark.parametrize("command", ["x" * (commands.MAX_COMMAND_BYTES + 1), "echo \0"])
def test_a_command_that_no_program_could_be_given_is_refused(inside, command):
    failed = inside.bash(command)
    assert (failed["type"], failed["error_code"]) == ("failed", "invalid_tool_input")
    longest = "echo ok #" + "x" * (commands.MAX_COMMAND_BYTES - 9)
    assert inside.bash(longest)["stdout"] == "ok\n"
