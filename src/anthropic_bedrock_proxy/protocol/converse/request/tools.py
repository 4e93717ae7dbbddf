"""`tools` -> toolConfig.tools, or Anthropic's own form where only that says it all.

A Claude gets tools that Anthropic defines, and tools with examples, as additional request fields;
every tool stands in exactly one place, because Bedrock joins the two lists.
Source: bedrock-runtime service model (ToolConfiguration); Anthropic API, tool definitions.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from ....errors import InvalidRequestError
from ...raw import decode_raws
from ...request.views import ToolView
from .blocks import CacheControl
from .defined_tools import DEFINED_TOOLS, FAMILIES, DefinedTool
from .draft import ConverseDraft
from .reading import read, shown, tree_decoder


class _Tool(Struct, gc=False):
    """The fields that tools of all kinds may have."""

    name: str
    cache_control: CacheControl | None = None
    strict: bool | None = None
    input_examples: list[Raw] | None = None
    allowed_callers: list[str] | None = None
    defer_loading: bool | None = None


class _CustomTool(_Tool, forbid_unknown_fields=True, kw_only=True, gc=False):
    input_schema: Raw
    type: Literal["custom"] | None = None
    description: str | None = None
    eager_input_streaming: bool | None = None


class _DefinedTool(_Tool, kw_only=True, gc=False):
    type: str
    max_characters: int | None = None


_custom = msgspec.json.Decoder(_CustomTool)
_defined = msgspec.json.Decoder(_DefinedTool)


class OfferedTools(Struct):
    """The tools of a request: `specs` for toolConfig, `native` in Anthropic's form."""

    names: dict[str, None] = {}
    specs: list[dict[str, Any]] = []
    native: list[dict[str, Any]] = []


def convert_tools(draft: ConverseDraft) -> OfferedTools:
    """Converts all tools. Raises `InvalidRequestError` with the path."""
    offered = OfferedTools()
    views = draft.request.view.tools
    if not views:
        return offered
    if "tools" not in draft.features:
        raise InvalidRequestError(
            "tools: this model has no tool use; remove them or choose another model"
        )
    for index, raw in enumerate(decode_raws(draft.request.fields["tools"])):
        path, view = f"tools.{index}", views[index]
        if view.name in offered.names:
            raise InvalidRequestError(f"{path}.name: Tool names must be unique.")
        offered.names[view.name] = None
        if view.type in (None, "custom"):
            _offer_custom(draft, offered, read(raw, _custom, path), path)
        else:
            _offer_defined(draft, offered, view, raw, path)
    return offered


def _offer_custom(
    draft: ConverseDraft, offered: OfferedTools, tool: _CustomTool, path: str
) -> None:
    _check(tool, path)
    if tool.eager_input_streaming:
        draft.dropped.append(f"{path}.eager_input_streaming")
    schema = _schema(tool.input_schema, path)
    if tool.input_examples and draft.claude and draft.need("input_examples"):
        native: dict[str, Any] = {
            "name": draft.tool_names.sent(tool.name),
            "input_schema": schema,
            "input_examples": tool.input_examples,
        }
        if tool.description:
            native["description"] = tool.description
        if _strict(draft, tool, path):
            native["strict"] = True
        _offer_native(draft, offered, native, tool.cache_control, path)
        return
    told = DefinedTool(tool.description or tool.name, schema)
    _offer_spec(draft, offered, tool, told, path)


def _offer_defined(
    draft: ConverseDraft, offered: OfferedTools, view: ToolView, raw: Raw, path: str
) -> None:
    kind = view.type or ""
    if kind.rpartition("_")[0] not in FAMILIES:
        raise InvalidRequestError(
            f"{path}: {shown(kind)} is not available on Bedrock's Converse; remove it"
        )
    tool = read(raw, _defined, path)
    _check(tool, path)
    if draft.claude:
        if draft.knows_flag_of(kind) and not draft.need(kind):
            raise InvalidRequestError(f"{path}: {shown(kind)} is not available for this model")
        tree = read(raw, tree_decoder, path)
        for key in ("cache_control", "allowed_callers", "defer_loading"):
            tree.pop(key, None)
        keeps_examples = bool(tool.input_examples) and draft.need("input_examples")
        if not keeps_examples and tree.pop("input_examples", None):
            draft.dropped.append(f"{path}.input_examples")  # a Claude knows the tool without
        _offer_native(draft, offered, tree, tool.cache_control, path)
        return
    told = DEFINED_TOOLS.get(kind)
    if told is None:
        raise InvalidRequestError(
            f"{path}: {shown(kind)} is only available on Claude models; remove it or choose one"
        )
    if tool.max_characters is not None:
        words = f"{told.description} A view is cut after {tool.max_characters} characters."
        told = DefinedTool(words, told.schema)
    _offer_spec(draft, offered, tool, told, path)


def _check(tool: _Tool, path: str) -> None:
    if tool.allowed_callers and "direct" not in tool.allowed_callers:
        raise InvalidRequestError(
            f"{path}.allowed_callers: no tool of this request can call it; add a "
            'code_execution_20260120 tool, or "direct"'
        )


def _schema(raw: Raw, path: str) -> dict[str, Any]:
    """Returns the input schema with a `type`, which Bedrock wants; the rest is the client's."""
    schema = read(raw, tree_decoder, f"{path}.input_schema")
    if not isinstance(schema, dict):
        raise InvalidRequestError(f"{path}.input_schema: Expected `object`")
    if "type" not in schema:
        return {"type": "object", **schema}
    if schema["type"] != "object":
        raise InvalidRequestError(f'{path}.input_schema.type: must be "object"')
    return schema


def _strict(draft: ConverseDraft, tool: _Tool, path: str) -> bool:
    if not tool.strict:
        return False
    if "structured_output" in draft.features:
        return True
    draft.dropped.append(f"{path}.strict")
    return False


def _offer_native(
    draft: ConverseDraft,
    offered: OfferedTools,
    tree: dict[str, Any],
    control: CacheControl | None,
    path: str,
) -> None:
    marker = draft.cache.native(control, path)
    if marker is not None:
        tree["cache_control"] = marker
    offered.native.append(tree)


def _offer_spec(
    draft: ConverseDraft, offered: OfferedTools, tool: _Tool, told: DefinedTool, path: str
) -> None:
    description = told.description
    if tool.input_examples:
        examples = "\n".join(bytes(example).decode() for example in tool.input_examples)
        description = f"{description}\n\nExamples of its input:\n{examples}"
    spec: dict[str, Any] = {
        "name": draft.tool_names.sent(tool.name),
        "description": description or "(no description)",
        "inputSchema": {"json": told.schema},
    }
    if _strict(draft, tool, path):
        spec["strict"] = True
    offered.specs.append({"toolSpec": spec})
    point = draft.cache.tool_point(tool.cache_control, path)
    if point is not None:
        offered.specs.append(point)
