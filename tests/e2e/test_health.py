"""Each thing that the proxy stands on fails in turn, for real: /ready names it, and recovers."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import fake_sandboxd
import pytest
from redisprocess import RedisProcess
from servers import ROOT, RunningServer, clean_environment, start_proxy, wait_for

NAMED_SECONDS = 5.0  # the figure


def ask(url, path="/ready"):
    """(status, document)."""
    try:
        with urllib.request.urlopen(f"{url}{path}", timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


class Simulator(RunningServer):
    """A simulator that can be killed, and comes back on its port."""

    def __init__(self, folder, port=0):
        folder.mkdir(exist_ok=True)
        super().__init__(folder, ["bedrock-sim", "--port", str(port)], clean_environment(folder))

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def world(tmp_path):
    """A proxy with everything, and what strikes and mends each component."""
    script = tmp_path / "keys.sh"
    keys = {"Version": 1, "AccessKeyId": "AKIDEXAMPLE", "SecretAccessKey": "secret"}
    works = f"#!/bin/sh\necho '{json.dumps(keys)}'\n"
    script.write_text("#!/bin/sh\nexit 1\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "config").write_text(f"[default]\ncredential_process = {script}\n")
    simulator = Simulator(tmp_path / "simulator")
    data = tmp_path / "data"
    with RedisProcess() as redis:
        proxy = start_proxy(
            tmp_path / "proxy",
            simulator.url,
            STORE_URL=f"sqlite:///{data}/proxy.db",
            JOURNAL_DIR=f"{tmp_path}/journal",
            LIMITS_URL=redis.url,
            SANDBOX_URL=f"unix://{tmp_path}/nobody.sock",
            ENABLE_PROGRAMMATIC_TOOL_CALLING="true",
            AWS_ACCESS_KEY_ID="",
            AWS_SECRET_ACCESS_KEY="",
            AWS_CONFIG_FILE=str(tmp_path / "config"),
        )
        running = [simulator]

        def revive():
            port = int(simulator.url.rpartition(":")[2])
            running.append(Simulator(tmp_path / "simulator", port))

        strikes = {
            "store": (
                lambda: data.rename(tmp_path / "away"),
                lambda: (tmp_path / "away").rename(data),
            ),
            "limiter": (redis.kill, redis.start),
            "upstream": (simulator.kill, revive),
        }
        yield proxy, strikes, lambda: script.write_text(works)
        proxy.stop()
        for server in running:
            server.stop()


@contextmanager
def executor(folder):
    """An executor where the proxy looks for one."""
    program = [sys.executable, fake_sandboxd.__file__, "--listen", f"unix://{folder}/nobody.sock"]
    paths = [str(ROOT / "src"), str(ROOT / "tests" / "support")]
    environment = clean_environment(folder, PYTHONPATH=os.pathsep.join(paths))
    with subprocess.Popen(program, env=environment, stdout=subprocess.DEVNULL) as process:
        yield
        process.terminate()


def named(proxy, name, state):
    """Waits until /ready tells that state; (seconds, status)."""
    began = time.monotonic()

    def told():
        status, document = ask(proxy.url)
        return document["components"][name]["state"] == state and (status or None)

    status = wait_for(told, f"{name} is told as {state}")
    return time.monotonic() - began, status


def test_each_component_fails_in_turn_and_recovers(world, tmp_path):
    proxy, strikes, give_keys = world
    taken, status = named(proxy, "credentials", "failed")  # from the start: its process fails
    assert (taken < NAMED_SECONDS, status) == (True, 503)
    give_keys()
    _, status = named(proxy, "credentials", "ok")
    assert status == 200
    taken, status = named(proxy, "executor", "degraded")  # nobody is there, all along
    assert (taken < NAMED_SECONDS, status) == (True, 200)
    with executor(tmp_path):
        assert named(proxy, "executor", "ok")[1] == 200
    taken, status = named(proxy, "executor", "degraded")
    assert (taken < NAMED_SECONDS, status) == (True, 200)
    expected = {"store": ("failed", 200), "limiter": ("degraded", 200), "upstream": ("failed", 503)}
    for name, (begin, end) in strikes.items():
        assert named(proxy, name, "ok")[1] == 200
        begin()
        state, code = expected[name]
        taken, status = named(proxy, name, state)
        assert (taken < NAMED_SECONDS, status) == (True, code), name
        assert ask(proxy.url, "/health")[0] == 200
        end()
        taken, status = named(proxy, name, "ok")
        print(f"{name}: recovered after {taken:.1f} s")
        assert status == 200
    assert "health: upstream is failed" in proxy.logged()
