"""The walls of a container, as the daemon is asked for them."""

from __future__ import annotations

import json

import pytest

from anthropic_bedrock_proxy.sandbox.isolation.base import RunnerLimits
from anthropic_bedrock_proxy.sandbox.isolation.docker.config import (
    container_config,
    seccomp_profile,
)


def config(**others):
    options = {
        "image": "image",
        "command": ["python3"],
        "limits": RunnerLimits(memory_bytes=1000, disk_bytes=8192, cpus=0.5, pids=7),
        "workspace": "/workspace",
        "name": "name",
        "boot": "boot",
        "runtime": None,
        "volumes": (),
    }
    return container_config(**options | others)


def test_limits_are_the_daemons():
    host = config()["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["NanoCpus"]) == (1000, 1000, 500_000_000)
    assert host["PidsLimit"] == 7
    assert "size=8192,nr_inodes=1024," in host["Tmpfs"]["/workspace"]


def test_nothing_that_an_image_says_about_itself_is_run():
    made = config()
    assert (made["Entrypoint"], made["Cmd"]) == (["python3"], [])
    assert made["Healthcheck"] == {"Test": ["NONE"]}


def test_volumes_of_an_image_are_laid_over():
    assert config(volumes={"/data": {}})["HostConfig"]["Tmpfs"]["/data"].startswith("ro,")


def test_a_runtime_is_asked_for_only_if_there_is_one():
    assert "Runtime" not in config()["HostConfig"]
    assert config(runtime="runsc")["HostConfig"]["Runtime"] == "runsc"


@pytest.mark.parametrize(
    "call",
    ["bpf", "io_uring_setup", "keyctl", "mount", "ptrace", "setns", "unshare", "userfaultfd",
     "process_vm_readv", "perf_event_open", "memfd_secret", "pidfd_getfd", "shmget", "mq_open"],
)  # fmt: skip
def test_the_profile_allows_only_what_it_names(call):
    profile = json.loads(seccomp_profile())
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    assert all(call not in rule["names"] for rule in profile["syscalls"])


def test_no_call_with_conditions_is_allowed_without():
    rules = json.loads(seccomp_profile())["syscalls"]
    free = {name for rule in rules if "args" not in rule for name in rule["names"]}
    bound = {name for rule in rules if "args" in rule for name in rule["names"]}
    assert bound == {"socket", "socketpair", "clone", "personality", "ioctl"}
    assert not free & bound
