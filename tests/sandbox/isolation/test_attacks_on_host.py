"""Attacks on files, processes and the environment of the host, and on those of other sandboxes."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

import pytest
from walls import attempt, begin, docker_image, opened, sandboxes

ROOT = Path(__file__).parents[3]
NO = ("PermissionError", "FileNotFoundError", "OSError", "NotADirectoryError", "ProcessLookupError")


def refused(told):
    return told.startswith(NO)


@pytest.mark.parametrize(
    "path", ["/etc/shadow", "/root/.bashrc", f"{ROOT}/pyproject.toml", "/etc/ssh/sshd_config"]
)
@pytest.mark.parametrize("way", ["open({!r}).read()", "__import__('os').listdir({!r})"])
def test_files_of_the_host_are_not_read(kind, path, way):
    assert refused(attempt(kind, f"print({way.format(path)})"))


def test_names_and_sizes_of_the_hosts_files_are_not_told(kind, tmp_path):
    (tmp_path / "secret").write_text("x")
    paths = [str(tmp_path / "secret"), str(ROOT), "/root/.bashrc", "/var/lib/dpkg/lock"]
    for path in paths:
        assert Path(path).exists() or path.startswith(("/root", "/var"))
        assert refused(attempt(kind, f"import os; print(os.stat({path!r}))")), path


@pytest.mark.parametrize(
    "path",
    ["/file", "/etc/file", "/usr/file", "/usr/bin/file", "/bin/file", "/root/file", "/var/file",
     "/dev/file", "/run/file", "/proc/file", "/sys/file"],
)  # fmt: skip
def test_nothing_is_written_outside_the_workspace(kind, path):
    assert refused(attempt(kind, f"open({path!r}, 'w').write('x')"))


@pytest.mark.parametrize(
    "way",
    [
        "os.chmod('/usr/bin/env', 0o777)",
        "os.chown('/usr/bin/env', os.getuid(), os.getgid())",
        "os.rename('/usr/bin/env', '/usr/bin/other')",
        "os.unlink('/usr/bin/env')",
        "os.truncate('/usr/bin/env', 0)",
        "os.utime('/usr/bin/env')",
        "os.setxattr('/usr/bin/env', 'user.x', b'x')",
        "os.mkdir('/usr/folder')",
        "os.symlink('/etc/shadow', '/usr/link')",
        "os.mkfifo('/usr/fifo')",
        "os.link('/usr/bin/env', 'mine'); os.chmod('mine', 0o777)",
    ],
)
def test_nothing_of_the_programs_is_changed(kind, way):
    before = Path("/usr/bin/env").stat()
    assert refused(attempt(kind, f"import os; {way}"))
    after = Path("/usr/bin/env").stat()
    assert (before.st_mode, before.st_uid, before.st_size, before.st_mtime, before.st_nlink) == (
        after.st_mode, after.st_uid, after.st_size, after.st_mtime, after.st_nlink
    )  # fmt: skip


def test_links_lead_nowhere_else(kind):
    code = """
import os
os.symlink("/etc/shadow", "file")
os.symlink("/", "root")
os.symlink("/proc/1/root", "other")
for path in ["file", "root/etc/shadow", "other/etc/shadow", "../../../../../../etc/shadow"]:
    try:
        print("read", open(path).read(9))
    except OSError:
        pass
"""
    assert attempt(kind, code) == ""


def test_there_are_no_devices(kind):
    code = """
import os, stat
safe = {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "console"}
try:
    names = os.listdir("/dev")
except PermissionError:
    names = [name for name in ("mem", "kmem", "sda", "vda", "loop0", "kvm", "fuse", "port", "tty1")]
for name in names:
    try:
        if stat.S_ISLNK(os.lstat(f"/dev/{name}").st_mode) or name in safe: continue
        if os.path.isdir(f"/dev/{name}"): continue
        open(f"/dev/{name}", "rb").read(1)
        print("read", name)
    except OSError:
        pass
try:
    os.mknod("vda", 0o600 | stat.S_IFBLK, os.makedev(254, 0))
    open("vda", "rb").read(1)
    print("made a device")
except OSError:
    pass
"""
    assert attempt(kind, code) == ""


def test_settings_of_the_kernel_are_not_written_and_its_secrets_not_read(kind):
    code = """
import os
for path in ["/proc/sys/kernel/core_pattern", "/proc/sys/vm/overcommit_memory",
             "/proc/sysrq-trigger", "/sys/kernel/uevent_helper",
             "/sys/fs/cgroup/memory/release_agent", "/sys/fs/cgroup/cgroup.procs",
             "/sys/power/state", "/proc/sys/kernel/hostname", "/sys/fs/cgroup/memory/tasks"]:
    try:
        os.write(os.open(path, os.O_WRONLY), b"1")
        print("wrote", path)
    except OSError:
        pass
for path in ["/proc/kallsyms", "/proc/kcore", "/proc/keys", "/proc/modules", "/proc/timer_list",
             "/proc/sched_debug", "/proc/cmdline", "/proc/iomem", "/proc/slabinfo",
             "/sys/kernel/security/lsm", "/sys/firmware/dmi/tables/DMI", "/dev/kmsg",
             "/sys/class/dmi/id/product_uuid", "/sys/kernel/debug/x", "/proc/config.gz"]:
    try:
        told = open(path, "rb").read(4096)
    except OSError:
        continue
    if told and not (path == "/proc/iomem" and b"00000000-00000000" in told):
        print("read", path)
"""
    assert attempt(kind, code) == ""


def test_nobody_is_spared_more_than_others_when_memory_is_short(kind):
    """Docker's sandboxes are the first to go, and may become as the rest, but not safer than it."""
    code = "import os; os.write(os.open('/proc/self/oom_score_adj', os.O_WRONLY), b'-1')"
    assert refused(attempt(kind, code))


