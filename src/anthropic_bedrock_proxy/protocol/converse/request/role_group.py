"""One turn of a conversation while it is being made, in the shape that Converse wants.

Tool results stand first, a breakpoint stands behind content and never behind another, no turn is
empty, and a document has words beside it.
Source: Amazon Bedrock, Converse API reference; texts of public refusals.
"""

from __future__ import annotations

from typing import Any, Final

from ....errors import InvalidRequestError
from ...adapt.limits import EMPTY
from .attachments import SIBLING
from .reading import shown

_POINT: Final = "cachePoint"


class RoleGroup:
    """Consecutive messages of one role. `index` is the first message's, `last` the last one's."""

    __slots__ = ("answered", "asked", "index", "last", "others", "results", "role")

    def __init__(self, role: str, index: int) -> None:
        self.role = role
        self.index = self.last = index
        self.results: list[dict[str, Any]] = []
        self.others: list[dict[str, Any]] = []
        self.asked: dict[str, None] = {}  # ids of the tools called
        self.answered: dict[str, str] = {}  # id of a call -> path of its result

    def mark(self, point: dict[str, Any]) -> None:
        """Sets a breakpoint behind the last block so far."""
        blocks = self.others or self.results
        if _POINT not in blocks[-1]:
            blocks.append(point)

    def mark_result(self, point: dict[str, Any]) -> None:
        """Sets a breakpoint behind the last tool result."""
        self.results.append(point)

    def trim(self) -> None:
        """Takes white space off the end of a prefill: Bedrock refuses it."""
        block = next(block for block in reversed(self.others) if _POINT not in block)
        if "text" in block:
            block["text"] = block["text"].rstrip()
        elif "citationsContent" in block:
            (part,) = block["citationsContent"]["content"]
            part["text"] = part["text"].rstrip()

    def fold(self) -> bool:
        """Moves texts into the last tool result, for models that take tool results only alone.

        Returns whether there were any. Raises `InvalidRequestError` for what is no text.
        """
        if not self.results or not self.others:
            return False
        *_, last = (block["toolResult"] for block in self.results if "toolResult" in block)
        others, self.others = self.others, []
        for block in others:
            if "text" in block:
                last["content"].append(block)
            elif _POINT in block:
                self.mark(block)
            else:
                raise InvalidRequestError(
                    f"messages.{self.last}.content: this model takes only text beside tool "
                    "results; send the rest in a message of its own or choose another model"
                )
        return True

    def content(self) -> list[dict[str, Any]]:
        """The blocks to send."""
        others = self.others
        if any("document" in block for block in others) and not any(
            "text" in block for block in others
        ):
            others = [*others, SIBLING]
        return [*self.results, *others] or [{"text": EMPTY}]


def check_calls(before: RoleGroup | None, turn: RoleGroup | None) -> None:
    """Checks that each call has its result in the next turn, and each result its call before.

    Raises `InvalidRequestError` in Anthropic's words; Bedrock's count messages differently.
    """
    asked = before.asked if before is not None else {}
    answered = turn.answered if turn is not None else {}
    for tool_use_id, path in answered.items():
        if tool_use_id not in asked:
            raise InvalidRequestError(
                f"{path}: unexpected `tool_use_id` found in `tool_result` blocks: "
                f"{shown(tool_use_id)}. Each `tool_result` block must have a corresponding "
                "`tool_use` block in the previous message."
            )
    missing = [shown(tool_use_id) for tool_use_id in asked if tool_use_id not in answered]
    if missing and before is not None:
        raise InvalidRequestError(
            f"messages.{before.last}: `tool_use` ids were found without `tool_result` blocks "
            f"immediately after: {', '.join(missing)}. Each `tool_use` block must have a "
            "corresponding `tool_result` block in the next message."
        )
