"""Sandlock's isolation where its walls are not whole: as root without the right to namespaces.

That is how it is in most containers. The script of each test runs in a process without this right.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import textwrap

import pytest
from walls import COMMAND, launchers, opened

from anthropic_bedrock_proxy.sandbox.isolation.base import RunnerLimits
from anthropic_bedrock_proxy.sandbox.isolation.sandlock.isolation import SandlockIsolation

SCRIPT = """
import asyncio, json, os, sys
sys.path[:0] = {path!r}
from pathlib import Path
from walls import MEGABYTE, EndedError, begin, opened

async def ask(inside, code):
    try:
        return await inside.ask(code)
    except EndedError as error:
        return f"ended: {{error}}"

async def main():
    {body}

print(json.dumps(asyncio.run(main())))
"""


def degraded(body):
    """What the body of an async function returns in a process without CAP_SYS_ADMIN."""
    setpriv = shutil.which("setpriv")
    if setpriv is None or os.getuid() != 0:
        pytest.skip("setpriv and root are needed")
    indented = textwrap.indent(textwrap.dedent(body), "    ").strip()
    code = SCRIPT.format(path=sys.path, body=indented)
    command = [setpriv, "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"]
    done = subprocess.run(
        [*command, sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_whole_walls_say_so():
    async def main():
        async with opened("sandlock") as isolation:
            return await isolation.state()

    state = asyncio.run(main())
    assert (state.status, state.details["walls"]) == ("ready", "whole")


def test_degraded_walls_are_refused_unless_they_are_allowed():
    refused, allowed = degraded("""
    import walls
    from anthropic_bedrock_proxy.sandbox.isolation.select import make_isolation
    found = []
    for allow in (False, True):
        isolation = make_isolation(walls.options("sandlock", allow_degraded=allow))
        await isolation.open()
        state = await isolation.state()
        found.append([state.status, state.reason, state.details.get("walls")])
        await isolation.close()
    return found
    """)
    assert refused[0] == "unavailable"
    assert "SANDBOX_ALLOW_DEGRADED=true" in refused[1]
    assert "namespaces" in refused[1]
    assert allowed == ["ready", "", "degraded"]


def test_degraded_walls_keep_the_network_and_files_and_processes_all_the_same():
    """What they do not keep: names and sizes of the host's files, which Landlock does not know."""
    told = degraded("""
    attempts = [
        "open('/etc/shadow').read()", "__import__('os').listdir('/root')",
        "__import__('os').listdir('/proc')", "open('/tmp/x', 'w')", "open('/usr/x', 'w')",
        "__import__('socket').create_connection(('127.0.0.1', 9), 1)",
        "__import__('os').kill(__import__('os').getppid(), 0)", "__import__('os').setuid(0)",
        "__import__('os').kill(1, 0)",
    ]
    async with opened("sandlock", allow_degraded=True) as isolation:
        inside = await begin(isolation)
        found = [await ask(inside, attempt) for attempt in attempts]
        return found, await ask(inside, "import os; print(os.stat('/etc/shadow').st_size > 0)")
    """)
    refusals, named = told
    assert all(refusal.startswith("PermissionError") for refusal in refusals), refusals
    assert named == "True\n"


def test_degraded_walls_watch_disk_and_memory():
    disk, files, memory = degraded("""
    codes = [
        "import time\\nfor n in range(12): open(f'f{n}', 'wb').write(b'x' * (3 << 20))\\n"
        "time.sleep(9)",
        "import os, time\\nfor n in range(4000): os.close(os.open(f'f{n}', os.O_CREAT))\\n"
        "time.sleep(9)",
        "import os, time\\nx = bytearray(150 << 20)\\nfor _ in range(6):\\n"
        "    if os.fork() == 0:\\n        for i in range(0, len(x), 4096): x[i] = 1\\n"
        "        time.sleep(9)\\ntime.sleep(9)",
    ]
    async with opened("sandlock", allow_degraded=True, disk_bytes=8 * MEGABYTE) as isolation:
        return [await ask(await begin(isolation), code) for code in codes]
    """)
    assert disk == files == "ended: out of disk space"
    assert memory == "ended: out of memory"


def test_degraded_sandboxes_leave_neither_processes_nor_folders():
    before = launchers()
    workspace, mode, left = degraded("""
    async with opened("sandlock", allow_degraded=True) as isolation:
        inside = await begin(isolation)
        workspace = Path(inside.runner.workspace)
        mode = workspace.stat().st_mode & 0o777
        await inside.ask("import os, subprocess\\n"
            "subprocess.Popen(['sleep', '4321'], start_new_session=True)\\n"
            "for _ in range(2000): os.mkdir('d'); os.chdir('d')\\n"
            "os.chmod('.', 0)")
        await inside.runner.kill()
        left = workspace.exists()
    return str(workspace), mode, left or workspace.parent.exists()
    """)
    assert (mode, left) == (0o700, False)
    assert "sleep 4321" not in subprocess.check_output(["ps", "axww", "-o", "args"], text=True)
    assert launchers() == before
    assert workspace.startswith("/")


@pytest.mark.parametrize(
    ("installed", "told"), [(None, "needs the extra `sandbox`"), ("9.9", "9.9 was not tried")]
)
def test_a_library_that_is_not_the_one_that_was_tried_is_refused(installed, told):
    async def main():
        isolation = SandlockIsolation(
            command=COMMAND, limits=RunnerLimits(), executor="tests", installed=lambda: installed
        )
        await isolation.open()
        state = await isolation.state()
        await isolation.close()
        return state

    state = asyncio.run(main())
    assert (state.status, told in state.reason) == ("unavailable", True)
