"""Attacks through system calls: each is refused before the kernel looks at what it is given."""

from __future__ import annotations

import pytest
from attacks import CALL, NUMBERS, REFUSED
from walls import attempt


def refusals(kind, code):
    """Runs code that prints words, in a sandbox that knows `call` and `refusal`."""
    return attempt(kind, CALL + code).split()


def test_no_call_of_the_list_is_let_through(kind):
    told = refusals(
        kind, "for name in NUMBERS:\n    print(f'{name}={refusal(call, name, 0, 0, 0, 0, 0, 0)}')"
    )
    answers = dict(word.split("=", 1) for word in told)
    assert answers.keys() == NUMBERS.keys()
    assert {name: answer for name, answer in answers.items() if answer not in REFUSED} == {}


NAMESPACES = {
    "user": 0x10000000,
    "pid": 0x20000000,
    "net": 0x40000000,
    "mount": 0x00020000,
    "cgroup": 0x02000000,
    "uts": 0x04000000,
    "ipc": 0x08000000,
}


def test_no_process_is_made_in_a_new_namespace(kind):
    """With a user namespace come all capabilities, and most holes of kernels."""
    code = f"""
for name, flag in {NAMESPACES!r}.items():
    number = {{"x86_64": 56, "aarch64": 220}}[os.uname().machine]
    made = refusal(call, number, flag | 17, 0, 0, 0, 0)
    if made == "done: 0":
        os._exit(0)
    print(name, made)
"""
    told = refusals(kind, code)
    assert told[::2] == list(NAMESPACES)
    assert set(told[1::2]) <= REFUSED


def test_no_process_is_made_in_a_new_namespace_by_the_call_whose_flags_lie_in_memory(kind):
    code = """
flags = (ctypes.c_uint64 * 11)(0x10000000, 0, 0, 0, 17)
made = refusal(call, 435, ctypes.byref(flags), 88)
if made == "done: 0":
    os._exit(0)
print(made)
"""
    (told,) = refusals(kind, code)
    assert told in REFUSED


FAMILIES = {
    "inet": (2, 1, 0),
    "inet datagrams": (2, 2, 0),
    "raw": (2, 3, 1),
    "ping": (2, 2, 1),
    "inet6": (10, 1, 0),
    "packet": (17, 3, 0),
    "alg": (38, 5, 0),
    "vsock": (40, 1, 0),
    "xdp": (44, 3, 0),
    "bluetooth": (31, 3, 1),
    "can": (29, 3, 1),
    "rds": (21, 5, 0),
    "tipc": (30, 1, 0),
}


def sockets(kind):
    """Which families of sockets can be made."""
    code = f"""
import socket
for name, what in {FAMILIES!r}.items():
    try:
        socket.socket(*what)
    except OSError as error:
        continue
    print(name.replace(" ", "-"))
"""
    return set(refusals(kind, code))


def test_docker_lets_no_socket_but_of_its_own_files_be_made():
    assert sockets("docker") == set()


def test_sandlock_lets_sockets_be_made_that_reach_nothing():
    """Those of TCP: whom they may reach is decided when they connect (test_attacks_on_network)."""
    assert sockets("sandlock") <= {"inet", "inet6"}


def test_calls_of_other_architectures_are_no_way_around(kind):
    """32-bit code and x32 have numbers of their own; whoever uses one is refused or killed."""
    code = """
import mmap

def x32():
    return refusal(call, 0x40000000 | 39, 0, 0, 0, 0).startswith("done")  # getpid

def i386():
    # mov eax, 20 (getpid); int 0x80; ret
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(bytes.fromhex("b814000000cd80c3"))
    made = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
    return made == os.getpid()

for attempt in [x32, i386] if os.uname().machine == "x86_64" else []:
    child = os.fork()
    if child == 0:
        os._exit(42 if attempt() else 0)
    _, status = os.waitpid(child, 0)
    print(attempt.__name__ if status == 42 << 8 else "refused")
"""
    assert set(refusals(kind, code)) <= {"refused"}


@pytest.mark.parametrize("change", [0x0040000, 0x0400000, 0x20000, 0x8000000])
def test_the_personality_stays(kind, change):
    """Without randomised addresses, with executable data, as another system: none of it."""
    (told,) = refusals(
        kind,
        f"print(refusal(call, {{'x86_64': 135, 'aarch64': 92}}[os.uname().machine], {change}))",
    )
    assert told in REFUSED


def test_nothing_is_typed_into_a_terminal(kind):
    code = """
import fcntl, termios
ours, theirs = -1, -1
try:
    ours, theirs = os.openpty()
except OSError as error:
    print(errno.errorcode[error.errno])
else:
    os.setsid() if os.getpid() != os.getsid(0) else None
    print(refusal(fcntl.ioctl, theirs, 0x5412, b"x"))
"""
    (told,) = refusals(kind, code)
    assert told in REFUSED


def test_right_bits_give_no_rights(kind):
    """A file with a set-user-id bit, of whomever, leaves whoever runs it who they are."""
    code = """
import shutil, subprocess
shutil.copy("/usr/bin/id", "id")
print(refusal(os.chown, "id", 0, 0))
os.chmod("id", 0o6755)
before = os.geteuid()
for program in ["./id", "/usr/bin/id"]:
    try:
        told = subprocess.run([program, "-u"], capture_output=True, text=True).stdout.strip()
        print("same" if told == str(before) else f"done:{told}")
    except PermissionError:
        print("same")
print(*[refusal(how, 0) for how in (os.setuid, os.setgid, os.seteuid, os.setegid)])
print(refusal(os.setgroups, [0]), refusal(os.setresuid, 0, 0, 0))
"""
    owned, own, theirs, *changes = refusals(kind, code)
    assert owned in REFUSED
    assert (own, theirs) == ("same", "same")
    assert set(changes) <= REFUSED


def test_there_are_no_capabilities(kind):
    code = """
header = (ctypes.c_uint32 * 2)(0x20080522, 0)
data = (ctypes.c_uint32 * 6)()
print(refusal(call, {"x86_64": 125, "aarch64": 90}[os.uname().machine], header, data), *data)
print(libc.prctl(39, 0, 0, 0, 0))  # PR_GET_NO_NEW_PRIVS
"""
    told = refusals(kind, code)
    assert told == ["done:", "0", *"000000", "1"]
