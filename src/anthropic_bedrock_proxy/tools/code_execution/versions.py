"""The versions of the code execution tool: what each offers to the model. Pure data."""

from __future__ import annotations

from typing import Final

import msgspec

PYTHON: Final = "code_execution"
BASH: Final = "bash_code_execution"
EDITOR: Final = "text_editor_code_execution"
CALLS: Final = frozenset((PYTHON, BASH, EDITOR))
PREFIX: Final = "code_execution_"
DIRECT: Final = "direct"


class Version(msgspec.Struct, frozen=True):
    """One type of the tool.

    `calls` are what the model can do with it; Python is among them, too, if there are functions.
    `caller` is told to clients with the calls of functions; None: code cannot call any.
    `tells_time_outs`: a cell that took too long has a normal result, not an error.
    """

    calls: tuple[str, ...]
    caller: str | None
    tells_time_outs: bool = False


_NEW_CALLER: Final = "code_execution_20260120"
VERSIONS: Final = {
    "code_execution_20250522": Version((PYTHON,), None),
    "code_execution_20250825": Version((BASH, EDITOR), "code_execution_20250825"),
    "code_execution_20260120": Version((PYTHON, BASH, EDITOR), _NEW_CALLER),
    "code_execution_20260521": Version((PYTHON, BASH, EDITOR), _NEW_CALLER, tells_time_outs=True),
}
# Clients may name the caller after any of these, whatever the version of their tool.
CALLERS: Final = frozenset(kind for kind, version in VERSIONS.items() if version.caller is not None)
