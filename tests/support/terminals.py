"""Commands on a terminal, as a person has it before him."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

_SECONDS = 60


def on_terminal(
    command: list[str], folder: Path, environment: dict[str, str], answer: str | None = None
) -> tuple[int, str, str]:
    """The exit code, what the terminal shows, and stderr, which goes elsewhere.

    `answer` is typed in at once.
    """
    ours, theirs = os.openpty()
    with (folder / "err.txt").open("w") as err:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=err
        )
    os.close(theirs)
    if answer is not None:
        os.write(ours, f"{answer}\n".encode())
    printed = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        printed += part
    os.close(ours)
    code = process.wait(_SECONDS)
    return code, printed.decode().replace("\r", ""), (folder / "err.txt").read_text()
