"""Processes: the demo child, the command line, the log file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from anthropic_bedrock_proxy.sim.client import SimClient, SimError
from anthropic_bedrock_proxy.sim.server import is_loopback

SOURCE = Path(__file__).parents[2] / "src"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(SOURCE)}
PARENT = """
import os, sys
from anthropic_bedrock_proxy.sim.options import SimulatorOptions
from anthropic_bedrock_proxy.sim.server import serve_in_child
pid, port = serve_in_child(SimulatorOptions())
print(pid, port, flush=True)
sys.stdin.readline()
if sys.argv[1] == "orderly":
    os.kill(pid, 15)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


def answers(port):
    try:
        return SimClient(f"http://127.0.0.1:{port}").stats()["requests"] == 0
    except OSError:
        return False


@pytest.mark.parametrize("end", ["orderly", "abrupt"])
def test_the_demo_child_ends_with_its_parent(end):
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, end],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    ) as parent:
        pid, port = map(int, parent.stdout.readline().split())
        assert answers(port)
        os.kill(pid, signal.SIGINT)  # Ctrl-C goes to the whole group; the parent decides
        assert answers(port)
        parent.stdin.write("\n")
        parent.stdin.flush()
        if end == "orderly":
            assert parent.stdout.readline().strip() == "0"
        else:
            deadline = time.monotonic() + 5
            while answers(port) and time.monotonic() < deadline:
                pass
        assert not answers(port)


@contextmanager
def bedrock_sim(*arguments):
    with subprocess.Popen(
        [sys.executable, "-m", "anthropic_bedrock_proxy", "bedrock-sim", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_script_and_log_files(tmp_path):
    script, log = tmp_path / "script.json", tmp_path / "log.jsonl"
    script.write_text(json.dumps({"steps": [{"error": {"type": "ThrottlingException"}}]}))
    with bedrock_sim("--port", "0", "--script", str(script), "--log", str(log)) as process:
        client = SimClient(process.stdout.readline().split()[3])
        assert len(client.queued()) == 1
        client.clear_script()
        client.reset()
        assert len(client.queued()) == 1
        with pytest.raises(SimError):  # the scripted refusal
            client._call("GET", "/foundation-models")
        process.terminate()
        process.communicate(timeout=10)
    [line] = log.read_text().splitlines()
    assert json.loads(line)["operation"] == "ListFoundationModels"


def test_two_simulators_do_not_share_anything():
    with (
        bedrock_sim("--port", "0") as one,
        bedrock_sim("--port", "0", "--region", "eu-west-1") as two,
    ):
        first, second = (SimClient(process.stdout.readline().split()[3]) for process in (one, two))
        first.script([{"error": {"type": "ThrottlingException"}}])
        assert second.queued() == []
        name = {"x": "amazon.nova-lite-v1:0"}
        assert ":us-east-1:" in first.set_profiles(name)["x"]
        assert ":eu-west-1:" in second.set_profiles(name)["x"]
        second._call("GET", "/foundation-models")
        assert (first.stats()["requests"], second.stats()["requests"]) == (0, 1)


def test_mistakes_are_told_in_one_line(tmp_path, address):
    script = tmp_path / "script.json"
    script.write_text('[{"replyy": 1}]')
    port = address.rpartition(":")[2]
    for arguments, words in (
        (["--script", str(script)], "replyy"),
        (["--port", port], "cannot listen"),
        (["--access-key-id", "A"], "belong together"),
    ):
        with bedrock_sim(*arguments) as process:
            _, errors = process.communicate(timeout=10)
        assert process.returncode
        assert words in errors
        assert "Traceback" not in errors


def test_loopback():
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "sim")] == [
        True,
        True,
        True,
        False,
        False,
    ]
