"""Bash commands: each in a shell of its own, as Anthropic's are; a `cd` ends with its command."""

from __future__ import annotations

import os
import signal

from .outputs import OutputPipes
from .processes import spawn

_SHELLS = ("/bin/bash", "/usr/bin/bash", "/bin/sh")


def start(command: str, pipes: OutputPipes, environment: dict[str, str]) -> int:
    """Starts a command in the workspace; returns the id of its process, which leads a session."""
    shell = next((path for path in _SHELLS if os.access(path, os.X_OK)), _SHELLS[-1])

    def become() -> None:
        os.chdir(environment["HOME"])
        for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # by Python; programs expect to die of it
            signal.signal(ignored, signal.SIG_DFL)
        os.execve(shell, [os.path.basename(shell), "-c", command], environment)  # noqa: PTH119, S606 - pathlib is slow; what a sandbox is for

    return spawn(become, pipes.write_ends)
