"""Processes of a sandbox: how they are started, protected from each other, and ended.

Children are forked, not spawned: a new interpreter would cost what the supervisor has paid already.
Each is the leader of a session of its own, so what it has started can be told from the rest even
when it is gone; what has made itself a session too is told by its parents. What has done both, and
has lost its parent, is known to be of the sandbox only, and ends with it or at a `restart` of bash.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress

ROUNDS = 20  # of killing: each finds what the ones killed before had started meanwhile
_MOST_DESCRIPTORS = 4096  # far above any that a supervisor has
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_BROKEN = 70  # the exit code of a child that could not even begin
_NOT_FOR_US = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGALRM")


def environment(workspace: str) -> dict[str, str]:
    """Returns the environment of children: made from nothing but the PATH."""
    temporary = "/tmp"  # noqa: S108 - the sandbox has one of its own
    if not os.access(temporary, os.W_OK):
        temporary = os.path.join(workspace, "tmp")  # noqa: PTH118 - pathlib is slow to import
        with suppress(OSError):  # programs find out by themselves
            os.makedirs(temporary, exist_ok=True)  # noqa: PTH103 - same
    return {
        "HOME": workspace,
        "LANG": "C.UTF-8",
        "PATH": os.environ.get("PATH", os.defpath),
        "PWD": workspace,
        "TMPDIR": temporary,
    }


def spawn(work: Callable[[], None], outputs: tuple[int, int], keep: int = -1) -> int:
    """Forks a child that does `work` with these two as stdout and stderr; returns its id.

    It has no input, and no descriptors of ours besides those and `keep`.
    """
    child = os.fork()
    if child:
        return child
    try:
        signal.set_wakeup_fd(-1)
        for name in (*_NOT_FOR_US, "SIGCHLD"):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(outputs[0], 1)
        os.dup2(outputs[1], 2)
        _close_all_but({0, 1, 2, keep} - {-1})
        set_dumpable(True)  # or it could not even look at its own /proc/self/fd
        work()
        os._exit(0)
    finally:
        os._exit(_BROKEN)


def ignore_signals() -> None:
    """Makes signals from inside nothing to this process.

    By handlers: what is really ignored stays so in programs that children become.
    """
    for name in _NOT_FOR_US:
        signal.signal(getattr(signal, name), lambda *_: None)


def set_dumpable(allowed: bool) -> bool:
    """Lets processes of the same user read this one's memory, or not; tells if that worked."""
    return _prctl(_PR_SET_DUMPABLE, int(allowed))


def adopt_orphans() -> bool:
    """Makes this process the parent of what its descendants leave; tells if that worked."""
    return os.getpid() == 1 or _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def is_readable() -> bool:
    """Tells whether another process of the same user can read this one's memory: tries it."""
    nothing = os.open(os.devnull, os.O_RDWR)
    memory = f"/proc/{os.getpid()}/mem"

    def look() -> None:
        os.close(os.open(memory, os.O_RDONLY))

    child = spawn(look, (nothing, nothing))
    os.close(nothing)
    return os.waitpid(child, 0)[1] == 0


def kill_started_by(child: int) -> None:
    """Kills a child, which may be gone, and what it has started."""
    _kill_rounds(lambda known: {one for one in known if _is_of(one, child, known)}, child)
    # The last resort where there is no /proc. The id is not another's: sessions keep theirs.
    _kill(os.killpg, child)


def kill_others_than(child: int | None) -> None:
    """Kills all descendants of this process but a child and what it has started."""
    here = os.getpid()
    _kill_rounds(
        lambda known: {
            one
            for one in known
            if here in _line(one, known)[1:] and not (child and _is_of(one, child, known))
        }
    )
    if child is None and here == 1:
        _kill(os.kill, -1)  # the whole sandbox but us


def return_code(status: int) -> int:
    """Returns the code of a wait status as a shell tells it: 128 + the signal."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _kill_rounds(
    choose: Callable[[dict[int, tuple[int, int]]], set[int]], first: int | None = None
) -> None:
    """Kills what is chosen, until nothing new is; `first` before its children: it would tell."""
    killed: set[int] = set()
    for _ in range(ROUNDS):
        chosen = choose(_processes()) - killed
        if not chosen:
            return
        for one in sorted(chosen, key=lambda one: one != first):
            _kill(os.kill, one)
        killed |= chosen


def _kill(kill: Callable[[int, int], None], target: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # it is gone already
        kill(target, signal.SIGKILL)


def _is_of(one: int, child: int, known: dict[int, tuple[int, int]]) -> bool:
    return known[one][1] == child or child in _line(one, known)


def _line(one: int, known: dict[int, tuple[int, int]]) -> list[int]:
    """Returns a process and those that it descends from."""
    line: list[int] = []
    while one in known and one not in line:
        line.append(one)
        one = known[one][0]
    return line


def _processes() -> dict[int, tuple[int, int]]:
    """Returns the parent and session of each process that is no zombie; none without a /proc."""
    known = {}
    try:
        names = [name for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - slow
    except OSError:
        return {}
    for name in names:
        try:
            with open(f"/proc/{name}/stat", "rb") as stat:  # noqa: PTH123 - pathlib is slow
                fields = stat.read().rpartition(b")")[2].split()
        except OSError:
            continue  # it has just ended
        if fields[0] not in {b"Z", b"X"}:
            known[int(name)] = (int(fields[1]), int(fields[3]))
    return known


def _close_all_but(keep: set[int]) -> None:
    begin = 0
    for kept in sorted(keep):
        if begin < kept:  # an empty range closes everything
            os.closerange(begin, kept)
        begin = kept + 1
    os.closerange(begin, _MOST_DESCRIPTORS)


def _prctl(option: int, value: int) -> bool:
    try:
        import ctypes  # noqa: PLC0415 - an image may have none

        return bool(ctypes.CDLL(None).prctl(option, value, 0, 0, 0) == 0)
    except (ImportError, OSError, AttributeError):
        return False
