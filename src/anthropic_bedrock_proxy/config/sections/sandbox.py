"""Code that the model writes, run in a sandbox."""

# Without `from __future__ import annotations`: the annotations are read as objects, not as text.
from typing import Annotated, Literal

from .. import rules
from ..schema import Section, Setting


class SandboxSettings(Section, frozen=True):
    """Code that the model writes, run in a sandbox."""

    enable_programmatic_tool_calling: Annotated[
        bool,
        Setting(
            "ENABLE_PROGRAMMATIC_TOOL_CALLING",
            "Let model-written code call the client's tools from a sandbox.",
        ),
    ] = True
    ptc_sandbox_image: Annotated[
        str,
        Setting("PTC_SANDBOX_IMAGE", "The container image of sandboxes."),
    ] = "python:3.11-slim"
    ptc_session_timeout_seconds: Annotated[
        float,
        Setting(
            "PTC_SESSION_TIMEOUT",
            "How long code waits for the result of a tool of the client's.",
            minimum=1,
        ),
    ] = 270.0
    ptc_execution_timeout_seconds: Annotated[
        float,
        Setting(
            "PTC_EXECUTION_TIMEOUT",
            "How long Python code may run, not counting what it waits for tools.",
            minimum=1,
            maximum=600,
        ),
    ] = 60.0
    ptc_memory_limit: Annotated[
        str,
        Setting("PTC_MEMORY_LIMIT", "Memory of a sandbox.", rule=rules.MEMORY),
    ] = "256m"
    ptc_pids_limit: Annotated[
        int,
        Setting("PTC_PIDS_LIMIT", "Processes and threads of a sandbox.", minimum=16, maximum=4096),
    ] = 64
    ptc_network_disabled: Annotated[
        bool,
        Setting(
            "PTC_NETWORK_DISABLED",
            "Sandboxes have no network; false has no effect but a warning.",
        ),
    ] = True
    ptc_read_only_fs: Annotated[
        bool,
        Setting(
            "PTC_READ_ONLY_FS",
            "Nothing but the workspace can be written to; false has no effect but a warning.",
        ),
    ] = True
    enable_standalone_code_execution: Annotated[
        bool,
        Setting(
            "ENABLE_STANDALONE_CODE_EXECUTION",
            "Serve the code execution tool (bash and files in a sandbox).",
        ),
    ] = True
    standalone_bash_timeout_seconds: Annotated[
        float,
        Setting(
            "STANDALONE_BASH_TIMEOUT",
            "How long a bash command may run.",
            minimum=1,
            maximum=600,
        ),
    ] = 30.0
    standalone_max_iterations: Annotated[
        int,
        Setting(
            "STANDALONE_MAX_ITERATIONS",
            "Model calls of one turn with server-side tools, until it pauses; once 25.",
            minimum=1,
            maximum=100,
        ),
    ] = 10
    standalone_max_file_size_bytes: Annotated[
        int,
        Setting(
            "STANDALONE_MAX_FILE_SIZE",
            "Largest file that goes into a sandbox or out of it.",
            minimum=1,
            maximum=1024 * 1024 * 1024,
        ),
    ] = 10 * 1024 * 1024
    standalone_workspace_dir: Annotated[
        str,
        Setting(
            "STANDALONE_WORKSPACE_DIR",
            "Folder in which code works, where the isolation lets it be chosen.",
            rule=rules.FOLDER,
        ),
    ] = "/workspace"
    url: Annotated[
        str | None,
        Setting(
            "SANDBOX_URL",
            "Executors (`sandboxd`) that run sandboxes; unset: `serve` starts one when needed.",
            rule=rules.EXECUTORS,
        ),
    ] = None
    token: Annotated[
        str | None,
        Setting(
            "SANDBOX_TOKEN",
            "What proxies show to executors; an executor on TCP does not start without.",
            rule=rules.TOKEN,
            secret=True,
        ),
    ] = None
    isolation: Annotated[
        Literal["auto", "docker", "sandlock"],
        Setting("SANDBOX_ISOLATION", "The walls of sandboxes; auto: Docker if it answers."),
    ] = "auto"
    runtime: Annotated[
        str | None,
        Setting("SANDBOX_RUNTIME", "Runtime of Docker for sandboxes, such as runsc (gVisor)."),
    ] = None
    allow_degraded: Annotated[
        bool,
        Setting(
            "SANDBOX_ALLOW_DEGRADED",
            "Use an isolation although the kernel does not grant all of its walls.",
        ),
    ] = False
    disk_limit: Annotated[
        str,
        Setting("SANDBOX_DISK_LIMIT", "Disk of a sandbox.", rule=rules.MEMORY),
    ] = "64m"
    cpus: Annotated[
        float,
        Setting("SANDBOX_CPUS", "CPUs of a sandbox.", minimum=0.1, maximum=64),
    ] = 1.0
    warm: Annotated[
        int,
        Setting("SANDBOX_WARM", "Sandboxes that are started in advance.", minimum=0, maximum=100),
    ] = 2
    max_containers: Annotated[
        int,
        Setting("SANDBOX_MAX_CONTAINERS", "Containers of an executor.", minimum=1, maximum=10000),
    ] = 100
    max_containers_per_key: Annotated[
        int,
        Setting(
            "SANDBOX_MAX_CONTAINERS_PER_KEY", "Containers of an API key at an executor.", minimum=1
        ),
    ] = 20
    idle_seconds: Annotated[
        float,
        Setting("SANDBOX_IDLE_SECONDS", "How long a container lives that nobody uses.", minimum=1),
    ] = 300.0
    name: Annotated[
        str | None,
        Setting(
            "SANDBOX_NAME",
            "Name of the executor, in the labels of its containers; unset: of host and address.",
            rule=rules.LABEL,
        ),
    ] = None
    file_seconds: Annotated[
        float,
        Setting("SANDBOX_FILE_SECONDS", "How long executors keep files.", minimum=1),
    ] = 86400.0


def never_honoured(sandbox: SandboxSettings) -> list[str]:
    """Lists warnings about walls that were to be taken down, and stand."""
    given = {
        "PTC_NETWORK_DISABLED": sandbox.ptc_network_disabled,
        "PTC_READ_ONLY_FS": sandbox.ptc_read_only_fs,
    }
    return [
        f"{name}=false is not honoured: sandboxes have no network, and a root that is read-only"
        for name, value in given.items()
        if not value
    ]