def test_the_environment_of_the_host_is_not_there(kind, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "in-the-environment")
    told = attempt(kind, "import os; print(sorted(os.environ))")
    assert set(eval(told)) <= {"HOME", "HOSTNAME", "LANG", "LC_CTYPE", "PATH", "TMPDIR"}


def test_neither_is_it_in_any_process(kind, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "in-the-environment")
    code = """
import glob
for path in glob.glob("/proc/*/environ") + glob.glob("/proc/*/cmdline") + ["/proc/1/environ"]:
    try:
        if b"in-the-environment" in open(path, "rb").read():
            print("found it in", path)
    except OSError:
        pass
"""
    assert attempt(kind, code) == ""


def test_processes_of_the_host_and_of_neighbours_are_neither_seen_nor_reached(kind):
    """Process ids are the sandbox's own: those of the host mean nothing, or somebody else."""
    victim = subprocess.Popen(["sleep", "60"])
    try:
        code = f"""
import os, signal
seen = [int(name) for name in os.listdir("/proc") if name.isdigit()]
print(len(seen) <= 3, {victim.pid} in seen)
for pid in {{ {victim.pid}, {os.getpid()} }} - set(seen):
    for number in (0, signal.SIGKILL):
        try:
            os.kill(pid, number)
            print("reached", pid)
        except OSError:
            pass
"""
        assert attempt(kind, code) == "True False\n"
        assert victim.poll() is None
    finally:
        victim.kill()
        victim.wait()


def test_signals_to_all_reach_only_the_sandbox(kind):
    async def main():
        async with sandboxes(kind, 2) as (one, other):
            await one.ask(
                "import os, signal\n"
                "for who in (-1, 1, os.getppid(), 0):\n"
                "    for number in (signal.SIGSTOP, signal.SIGINT, signal.SIGUSR1):\n"
                "        signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
                "        signal.signal(signal.SIGUSR1, signal.SIG_IGN)\n"
                "        if number != signal.SIGSTOP or who in (-1, 1):\n"
                "            try: os.kill(who, number)\n"
                "            except OSError: pass\n"
            )
            return await other.ask("print('well')")

    assert asyncio.run(main()) == "well\n"


def test_what_holds_the_walls_is_not_killed_from_inside(kind):
    """As pid 1, or beyond the walls, the parent of everything takes no signal from inside."""
    code = (
        "import os, signal\n"
        "for number in set(signal.Signals) - {signal.SIGCHLD}:\n"
        "    for who in {1, os.getppid()} - {0, os.getpid()}:\n"
        "        try: os.kill(who, number)\n"
        "        except OSError: pass\n"
        "print('well')"
    )

    async def main():
        async with sandboxes(kind) as (inside,):
            return await inside.ask(code), await inside.ask("print('still')")

    assert asyncio.run(main()) == ("well\n", "still\n")


def test_files_of_one_sandbox_are_not_in_another(kind):
    find = (
        "import os\n"
        "for root in ('/tmp', '/workspace', '/dev/shm', '/var/tmp', '/run', os.getcwd()):\n"
        "    for folder, _, names in os.walk(root):\n"
        "        print(*[n for n in names if n.startswith('mine-')], end='')"
    )

    async def main():
        async with sandboxes(kind, 2) as (one, other):
            await one.ask(
                "for folder in ('.', '/tmp', '/dev/shm', '/var/tmp'):\n"
                "    try: open(folder + '/mine-' + folder[1:].replace('/', '-'), 'w').write('x')\n"
                "    except OSError: pass"
            )
            return await one.ask(find), await other.ask(find)

    own, others = asyncio.run(main())
    assert "mine-" in own
    assert others == ""


def test_nothing_of_a_sandbox_is_left_for_the_next(kind):
    async def main():
        async with opened(kind) as isolation:
            one = await begin(isolation)
            await one.ask("open('left', 'w').write('x')")
            await one.runner.kill()
            other = await begin(isolation)
            return await other.ask("import os; print(os.listdir())")

    assert asyncio.run(main()) == "[]\n"


def test_no_descriptor_of_the_executor_is_open_inside(kind, tmp_path):
    with (tmp_path / "secret").open("w") as secret:
        os.set_inheritable(secret.fileno(), True)
        code = (
            "import os\n"
            "for number in range(3, 256):\n"
            "    try: os.fstat(number)\n"
            "    except OSError: continue\n"
            "    print(number, os.readlink(f'/proc/self/fd/{number}'))"
        )
        assert attempt(kind, code) == ""


def test_who_it_is_tells_nothing_and_is_not_root(kind):
    code = "import os; print(os.getuid(), os.geteuid(), os.getgid(), os.getgroups(), os.uname()[1])"
    uid, euid, gid, *groups, host = attempt(kind, code).split()
    assert uid == euid == gid != "0"
    assert "".join(groups) in {"[]", f"[{gid}]"}
    assert host == "sandbox"


def test_every_sandbox_of_sandlock_is_a_user_of_its_own_where_the_executor_is_root():
    async def main():
        async with sandboxes("sandlock", 2) as made:
            return [await inside.ask("import os; print(os.getuid())") for inside in made]

    one, other = asyncio.run(main())
    assert (one != other) is (os.getuid() == 0)


def test_folders_that_an_image_calls_volumes_are_not_writable():
    """Docker would lay folders of the host's disk over them, which have no limit."""
    image = docker_image()
    build = ["docker", "build", "-qt", f"{image}-volumes", "-"]
    subprocess.run(build, input=f"FROM {image}\nVOLUME /data", text=True, check=True)
    told = attempt("docker", "open('/data/x', 'w').write('x')", image=f"{image}-volumes")
    assert refused(told)
