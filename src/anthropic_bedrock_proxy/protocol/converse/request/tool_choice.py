"""toolConfig as a whole: the tools offered, the choice among them, the tools of the history.

Bedrock refuses tool blocks in the history without a toolConfig, and has no choice `none`.
Source: bedrock-runtime service model (ToolChoice); Amazon Bedrock, models that can be forced;
public refusals ("The toolConfig field must be defined when using toolUse and toolResult").
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from ....errors import InvalidRequestError
from .draft import ConverseDraft
from .reading import read, shown
from .tools import OfferedTools

_FORMER: Final = "A tool of an earlier turn. It cannot be called any more."
_PLACEHOLDER: Final = "no_tool"


class _ToolChoice(Struct, forbid_unknown_fields=True, gc=False):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


_decoder = msgspec.json.Decoder(_ToolChoice | None)


def settle_tools(draft: ConverseDraft, offered: OfferedTools) -> None:
    """Writes toolConfig and its native counterparts. Raises `InvalidRequestError`."""
    raw = draft.request.fields.get("tool_choice")
    choice = None if raw is None else read(raw, _decoder, "tool_choice")
    if not offered.names:
        _settle_history(draft, choice)
        return
    kind = "auto" if choice is None else choice.type
    if kind == "none" and not draft.called:
        draft.dropped.append("tools")  # a model without tools calls none
        return
    if choice is not None and kind in ("any", "tool"):
        kind = _forced(draft, offered, choice)
    single = choice is not None and bool(choice.disable_parallel_tool_use) and kind != "none"
    if single and not draft.claude:
        draft.dropped.append("tool_choice.disable_parallel_tool_use")
        draft.warnings.append(
            "tool_choice.disable_parallel_tool_use: this model may call several tools at once"
        )
        single = False
    name = draft.tool_names.sent(choice.name or "") if choice and kind == "tool" else ""
    if kind == "none" or single or (offered.native and kind != "auto"):
        _choose_natively(draft, kind, name, single=single)
        kind = "auto"
    _write(draft, offered, kind, name)


def _settle_history(draft: ConverseDraft, choice: _ToolChoice | None) -> None:
    """Writes a toolConfig for calls in the history though the request offers no tools."""
    if choice is not None:
        if choice.type in ("any", "tool"):
            raise InvalidRequestError("tool_choice: may only be given together with tools")
        draft.dropped.append("tool_choice")
    if draft.called:
        _choose_natively(draft, "none", "", single=False)
        draft.body["toolConfig"] = {"tools": _former(draft, draft.called)}


def _forced(draft: ConverseDraft, offered: OfferedTools, choice: _ToolChoice) -> str:
    """Returns the nearest kind of tool choice that this model can be given."""
    wanted = None
    if choice.type == "tool":
        wanted = choice.name
        if wanted is None:
            raise InvalidRequestError("tool_choice.name: Field required")
        if wanted not in offered.names:
            raise InvalidRequestError(
                f"tool_choice.name: Tool '{shown(wanted)}' not found in provided tools"
            )
    if "forced_tools" in draft.features:
        return choice.type
    if wanted is not None:
        sent = draft.tool_names.sent(wanted)
        offered.specs = [
            spec for spec in offered.specs if spec.get("toolSpec", {}).get("name") == sent
        ]
        offered.native = [tree for tree in offered.native if tree["name"] == sent]
        draft.warnings.append(
            f"tool_choice: this model cannot be forced to call a tool; only {shown(wanted)} "
            "was offered"
        )
    else:
        draft.warnings.append(
            "tool_choice: this model cannot be forced to call a tool; auto was used"
        )
    return "auto"


def _choose_natively(draft: ConverseDraft, kind: str, name: str, *, single: bool) -> None:
    """Writes a choice that toolChoice cannot express in Anthropic's own form, for a Claude."""
    if not draft.claude:
        draft.warnings.append("tool_choice: this model cannot be kept from calling a tool")
        return
    choice: dict[str, Any] = {"type": kind}
    if kind == "tool":
        choice["name"] = name
    if single:
        choice["disable_parallel_tool_use"] = True
    draft.additional["tool_choice"] = choice


def _write(draft: ConverseDraft, offered: OfferedTools, kind: str, name: str) -> None:
    if offered.native:
        draft.additional["tools"] = offered.native
    specs = offered.specs
    if not specs:
        if not draft.called:
            return
        native = {tree["name"] for tree in offered.native}
        others = [name for name in draft.called if draft.tool_names.sent(name) not in native]
        specs = _former(draft, others or [_PLACEHOLDER])
    config: dict[str, Any] = {"tools": specs}
    if kind == "any":
        config["toolChoice"] = {"any": {}}
    elif kind == "tool":
        config["toolChoice"] = {"tool": {"name": name}}
    draft.body["toolConfig"] = config


def _former(draft: ConverseDraft, names: Iterable[str]) -> list[dict[str, Any]]:
    """Returns stand-ins for tools of the history: Bedrock wants a toolConfig for their blocks."""
    return [
        {
            "toolSpec": {
                "name": draft.tool_names.sent(name),
                "description": _FORMER,
                "inputSchema": {"json": {"type": "object"}},
            }
        }
        for name in names
    ]
