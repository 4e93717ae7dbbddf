"""The choice of a tool, for models that no tool can be forced on.

Clients that want one tool called (structured output of Instructor, LangChain, PydanticAI) fail when
a model answers in words, so where the choice was forced, a sentence asks for the call. It is the
last block of `system`: what is before it, and its breakpoints, stay as they are.
"""

from __future__ import annotations

from typing import Any, Final

from ...errors import InvalidRequestError
from .rewrite import Rewrite

FORCED: Final = ("any", "tool")
_ASKED: Final = "a sentence at the end of system asks for the call"


def adapt_choice(rewrite: Rewrite, *, forced_tools: str = "ask") -> None:
    """Sets a forced choice free; `forced_tools` is the operator's choice of how.

    Raises `InvalidRequestError` for a tool that is not offered, and where it is to be refused. What
    else becomes of the choice for a model of another maker is settled where Converse is written.
    """
    if "tool_choice" not in rewrite.fields or "forced_tools" in rewrite.features:
        return
    choice = rewrite.object("tool_choice")
    kind, name = choice.get("type"), choice.get("name")
    offered = [tool.name for tool in rewrite.tools]
    if kind not in FORCED or not offered:  # without tools Bedrock, or Converse's step, refuses it
        return
    if kind == "tool" and name not in offered:
        raise InvalidRequestError("tool_choice.name: not the name of a tool of this request")
    if forced_tools == "refuse":
        raise InvalidRequestError(
            "tool_choice: no tool can be forced on this model; send auto and say in the prompt "
            "which tool to call, or choose another model"
        )
    told = []
    if "claude" in rewrite.features:
        free = {key: value for key, value in choice.items() if key != "name"}
        rewrite.set("tool_choice", {**free, "type": "auto"})
        told.append(f"{kind} became auto, no tool can be forced on this model")
    if forced_tools == "ask" and _ask(rewrite, _sentence(choice)):
        told.append(_ASKED)
    if told:
        rewrite.warnings.append(f"tool_choice: {', '.join(told)}")


def _sentence(choice: dict[str, Any]) -> str:
    tool = f"the tool {choice['name']}" if choice["type"] == "tool" else "one of the tools"
    once = ", once" if choice.get("disable_parallel_tool_use") is True else ""
    return f"Answer only by calling {tool}{once}."


def _ask(rewrite: Rewrite, sentence: str) -> bool:
    """Adds a sentence behind the system prompt; False if that is none that could be added to."""
    system = rewrite.field("system")
    if system is None:
        system = []
    elif isinstance(system, str):  # as a block, a blank one would be refused
        system = [{"type": "text", "text": system}] if system.strip() else []
    if not isinstance(system, list):
        return False  # Bedrock names it
    rewrite.set("system", [*system, {"type": "text", "text": sentence}])
    return True
