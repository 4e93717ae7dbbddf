"""A program of its own: builds the walls around one runner, and waits for its end.

    executor -- pipes --> launcher, outer: waits          dies with the executor
                            launcher, inner: pid 1 of new namespaces, another user
                              sandlock: Landlock and seccomp
                                runner                    has the pipes of the outer one

The outer one makes new namespaces of processes, mounts, network, IPC and host names, and forks,
because only a child is in the new one of processes. The inner one lays an empty file system in
memory over every top folder of the host that Python does not need; that over /tmp has the size of
the disk limit and holds the workspace. Then it becomes a user of its own, whom no other process of
the host belongs to, and has sandlock start the runner. When it dies, the kernel kills all
processes of its namespace: whatever they did, nothing outlives it, and no file is left.

Where the kernel or a container around the executor grants no namespaces, `bare` leaves them out:
then only Landlock and seccomp stand, and the workspace is a folder of the host.

It runs with nothing but the standard library and sandlock, is given its plan as a JSON argument,
and says on stderr why the runner ended: one JSON object, which only it can write.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

_NEW_USER, _NEW_PID, _NEW_NET = 0x10000000, 0x20000000, 0x40000000
_NEW_MOUNTS, _NEW_IPC, _NEW_UTS = 0x00020000, 0x08000000, 0x04000000
_NAMESPACES = _NEW_PID | _NEW_NET | _NEW_MOUNTS | _NEW_IPC | _NEW_UTS
_READ_ONLY, _NO_SETUID, _NO_DEVICES, _NO_EXEC = 1, 2, 4, 8
_RECURSIVE, _PRIVATE = 0x4000, 0x40000
_DEATH_SIGNAL, _DUMPABLE, _SUBREAPER = 1, 4, 36

# What stays of the host: programs and libraries. /etc is read by nobody but for single files.
_KEPT = {"usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc", "dev", "proc", "sys"}
_TMP = "/tmp"  # noqa: S108  # an empty one of the sandbox's own lies over it
_READABLE = (
    "/usr",
    "/bin",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/alternatives",
    "/etc/localtime",
    "/etc/mime.types",
)
_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
_BYTES_PER_FILE, _LEAST_FILES = 4096, 1024
_OPEN_FILES = 512
_NICENESS = 10  # the proxy and the executor go first
_STACK_BYTES = 2 * 1024 * 1024  # of each thread too: the memory limit counts what is reserved
_WATCH_SECONDS, _DISK_ROUNDS = 0.1, 10
_OWN_THREADS = 16  # of the supervisor, which belong to the same user

# Beside what sandlock denies anyway. memfd_create: its memory would be nobody's.
_DENIED = """
acct add_key adjtimex bpf chroot clock_adjtime clock_settime delete_module fanotify_init
finit_module fsconfig fsmount fsopen fspick init_module inotify_init inotify_init1
io_uring_enter io_uring_register io_uring_setup kcmp kexec_load keyctl lookup_dcookie mbind
memfd_create memfd_secret migrate_pages mount mount_setattr move_mount move_pages mq_open msgget
name_to_handle_at nfsservctl open_by_handle_at open_tree perf_event_open personality pidfd_getfd
pivot_root process_madvise process_vm_readv process_vm_writev ptrace quotactl reboot request_key
sched_setaffinity semget set_mempolicy setns settimeofday shmget swapoff swapon syslog umount2
unshare userfaultfd vhangup
"""

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> NoReturn:
    """Builds the walls, runs the runner, and ends with a report."""
    plan = json.loads(sys.argv[1])
    os.environ.setdefault("HOME", "/")  # sandlock asks for one, and users of pods may have none
    _or_say_why(lambda: _bare(plan) if plan["bare"] else _outer(plan))


def _bare(plan: dict[str, Any]) -> NoReturn:
    # Orphans of the runner become children of ours, so that they can be found and killed.
    _check(_libc.prctl(_SUBREAPER, 1, 0, 0, 0), "subreaper")
    signal.signal(signal.SIGTERM, lambda *_: _end({}))
    _die_with_parent(signal.SIGTERM)
    _end(_run(plan))


def _outer(plan: dict[str, Any]) -> NoReturn:
    import_module("sandlock")  # now, because its files may be hidden later
    _new_namespaces()
    inner = os.fork()
    if inner == 0:
        _or_say_why(lambda: _inner(plan))
    for descriptor in (0, 1):  # its ends are the runner's alone: so the end of it can be read
        os.close(descriptor)
    signal.signal(signal.SIGTERM, lambda *_: _kill(inner))
    _die_with_parent(signal.SIGTERM)
    os.waitpid(inner, 0)  # which ends when all processes of its namespace have
    os._exit(0)


def _inner(plan: dict[str, Any]) -> NoReturn:
    _die_with_parent(signal.SIGKILL)
    _hide_host(plan)
    _end(_run(plan))


def _or_say_why(run: Callable[[], NoReturn]) -> NoReturn:
    try:
        run()
    except BaseException as error:  # noqa: BLE001  # a fork must not return; the executor must know
        _report({"failed": f"{type(error).__name__}: {error}"})
        os._exit(1)


def _new_namespaces() -> None:
    uid, gid = os.getuid(), os.getgid()
    if uid == 0:
        _check(_libc.unshare(_NAMESPACES), "namespaces")
        return
    # Who is not root becomes the one user of a namespace of users, and may do the rest there.
    _check(_libc.unshare(_NAMESPACES | _NEW_USER), "namespaces")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")


def _hide_host(plan: dict[str, Any]) -> None:
    _mount("none", "/", "", _RECURSIVE | _PRIVATE, "")
    _mount("proc", "/proc", "proc", _NO_SETUID | _NO_DEVICES | _NO_EXEC, "hidepid=2,subset=pid")
    for folder in sorted(Path("/").iterdir()):
        if folder.is_dir() and not folder.is_symlink() and folder.name not in _KEPT | {_TMP[1:]}:
            _mount("tmpfs", str(folder), "tmpfs", _READ_ONLY | _NO_SETUID, "size=4k,mode=555")
    disk = plan["disk_bytes"]
    files = max(_LEAST_FILES, disk // _BYTES_PER_FILE)
    options = f"size={disk},nr_inodes={files},mode=755"
    _mount("tmpfs", _TMP, "tmpfs", _NO_SETUID | _NO_DEVICES, options)
    workspace = Path(plan["workspace"])
    workspace.mkdir(mode=0o700)
    if os.getuid() == 0:  # else it belongs to that user already, of whatever group
        os.chown(workspace, plan["uid"], plan["uid"])


def _run(plan: dict[str, Any]) -> dict[str, Any]:
    """Runs the runner to its end; returns the report."""
    sandlock = import_module("sandlock")  # an extra
    null = import_module("sandlock.sandbox").StdioMode.NULL

    os.sched_setaffinity(0, plan["cores"])
    os.nice(_NICENESS)
    _become(plan)
    _limit(plan)
    workspace = plan["workspace"]
    readable = [*_READABLE, *_DEVICES, *plan["readable"]]
    if not plan["bare"]:
        readable.append("/proc")  # which shows the sandbox's own processes, and nothing else
    sandbox = sandlock.Sandbox(
        name="sandbox",
        fs_readable=[path for path in readable if _there(path)],
        fs_writable=[workspace, "/dev/null"],
        extra_deny_syscalls=_DENIED.split(),
        clean_env=True,
        env={"HOME": workspace, "TMPDIR": workspace, "LANG": "C.UTF-8", "PATH": plan["path"]},
        cwd=workspace,
        max_memory=plan["memory_bytes"],
        max_processes=plan["pids"],
        max_open_files=_OPEN_FILES,
        max_cpu=plan["percent"],
        allow_degraded=list(sandlock.Protection) if plan["allow_degraded"] else [],
    )
    process = sandbox.popen(plan["command"], stderr=null)
    for descriptor in (0, 1):  # as in `_outer`
        os.close(descriptor)
    return _watch(process, plan)


def _watch(process: Any, plan: dict[str, Any]) -> dict[str, Any]:
    """Waits for the end of the runner, and makes it when it takes too much; returns the report.

    Sandlock counts memory where it is asked for. A fork asks for none and gets a copy of all, page
    by page as it writes: this is counted here.
    """
    ended = threading.Event()
    results: list[Any] = []

    def wait() -> None:
        results.append(process.wait())
        ended.set()

    # Not in the main thread, where no signal would be seen until it returns.
    threading.Thread(target=wait, daemon=True).start()
    rounds = 0
    most = plan["memory_bytes"]
    while not ended.wait(_WATCH_SECONDS):
        rounds += 1
        processes = _descendants() if plan["bare"] else _others()
        if len(processes) > 1 and _resident(processes) > most and _proportional(processes) > most:
            return {"over": "memory"}
        if plan["bare"] and rounds % _DISK_ROUNDS == 0 and _used(plan) > plan["disk_bytes"]:
            return {"over": "disk"}
    (result,) = results
    return {"reason": int(result.reason), "code": result.exit_code}


def _others() -> list[str]:
    """Returns the processes of a namespace of ours."""
    own = str(os.getpid())
    return [name for name in os.listdir("/proc") if name.isdigit() and name != own]  # noqa: PTH208


def _descendants() -> list[str]:
    found, to_do = [], _children("self")
    while to_do:
        pid = to_do.pop()
        found.append(pid)
        to_do += _children(pid)
    return found


def _children(pid: str) -> list[str]:
    found: list[str] = []
    with suppress(OSError):  # it has ended meanwhile
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += (thread / "children").read_text().split()
    return found


def _resident(processes: list[str]) -> int:
    """Returns what processes have in memory, with what they share counted for each: cheap."""
    pages = 0
    for pid in processes:
        with suppress(OSError):
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def _proportional(processes: list[str]) -> int:
    """Returns the same, with each page counted once."""
    total = 0
    for pid in processes:
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total


def _used(plan: dict[str, Any]) -> int:
    """Returns the bytes in the workspace; too many files count as too many bytes."""
    used = files = 0
    most: int = plan["disk_bytes"]
    most_files = max(_LEAST_FILES, most // _BYTES_PER_FILE)
    for folder, _, names in os.walk(plan["workspace"]):
        files += len(names) + 1
        if files > most_files:
            return most + 1
        for name in names:
            with suppress(OSError):
                used += os.lstat(os.path.join(folder, name)).st_blocks * 512  # noqa: PTH118  # fast
    return used


def _become(plan: dict[str, Any]) -> None:
    uid = plan["uid"]
    if os.getuid() == 0:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        # Sandlock looks into its child, which a change of user forbids otherwise; other sandboxes
        # have other users, and Landlock keeps the runner from it.
        _check(_libc.prctl(_DUMPABLE, 1, 0, 0, 0), "dumpable")
        # A change of user has undone this too.
        _die_with_parent(signal.SIGTERM if plan["bare"] else signal.SIGKILL)


def _limit(plan: dict[str, Any]) -> None:
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_STACK: _STACK_BYTES,
        resource.RLIMIT_FSIZE: plan["disk_bytes"],
        resource.RLIMIT_MEMLOCK: 64 * 1024,
        resource.RLIMIT_MSGQUEUE: 0,
    }
    if not plan["bare"]:  # else it would count all processes of the executor's user
        limits[resource.RLIMIT_NPROC] = plan["pids"] + _OWN_THREADS
    for kind, most in limits.items():
        resource.setrlimit(kind, (most, most))


def _end(report: dict[str, Any]) -> NoReturn:
    """Kills all descendants, until there are none, and says the report."""
    _report(report)
    while True:
        for pid in _children("self"):
            _kill(int(pid))
        try:
            os.waitpid(-1, 0)  # children of the dead become ours
        except ChildProcessError:
            os._exit(0)


def _kill(process: int) -> None:
    with suppress(ProcessLookupError):  # it has ended meanwhile
        os.kill(process, signal.SIGKILL)


def _die_with_parent(number: signal.Signals) -> None:
    _check(_libc.prctl(_DEATH_SIGNAL, int(number), 0, 0, 0), "death signal")


def _mount(source: str, target: str, kind: str, flags: int, options: str) -> None:
    words = (word.encode() for word in (source, target, kind))
    _check(_libc.mount(*words, flags, options.encode()), f"mount of {target}")


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _there(path: str) -> bool:
    return os.access(path, os.R_OK)


def _report(report: dict[str, Any]) -> None:
    os.write(2, json.dumps(report).encode() + b"\n")


if __name__ == "__main__":
    main()
