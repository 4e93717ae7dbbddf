"""The container of a runner as Docker's API describes it: every wall in one place. Pure.

    network      none: the only interface is its own loopback, and sockets are of AF_UNIX only
    files        the image read-only; a workspace, /tmp and /dev/shm in memory, each of a fixed size
    rights       user 65532, no capability, no way to new ones, our own list of system calls
    amounts      memory without swap, CPUs, processes, open files, size of a file, no core dumps
    traces       no log, no environment of the host, no device, a host name that tells nothing

What lies in the workspace counts as memory too, because it lies there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Any, Final

from ..base import RunnerLimits

LABEL: Final = "anthropic-bedrock-proxy.sandbox"  # "1": ours
LABEL_EXECUTOR: Final = "anthropic-bedrock-proxy.sandbox.executor"  # the name of its executor
LABEL_BOOT: Final = "anthropic-bedrock-proxy.sandbox.boot"  # a run of that executor
USER: Final = "65532:65532"

_TMP_BYTES: Final = 16 * 1024 * 1024
_SHARED_MEMORY_BYTES: Final = 8 * 1024 * 1024
_BYTES_PER_FILE: Final = 4096  # a full workspace of files of one page each is as much as it gets
_LEAST_FILES: Final = 1024
_OPEN_FILES: Final = 1024
# The kernel ends a sandbox before anything else when the whole machine runs out of memory.
_OOM_SCORE: Final = 900

# What the host's /proc and /sys would tell about it, or let a kernel bug be reached by. Docker's
# own list is replaced by this one, so it stands here too.
_MASKED: Final = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/cmdline",
    "/proc/config.gz",
    "/proc/interrupts",
    "/proc/kallsyms",
    "/proc/kcore",
    "/proc/keys",
    "/proc/key-users",
    "/proc/latency_stats",
    "/proc/modules",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/slabinfo",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/block",
    "/sys/bus",
    "/sys/class",
    "/sys/devices/virtual",
    "/sys/firmware",
    "/sys/fs",
    "/sys/kernel",
    "/sys/module",
]
_READ_ONLY: Final = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
]


def seccomp_profile() -> str:
    """Returns our list of system calls, as JSON in Docker's form."""
    text = files(__package__).joinpath("seccomp.json").read_text()
    return json.dumps(json.loads(text), separators=(",", ":"))


def container_config(
    *,
    image: str,
    command: Sequence[str],
    limits: RunnerLimits,
    workspace: str,
    name: str,
    boot: str,
    runtime: str | None,
    volumes: Iterable[str],
) -> dict[str, Any]:
    """Returns the body that makes a container.

    `volumes` are the places that the image declares as such: Docker would lay writable folders of
    the host's disk over them, which no limit holds for.
    """
    return {
        "Image": image,
        "Entrypoint": list(command),
        "Cmd": [],
        "User": USER,
        "WorkingDir": workspace,
        "Env": [
            f"HOME={workspace}",
            "LANG=C.UTF-8",
            "TMPDIR=/tmp",  # the container's own
        ],
        "Hostname": "sandbox",
        "Healthcheck": {"Test": ["NONE"]},
        "StopSignal": "SIGKILL",  # a daemon that ends is not held up by what it stops
        "Labels": {LABEL: "1", LABEL_EXECUTOR: name, LABEL_BOOT: boot},
        # One client, and the end of its connection is the end of the runner's input.
        "OpenStdin": True,
        "StdinOnce": True,
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": False,
        "Tty": False,
        "NetworkDisabled": True,
        "HostConfig": _host_config(limits, workspace, runtime, volumes),
    }


def _host_config(
    limits: RunnerLimits, workspace: str, runtime: str | None, volumes: Iterable[str]
) -> dict[str, Any]:
    owner = "uid={},gid={}".format(*USER.split(":"))
    inodes = max(_LEAST_FILES, limits.disk_bytes // _BYTES_PER_FILE)
    tmpfs = dict.fromkeys(volumes, "ro,nosuid,nodev,noexec,size=4k")
    tmpfs |= {
        workspace: f"rw,nosuid,nodev,exec,size={limits.disk_bytes},nr_inodes={inodes},"
        f"mode=0700,{owner}",
        "/tmp": f"rw,nosuid,nodev,noexec,size={_TMP_BYTES},nr_inodes=4096,"  # noqa: S108  # as above
        f"mode=1777,{owner}",
    }
    return {
        "NetworkMode": "none",
        "ReadonlyRootfs": True,
        "Tmpfs": tmpfs,
        "ShmSize": _SHARED_MEMORY_BYTES,
        "IpcMode": "private",
        "CgroupnsMode": "private",
        "Privileged": False,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges", f"seccomp={seccomp_profile()}"],
        "MaskedPaths": _MASKED,
        "ReadonlyPaths": _READ_ONLY,
        "Memory": limits.memory_bytes,
        "MemorySwap": limits.memory_bytes,  # both together: so no swap
        "NanoCpus": int(limits.cpus * 1e9),
        "PidsLimit": limits.pids,
        "OomScoreAdj": _OOM_SCORE,
        "Ulimits": [
            {"Name": name, "Soft": most, "Hard": most}
            for name, most in (
                ("nofile", _OPEN_FILES),
                ("core", 0),
                ("fsize", limits.disk_bytes),
                ("memlock", 64 * 1024),
                ("msgqueue", 0),
            )
        ],
        "LogConfig": {"Type": "none"},
        "RestartPolicy": {"Name": "no"},
        # Removed by us, not by the daemon: why it has ended can be asked until then.
        "AutoRemove": False,
        **({"Runtime": runtime} if runtime else {}),
    }
