"""A session of Claude Code in a terminal: typed into, and its screen read as a person would."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import pyte

ROWS, COLUMNS = 60, 160


class ClaudeSession:
    """Runs a command in a terminal of its own; leaving the block ends it."""

    def __init__(self, command: Sequence[str], work: Path, environment: dict[str, str]) -> None:
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self._screen)
        self._terminal, far_end = pty.openpty()
        fcntl.ioctl(far_end, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self._process = subprocess.Popen(
            command,
            cwd=work,
            env=environment | {"TERM": "xterm-256color"},
            stdin=far_end,
            stdout=far_end,
            stderr=far_end,
            start_new_session=True,
        )
        os.close(far_end)

    def shown(self) -> str:
        """The screen as it is now."""
        return "\n".join(line.rstrip() for line in self._screen.display if line.strip())

    def wait(self, *texts: str, seconds: float = 30.0) -> float:
        """Reads until all of the texts are on the screen; returns the seconds that it took."""
        began = time.monotonic()
        while not all(text in self.shown() for text in texts):
            rest = began + seconds - time.monotonic()
            assert rest > 0, f"not within {seconds:g} s: {texts}\n{self.shown()}"
            if select.select([self._terminal], [], [], rest)[0]:
                self._stream.feed(self._read())
        return time.monotonic() - began

    def _read(self) -> bytes:
        try:
            return os.read(self._terminal, 1 << 16)
        except OSError as error:  # nobody writes to it any more
            raise AssertionError(f"the session has ended\n{self.shown()}") from error

    def say(self, prompt: str) -> None:
        """Types a prompt, sees it on the screen, and sends it."""
        os.write(self._terminal, prompt.encode())
        self.wait(prompt)
        os.write(self._terminal, b"\r")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._terminal)
