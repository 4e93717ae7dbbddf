from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from inside import is_alive

from anthropic_bedrock_proxy.sandbox.runner import processes

ASKED = ["is_readable()", "set_dumpable(False)", "is_readable()", "adopt_orphans()"]


def test_the_environment_has_a_folder_for_what_is_temporary(tmp_path):
    made = processes.environment(str(tmp_path))
    assert made["TMPDIR"] == "/tmp"
    assert made["HOME"] == made["PWD"] == str(tmp_path)
    assert set(made) == {"HOME", "LANG", "PATH", "PWD", "TMPDIR"}


@pytest.mark.parametrize(("status", "code"), [(0, 0), (3 << 8, 3), (9, 137), (11, 139)])
def test_return_codes_are_those_of_shells(status, code):
    assert processes.return_code(status) == code


def test_a_child_and_all_that_it_has_started_are_killed_and_others_live():
    others = subprocess.Popen(["sleep", "1000"])
    child = subprocess.Popen(
        ["sh", "-c", "sleep 1000 & echo $!; setsid sleep 1000 & echo $!; wait"],
        start_new_session=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    started = [int(child.stdout.readline()) for _ in range(2)]
    try:
        processes.kill_started_by(child.pid)
        assert child.wait(10) == -9
        while any(map(is_alive, started)):
            pass
        assert others.poll() is None
        processes.kill_started_by(child.pid)  # it is gone: nothing happens
    finally:
        others.kill()
        others.wait()
        child.stdout.close()


def test_what_a_child_has_left_in_its_session_is_killed_too():
    child = subprocess.Popen(
        ["sh", "-c", "sleep 1000 & echo $!"],
        start_new_session=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    started = int(child.stdout.readline())
    child.stdout.close()
    child.wait()
    assert is_alive(started)
    processes.kill_started_by(child.pid)
    while is_alive(started):
        pass


def test_memory_that_may_not_be_read_is_not():
    """By a user that is not root, in a process of its own: the test's memory stays as it is."""
    program = f"{Path(processes.__file__).read_text()}\nprint({', '.join(ASKED)})"
    user = {"user": 65534, "group": 65534, "extra_groups": []} if os.getuid() == 0 else {}
    said = subprocess.run(
        ["/usr/bin/python3", "-I", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        **user,
    )
    assert said.stdout == "True True False True\n"
