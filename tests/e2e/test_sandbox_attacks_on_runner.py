"""Attacks by cells on what is nearest: their runner, its frames, files that go in and out."""

from __future__ import annotations

import functools
import io
import zipfile

import pytest
from attackers import SECRET, attack_all, bash, ended, python, pythons
from walls import MEGABYTE

from anthropic_bedrock_proxy.sandbox.base import (
    BashCell,
    Failed,
    PythonCell,
    Ran,
)

OUTPUT = 100_000  # characters that stdout and stderr may have, before the line about the rest


def test_signals_to_the_runner_hurt_their_sender_alone(place):
    code = "import os, signal, time\nos.kill({}, signal.{})\ntime.sleep(0.3)\nprint(1)"
    attackers = {
        f"{target} {name}": [PythonCell(code.format(target, name))]
        for target in ("1", "os.getppid()", "-1", "0")
        for name in ("SIGKILL", "SIGTERM", "SIGSTOP")
    }
    command = "trap '' TERM HUP; kill -9 $PPID; kill -9 1; kill -TERM -1; kill -9 -1; echo 1"
    attackers["bash"] = [BashCell(command)]
    for name, (outcome,) in attack_all(place, attackers).items():
        assert isinstance(outcome, Failed) or outcome.stdout in {"1\n", ""}, name


FORGE = """
import glob, os
def frames(kind):
    for number in range(64):
        yield {
            "done": b'{"type":"done","id":%d,"stdout":"forged","stderr":"","return_code":0,'
                    b'"timed_out":false,"files":[{"path":"/etc/shadow","name":"x","size":1}]}\\n',
            "calls": b'{"type":"calls","id":%d,"calls":[{"call":1,"name":"steal","input":{}}]}\\n',
            "data": b'{"type":"data","id":%d,"data":"AAAA","last":true}\\n',
            "ready": b'{"type":"ready","python":"%d","hardened":true}\\n',
            "junk": b'%d junk \\xff\\xfe {"type": \\n',
            "deep": b'%d' + b'[' * 4000 + b'\\n',
        }[kind] % number
sent = 0
names = glob.glob("/proc/[0-9]*/fd/*") + [f"/proc/{os.getppid()}/fd/{n}" for n in range(16)]
opened = []
for name in [*names, "/dev/stdout", "/dev/stderr", "/dev/console", "/dev/tty"]:
    try:
        opened.append(os.open(name, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        pass
for end in range(1024):
    try:
        os.set_blocking(end, False)
        for line in frames(KIND):
            sent += os.write(end, line)
    except OSError:
        pass
print("sent", sent > 0)
"""


def test_forged_frames_are_not_believed(place):
    """They may end the attacker's sandbox; no call of a function that it was not given is told."""
    kinds = ("done", "calls", "data", "ready", "junk", "deep")
    attackers = {
        kind: [PythonCell(FORGE.replace("KIND", repr(kind)), {"ask": "ask"})] for kind in kinds
    }
    for name, (outcome,) in attack_all(place, attackers).items():
        if isinstance(outcome, Ran):  # some have come to where they could be believed
            assert "The interpreter was ended, because" in outcome.stderr, name
            assert outcome.files == []
        else:
            assert isinstance(outcome, Failed), (name, outcome)


@pytest.mark.parametrize("end", [1, 2])
def test_a_hundred_megabytes_of_output_are_cut(place, end):
    stream = {1: "sys.stdout", 2: "sys.stderr"}[end]
    printed = f"import sys\nfor _ in range(100): {stream}.write('x' * 1_000_000)"
    raw = f"import os\nfor _ in range(1000): os.write({end}, b'x' * 100_000)"
    command = f"head -c 100000000 /dev/zero | tr '\\0' x >&{end}"
    attackers = {"printed": [PythonCell(printed)], "raw": [PythonCell(raw)]}
    for outcome, *_ in attack_all(place, {**attackers, "bash": [BashCell(command)]}).values():
        assert outcome.return_code == 0 or outcome.timed_out
        longest = max(len(outcome.stdout), len(outcome.stderr))
        assert OUTPUT <= longest <= OUTPUT + 200


def test_lines_without_end_and_many_small_ones_are_cut_too(place):
    code = "import os\nfor n in range(200_000): os.write(1, b'\\xf0\\x9f\\n')"
    outcome = python(place, code)
    assert len(outcome.stdout) <= OUTPUT + 200


CLOSERS = {
    "all": "import os\nos.closerange(0, 65536)",
    "all but the first": "import os\nos.closerange(3, 65536)\nprint(1)",
    "over null": """
import os
null = os.open("/dev/null", os.O_RDWR)
for number in range(256):
    try: os.dup2(null, number)
    except OSError: pass
""",
    "over pipes": """
import os
_, end = os.pipe()
for number in range(256):
    try: os.dup2(end, number)
    except OSError: pass
""",
}


def test_descriptors_that_are_closed_or_replaced_end_the_cell(place):
    for name, outcome in pythons(place, CLOSERS).items():
        assert outcome.return_code != 0, name
        assert "its variables are lost" in outcome.stderr


def test_bash_may_close_what_it_has(place):
    command = 'for n in {0..9}; do eval "exec $n<&- $n>&-"; done; sleep 0.1'
    assert isinstance(bash(place, command), (Ran, Failed))


def test_links_in_the_output_folder_lead_to_no_file(place):
    secret = place.executor.folder / "secret.txt"
    links = f"cd $OUTPUT_DIR && ln -s {secret} one && ln -s / two && ln -s /proc/1/environ three"
    outcome = bash(place, f"{links} && ln -s ../../../../etc/passwd four && echo made")
    assert (outcome.stdout, outcome.files) == ("made\n", [])
    replaced = "rm -rf $OUTPUT_DIR && ln -s /etc $OUTPUT_DIR && echo made"
    outcome = bash(place, replaced)
    if isinstance(outcome, Ran):
        assert outcome.files == []


TRAPS = (
    "ln -s target data.csv",
    "ln -s {} data.csv",
    "ln -s /proc/1/mem data.csv",
    "mkdir data.csv && touch data.csv/x",
    "python3 -c 'import os; os.mkfifo(\"data.csv\")'",
)


def test_an_upload_follows_no_link(place):
    secret = place.executor.folder / "secret.txt"
    after = BashCell("cat target; cat data.csv")
    attackers = {
        trap: [BashCell(f"echo kept > target; {trap.format(secret)}"), after] for trap in TRAPS
    }
    attacks = attack_all(place, attackers, upload=("data.csv", b"uploaded"))
    for trap, (_, outcome) in attacks.items():
        if trap.startswith("mkdir"):
            assert isinstance(outcome, Failed), outcome
        else:
            assert outcome.stdout == "kept\nuploaded", trap
    assert secret.read_text() == SECRET


@functools.cache
def bomb():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", bytes(160 * MEGABYTE))
    return packed.getvalue()


@pytest.mark.parametrize("way", ["extractall()", "read('bomb')"])
def test_an_archive_that_grows_comes_to_the_limits(place, way):
    code = f"import zipfile\nzipfile.ZipFile('bomb.zip').{way}\nprint('unpacked')"
    outcome = python(place, code, upload=("bomb.zip", bomb()))
    assert ended(outcome) or "No space left on device" in outcome.stderr
