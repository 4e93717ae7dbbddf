"""What the operator lets code do."""

from __future__ import annotations

import msgspec


class CodeExecutionOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The operator's wishes.

    `programmatic`: code may call the client's tools. `standalone`: code may be run without.
    """

    programmatic: bool = True
    standalone: bool = True
    python_seconds: float = 60.0
    bash_seconds: float = 30.0
