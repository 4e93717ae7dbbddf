"""The operator's wishes about code that models write."""

from __future__ import annotations

import msgspec


class CodeExecutionOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The uses of code that are allowed, and the seconds that it may take.

    `programmatic`: code may call the client's tools. `standalone`: code may be run without.
    """

    programmatic: bool = True
    standalone: bool = True
    python_seconds: float = 60.0
    bash_seconds: float = 30.0
