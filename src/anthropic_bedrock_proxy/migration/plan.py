"""A plan of what a configuration becomes: settings, admin operations, and what has no counterpart.

Every part names the place in the source that it comes from, as `model_list[0].litellm_params.rpm`.
No secret is in any of them: where a setting needs one, it names an environment variable.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


class MigrationError(Exception):
    """A source that cannot be read; the message begins with the place in it."""


class PlannedSetting(msgspec.Struct, frozen=True, kw_only=True):
    """A line for `.env`; `value` may name other variables as ${NAME}."""

    name: str
    value: str
    source: str

    def line(self) -> str:
        """Writes it as `.env` has it."""
        if self.value and not set(self.value) & set(" '\"#\\\n"):
            return f"{self.name}={self.value}"
        quoted = self.value.replace("\\", "\\\\").replace("'", "\\'")
        return f"{self.name}='{quoted}'"


class PlannedOperation(msgspec.Struct, frozen=True, kw_only=True):
    """One admin operation; `path` follows /admin/api/, and `what` names it for people.

    `needs` are the sources of operations that must not have been refused before it.
    """

    method: str
    path: str
    body: Mapping[str, Any]
    source: str
    what: str
    needs: tuple[str, ...] = ()


class PlannedDifference(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the source that is not taken over as it is: why, and what to do instead."""

    source: str
    why: str
    instead: str


class MigrationPlan:
    """The plan while it grows."""

    def __init__(self) -> None:
        self.settings: list[PlannedSetting] = []
        self.operations: list[PlannedOperation] = []
        self.differences: list[PlannedDifference] = []

    def set(self, name: str, value: str, source: str) -> None:
        """Adds a setting; of two places that set one, the first counts, and the other is told."""
        for line in self.settings:
            if line.name == name:
                if line.value != value:
                    self.differ(source, f"{line.source} sets {name} too", "keep one of them")
                return
        self.settings.append(PlannedSetting(name=name, value=value, source=source))

    def do(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any],
        *,
        source: str,
        what: str,
        needs: tuple[str, ...] = (),
    ) -> None:
        """Adds an operation."""
        self.operations.append(
            PlannedOperation(
                method=method, path=path, body=body, source=source, what=what, needs=needs
            )
        )

    def differ(self, source: str, why: str, instead: str) -> None:
        """Adds something that is not taken over as it is."""
        self.differences.append(PlannedDifference(source=source, why=why, instead=instead))

    def document(self) -> dict[str, Any]:
        """Returns the plan as one JSON document."""
        return {
            "settings": msgspec.to_builtins(self.settings),
            "operations": msgspec.to_builtins(self.operations),
            "differences": msgspec.to_builtins(self.differences),
        }
