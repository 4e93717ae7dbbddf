"""The executor out of settings."""

from __future__ import annotations

import pytest

from anthropic_bedrock_proxy.app.executor import executor_options, isolation_options, size_in_bytes
from anthropic_bedrock_proxy.config import load_settings
from anthropic_bedrock_proxy.sandbox.address import ExecutorAddress

ADDRESS = ExecutorAddress.from_url("unix:///run/sandboxd.sock")


@pytest.mark.parametrize(
    ("text", "size"),
    [("256m", 256 * 1024**2), ("1G", 1024**3), ("64k", 65536), ("7", 7), ("9b", 9)],
)
def test_sizes_are_in_the_units_of_docker(text, size):
    assert size_in_bytes(text) == size


def test_settings_arrive_where_they_count():
    environ = {
        "PTC_EXECUTION_TIMEOUT": "5",
        "PTC_SESSION_TIMEOUT": "6",
        "STANDALONE_BASH_TIMEOUT": "7",
        "STANDALONE_MAX_FILE_SIZE": "8",
        "SANDBOX_TOKEN": "t",
        "SANDBOX_WARM": "9",
        "SANDBOX_MAX_CONTAINERS": "10",
        "SANDBOX_MAX_CONTAINERS_PER_KEY": "11",
        "SANDBOX_IDLE_SECONDS": "12",
        "SANDBOX_FILE_SECONDS": "13",
    }
    made = executor_options(load_settings(environ=environ, env_file=None).sandbox, ADDRESS)
    assert (made.seconds.python, made.seconds.call, made.seconds.bash) == (5, 6, 7)
    assert (made.runners.max_file, made.spool.file_bytes, made.spool.seconds) == (8, 8, 13)
    assert (made.token, made.warm) == ("t", 9)
    assert made.containers.total == 10
    assert (made.containers.per_owner, made.containers.idle_seconds) == (11, 12)


def test_the_walls_are_those_of_the_settings():
    environ = {
        "PTC_SANDBOX_IMAGE": "mine:1",
        "PTC_MEMORY_LIMIT": "1g",
        "PTC_PIDS_LIMIT": "32",
        "SANDBOX_CPUS": "0.5",
        "SANDBOX_DISK_LIMIT": "2m",
        "SANDBOX_ISOLATION": "sandlock",
        "SANDBOX_RUNTIME": "runsc",
        "SANDBOX_ALLOW_DEGRADED": "true",
        "STANDALONE_WORKSPACE_DIR": "/work",
    }
    made = isolation_options(load_settings(environ=environ, env_file=None).sandbox, "name")
    assert (made.kind, made.name, made.image, made.runtime) == (
        *("sandlock", "name", "mine:1", "runsc"),
    )
    assert (made.limits.memory_bytes, made.limits.disk_bytes) == (1 << 30, 2 << 20)
    assert (made.limits.cpus, made.limits.pids) == (0.5, 32)
    assert (made.workspace, made.allow_degraded) == ("/work", True)
