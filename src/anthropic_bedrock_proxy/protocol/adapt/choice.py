"""The choice of a tool, for a Claude that no tool can be forced on.

Clients that want one tool called (LangChain's and Instructor's structured output) get `auto` and a
warning: such a model nearly always calls the tool that a request is made for.
"""

from __future__ import annotations

from typing import Final

from ...errors import InvalidRequestError
from .rewrite import Rewrite

FORCED: Final = ("any", "tool")


def adapt_choice(rewrite: Rewrite) -> None:
    """Sets a forced choice free. Raises `InvalidRequestError` for a tool that is not offered.

    The models of other makers have their own way on Converse.
    """
    features = rewrite.features
    if (
        "tool_choice" not in rewrite.fields
        or "forced_tools" in features
        or "claude" not in features
    ):
        return
    choice = rewrite.object("tool_choice")
    kind, name = choice.get("type"), choice.get("name")
    if kind not in FORCED:
        return
    if kind == "tool" and name not in [tool.name for tool in rewrite.tools]:
        raise InvalidRequestError("tool_choice.name: not the name of a tool of this request")
    free = {key: value for key, value in choice.items() if key != "name"}
    rewrite.set("tool_choice", {**free, "type": "auto"})
    rewrite.warnings.append(f"tool_choice: {kind} became auto, no tool can be forced on this model")
