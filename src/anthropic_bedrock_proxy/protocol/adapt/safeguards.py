"""Checks of tool calls by the server (`safeguards`), which Claude Code's auto mode asks for.

Field and beta flag stay together: a model that takes the flag gets both, another neither, and the
answer says that the check did not run. Claude Code then asks its user about each action. To a 400,
to `unsupported` and to an answer without results it shows a dialog about its gateway instead.
Source: Claude Code 2.1.330, seen with each of these answers; its gateway protocol, "Auto mode".
"""

from __future__ import annotations

from typing import Any, Final

from .rewrite import Rewrite

_NOT_RUN: Final = {"type": "unavailable", "reason": "disabled"}


def adapt_safeguards(rewrite: Rewrite) -> None:
    """Leaves the checks out for a model that has none, and says so in the answer."""
    if "safeguards" not in rewrite.fields or rewrite.can("safeguards"):
        return
    asked: Any = rewrite.field("safeguards")
    rewrite.set("safeguards", None)
    rewrite.warnings.append("safeguards: this model checks no tool calls; left out")
    checks = asked if isinstance(asked, list) else ()
    kinds = [check.get("type") for check in checks if isinstance(check, dict)]
    if kinds:
        rewrite.added["safeguard_results"] = [{"type": kind, "status": _NOT_RUN} for kind in kinds]
