"""The launcher as the program that it is, for whoever is not root too."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from anthropic_bedrock_proxy.sandbox.isolation.sandlock import launcher

PLAN = {
    "bare": False,
    "workspace": "/tmp/workspace",
    "uid": 1500,
    "disk_bytes": 1 << 20,
    "memory_bytes": 256 << 20,
    "pids": 16,
    "cores": [min(os.sched_getaffinity(0))],
    "percent": None,
    "readable": [],
    "path": "/usr/bin:/bin",
    "allow_degraded": False,
}


def launch(*command, plan):
    words = [*command, launcher.__file__, json.dumps(plan)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)
    return done.stdout, json.loads(done.stderr)


def test_what_keeps_it_from_starting_is_reported():
    _, report = launch(sys.executable, "-I", plan=PLAN | {"cores": [], "command": ["true"]})
    assert report["failed"].startswith("OSError")


def test_without_root_it_is_the_one_user_of_a_namespace():
    python, setpriv = shutil.which("python3", path="/usr/bin:/bin"), shutil.which("setpriv")
    if python is None or setpriv is None or os.getuid() != 0:
        pytest.skip("root, setpriv and a python3 for everybody are needed")
    spec = pytest.importorskip("sandlock").__spec__
    folder = Path("/var/tmp") / f"launcher-{os.getpid()}"  # where everybody may read
    try:
        shutil.copytree(Path(spec.origin).parent, folder / "sandlock")
        shutil.copy(launcher.__file__, folder / "launcher.py")
        code = "import os; print(os.getuid(), os.path.exists('/var/tmp'), os.listdir('.'))"
        plan = PLAN | {"command": [python, "-I", "-c", code]}
        # Not isolated: the folder of the script is where it finds sandlock.
        words = [setpriv, "--reuid", "1500", "--regid", "1600", "--clear-groups", python]
        done = subprocess.run(
            [*words, str(folder / "launcher.py"), json.dumps(plan)],
            env={},  # and a user without a home
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report = json.loads(done.stderr)
    if "namespaces" in report.get("failed", ""):
        pytest.skip(f"this kernel grants no namespaces to users: {report['failed']}")
    assert report == {"reason": 0, "code": 0}
    assert done.stdout == "1500 False []\n"


def test_its_table_of_refused_calls_is_in_order():
    names = launcher._DENIED.split()
    assert names == sorted(set(names))


def test_a_process_that_has_ended_before_it_is_killed_is_no_fault():
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    launcher._kill(ended.pid)
