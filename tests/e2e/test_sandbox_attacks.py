"""Attacks by code of the model, sent as cells to real executors with the real runner in real walls.

Each is made in a container of its own beside a neighbour's, who has a variable and a file, and is
asked for both meanwhile and after. An attack ends within its time as the outcome of a cell; the
attacker's next cell works, or what became of the container is said; nothing is left at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import io
import itertools
import zipfile

import pytest
from anthropic_bedrock_proxy.sandbox.calls import ExecutorCalls
from attacks import CALL, REFUSED
from sandboxes import TOKEN, RunningSandboxd, descendants, living
from servers import wait_for
from walls import KINDS, MEGABYTE, containers

from anthropic_bedrock_proxy.sandbox.address import ExecutorAddress
from anthropic_bedrock_proxy.sandbox.base import (
    BashCell,
    CellAddress,
    ContainerGoneError,
    Failed,
    PythonCell,
    Ran,
)
from anthropic_bedrock_proxy.sandbox.client import SandboxClient

SECONDS = 25  # for an attack: of code, of the grace after it, and of a busy machine
ANSWER_SECONDS = 5  # for the neighbour
OUTPUT = 100_000  # characters that stdout and stderr may have, before the line about the rest
SECRET = "secret-of-the-host"
KEPT = "kept by the neighbour"
LIMITS = {
    "PTC_EXECUTION_TIMEOUT": "2",
    "STANDALONE_BASH_TIMEOUT": "2",
    "PTC_MEMORY_LIMIT": "128m",
    "PTC_PIDS_LIMIT": "48",
    "SANDBOX_DISK_LIMIT": "32m",
    "SANDBOX_IDLE_SECONDS": "300",
    "SANDBOX_WARM": "2",
}
_numbers = itertools.count(1)


class Place:
    """An executor with a neighbour in it."""

    def __init__(self, executor, kind):
        self.executor = executor
        self.kind = kind
        self.asked = 0
        self.neighbour = None
        self.folder = ""  # of the neighbour, as it sees it

    @contextlib.asynccontextmanager
    async def client(self):
        calls = ExecutorCalls(ExecutorAddress.from_url(self.executor.url), TOKEN)
        client = SandboxClient([calls])
        try:
            yield client
        finally:
            await client.close()

    async def move_in(self):
        code = f"import os\nkept, asked = 42, 0\nopen('kept.txt', 'w').write({KEPT!r})\n"
        async with self.client() as client:
            self.neighbour = CellAddress(client.new_container(), "neighbour", "first")
            cell = PythonCell(code + "print(os.getcwd())")
            moved = await client.run(self.neighbour, cell, create=True)
        self.folder = moved.outcome.stdout.strip()

    def tell(self, code):
        """What the neighbour's own code prints."""

        async def main():
            async with self.client() as client:
                at = CellAddress(self.neighbour.container, "neighbour", f"cell_{next(_numbers)}_")
                return (await client.run(at, PythonCell(code), create=False)).outcome.stdout

        return asyncio.run(main())

    async def ask(self, client):
        """The neighbour answers in time, and with what it has kept."""
        self.asked += 1
        at = CellAddress(self.neighbour.container, "neighbour", f"cell_{self.asked}")
        cell = PythonCell("asked += 1\nprint(kept, asked, open('kept.txt').read())")
        async with asyncio.timeout(ANSWER_SECONDS):
            reply = await client.run(at, cell, create=False)
        assert reply.outcome == Ran(f"42 {self.asked} {KEPT}\n", "", 0)


def attack_all(place, attackers, *, upload=None):
    """The outcomes of each attacker's cells: in a container of its own, all at once.

    The neighbour is asked meanwhile, and after the end of each. The last cells get the upload.
    """

    async def main():
        async with place.client() as client:
            files = []
            if upload is not None:
                record = await client.upload("attacker", *upload, "application/octet-stream")
                files.append(record.id)
            begun = {
                name: asyncio.create_task(strike(client, cells, files))
                for name, cells in attackers.items()
            }
            pending = {*begun.values()}
            while pending:
                await asyncio.wait(pending, timeout=0.2, return_when=asyncio.FIRST_COMPLETED)
                pending = {task for task in pending if not task.done()}
                await place.ask(client)
            return {name: task.result() for name, task in begun.items()}

    outcomes = asyncio.run(main())
    wait_for(lambda: place.executor.state()["containers"] == 1, "only the neighbour is left")
    return outcomes


async def strike(client, cells, files):
    container = client.new_container()
    try:
        outcomes = [await run(client, container, cell) for cell in cells[:-1]]
        outcomes.append(await run(client, container, cells[-1], files))
        await go_on(client, container)
    finally:
        with contextlib.suppress(ContainerGoneError):
            await client.remove(container, "attacker")
    return outcomes


async def run(client, container, cell, uploads=(), *, create=True):
    at = CellAddress(container, "attacker", f"cell_{next(_numbers)}")
    async with asyncio.timeout(SECONDS):
        return (await client.run(at, cell, create=create, uploads=uploads)).outcome


async def go_on(client, container):
    """The next cell works, or says that all is lost, and then the one after it works."""
    try:
        outcome = await run(client, container, PythonCell("print('well')"), create=False)
        if isinstance(outcome, Failed):
            assert "all files and names in it are lost" in outcome.message
            outcome = await run(client, container, PythonCell("print('well')"), create=False)
    except ContainerGoneError:  # the runner has ended between cells
        return
    assert outcome.stdout == "well\n", outcome


@pytest.fixture(scope="module", params=KINDS)
def place(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("executor")
    (folder / "secret.txt").write_text(SECRET)
    with RunningSandboxd(folder, request.param, SOME_SECRET=SECRET, **LIMITS) as executor:
        made = Place(executor, request.param)
        asyncio.run(made.move_in())
        yield made
        left = descendants(executor.process.pid)
        assert left or containers(executor.name)
        assert executor.stop() == 0, executor.logged()
        wait_for(lambda: not living(left), "no process is left")
        if request.param == "docker":
            assert containers(executor.name) == set()


def python(place, code, **options):
    """The outcome of one attack in Python."""
    return attack_all(place, {"": [PythonCell(code)]}, **options)[""][0]


def pythons(place, codes):
    """The outcomes of several, each in a container of its own."""
    attackers = {name: [PythonCell(code)] for name, code in codes.items()}
    return {name: outcomes[0] for name, outcomes in attack_all(place, attackers).items()}


def bash(place, command):
    """The outcome of one attack in bash."""
    return attack_all(place, {"": [BashCell(command)]})[""][0]


def ended(outcome):
    """Whether the attacker alone has lost its sandbox, or its interpreter."""
    return (
        outcome.error_code in {"unavailable", "execution_time_exceeded"}
        if isinstance(outcome, Failed)
        else outcome.return_code > 128 or outcome.timed_out
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
