"""Attacks by cells on what is around them: network, files, kernel, and what all share."""

from __future__ import annotations

import asyncio

import pytest
from attackers import KEPT, SECRET, attack_all, ended, python, pythons
from attacks import CALL, REFUSED
from sandboxes import TOKEN

from anthropic_bedrock_proxy.sandbox.base import (
    BashCell,
    CellAddress,
    ContainerGoneError,
    Failed,
    PythonCell,
    Ran,
)


def test_nothing_is_reached_over_the_network(place):
    port = place.executor.port
    code = f"""
import socket
for address in [("127.0.0.1", {port}), ("169.254.169.254", 80), ("172.17.0.1", 80),
                ("1.1.1.1", 53), ("::1", {port})]:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        try:
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
            with socket.socket(family, kind) as made:
                made.settimeout(0.2)
                made.connect(address)
                made.send(b"GET / HTTP/1.1\\r\\n\\r\\n")
                print("reached", address, made.recv(1))
        except OSError:
            pass
for path in ("/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock"):
    try:
        socket.socket(socket.AF_UNIX).connect(path)
        print("reached", path)
    except OSError:
        pass
print("tried")
"""
    assert python(place, code) == Ran("tried\n", "", 0)


def test_files_and_environment_of_the_host_are_not_read(place):
    code = f"""
import glob, os
paths = [{str(place.executor.folder / "secret.txt")!r}, "/etc/shadow", "/root/.bashrc", "/dev/mem",
         *glob.glob("/proc/*/environ"), *glob.glob("/proc/*/root/etc/shadow"),
         *glob.glob("/proc/*/cwd/secret.txt"), *glob.glob("/proc/*/task/*/environ")]
told = [repr(os.environ)]
for path in paths:
    try:
        told.append(open(path, "rb").read(100_000).decode(errors="replace"))
    except OSError:
        continue
    if not path.endswith("environ"):
        print("read", path)
secrets = ({SECRET[:-1]!r}, {TOKEN[:-1]!r}, "SANDBOX_TOKEN")
found = [word for word in secrets if word in "".join(told)]
print("tried", len(paths), found)
"""
    outcome = python(place, code)
    assert outcome.stdout.startswith("tried "), outcome
    assert outcome.stdout.endswith(" []\n")


def test_files_of_another_container_are_not_found(place):
    code = f"""
import os
def roots():
    yield {place.folder!r}
    yield os.path.dirname({place.folder!r})
    yield "/tmp"
    for pid in os.listdir("/proc"):
        if pid.isdigit():
            yield f"/proc/{{pid}}/root" + {place.folder!r}
            yield f"/proc/{{pid}}/cwd"
tried = 0
for root in roots():
    tried += 1
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in ("proc", "sys", "dev", "usr", "lib")]
        for name in names:
            try:
                if {KEPT!r} in open(os.path.join(folder, name)).read(1000):
                    print("read", folder, name)
            except (OSError, UnicodeDecodeError):
                pass
print("tried", tried > 3)
"""
    assert python(place, code).stdout == "tried True\n"
    assert "read" in place.tell(code)  # the neighbour itself finds it so


def test_a_foreign_keys_container_is_not_there_for_others(place):
    async def main():
        async with place.client() as client:
            there = place.neighbour.container
            own = CellAddress(there, "attacker", "cell_1")
            first = CellAddress(there, "attacker", place.neighbour.cell)
            for at in (own, first):
                for create in (True, False):
                    with pytest.raises(ContainerGoneError):
                        await client.run(at, PythonCell("print(kept)"), create=create)
                with pytest.raises(ContainerGoneError):
                    await client.resume(at, [])
            with pytest.raises(ContainerGoneError):
                await client.look(there, "attacker")
            with pytest.raises(ContainerGoneError):
                await client.remove(there, "attacker")
            await place.ask(client)

    asyncio.run(main())


def test_a_fork_bomb_is_bounded(place):
    code = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass\n"
    command = "bomb() { bomb | bomb & }; bomb; sleep 60"
    outcomes = attack_all(place, {"python": [PythonCell(code)], "bash": [BashCell(command)]})
    assert ended(outcomes["python"][0])
    assert isinstance(outcomes["bash"][0], (Ran, Failed))


def test_a_memory_hog_is_ended(place):
    hog = "import mmap\nx = []\nwhile True:\n    x.append(mmap.mmap(-1, 8 << 20))\n"
    hogs = {
        "heap": "x = []\nwhile True: x.append(bytearray(8 << 20))",
        "shared": hog + "    x[-1].write(b'x' * (8 << 20))",
    }
    for outcome in pythons(place, hogs).values():
        assert ended(outcome), outcome


def test_a_disk_filler_comes_to_its_limit(place):
    code = """
total = 0
try:
    for number in range(200):
        with open(f"file-{number}", "wb", 0) as file:
            total += file.write(bytes(1 << 20))
except OSError as error:
    print(error.errno, total >> 20)
"""
    error, total = map(int, python(place, code).stdout.split())
    assert error == 28  # ENOSPC
    assert 16 <= total <= 32


SPINNERS = {
    "plain": "while True: pass",
    "catches all": """
while True:
    try:
        while True: pass
    except BaseException: pass
""",
    "ignores signals": """
import signal
for number in range(1, 60):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
while True: pass
""",
    "threads": """
import threading
def spin():
    while True: pass
for _ in range(8): threading.Thread(target=spin).start()
spin()
""",
}


def test_a_spinner_ends_at_its_time(place):
    for outcome in pythons(place, SPINNERS).values():
        assert outcome.timed_out, outcome
        assert "detection_timeout" in outcome.stderr


def test_the_kernel_refuses_what_nobody_needs(place):
    code = """
for name, arguments in [
    ("io_uring_setup", [1, ctypes.create_string_buffer(120)]), ("ptrace", [0, 0, 0, 0]),
    ("mount", [b"none", b"/", b"tmpfs", 0, 0]), ("unshare", [0x10000000]), ("setns", [0, 0]),
    ("bpf", [0, ctypes.create_string_buffer(128), 128]), ("keyctl", [0, -3, 1]),
    ("userfaultfd", [1]), ("pivot_root", [b"/", b"/"]), ("open_by_handle_at", [-1, b"", 0]),
]:
    print(name, refusal(call, name, *arguments))
"""
    told = dict(line.split(" ", 1) for line in python(place, CALL + code).stdout.splitlines())
    assert len(told) == 10
    assert {name: why for name, why in told.items() if why not in REFUSED} == {}
