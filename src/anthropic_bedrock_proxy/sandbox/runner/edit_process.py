"""The child of one command of the text editor: it writes one line, and ends."""

from __future__ import annotations

import os
from typing import Any

from .editor import EditError, edit
from .lines import BadLineError, encode_line


def answer(given: dict[str, Any], workspace: str) -> None:
    """Does a command and writes its end to stdout. Runs in the child."""
    try:
        kind, result = edit(given, workspace)
        line = encode_line({"type": "edited", "kind": kind, "result": result})
    except EditError as error:
        line = _failed(error.error_code, str(error))
    except BadLineError:
        line = _failed("invalid_tool_input", "The result cannot be shown.")
    left = memoryview(line)
    while left:
        left = left[os.write(1, left) :]


def _failed(error_code: str, message: str) -> bytes:
    clean = message.encode("utf-8", "replace").decode()
    return encode_line({"type": "failed", "error_code": error_code, "message": clean})
