"""Top-level fields in the form that every dialect understands."""

from __future__ import annotations

from typing import Any, Final

from msgspec import UNSET

from ...errors import InvalidRequestError
from ...models.betas import split_header
from .rewrite import Rewrite

_CHOICES: Final = ("auto", "any", "none")


def adapt_fields(rewrite: Rewrite, flags: list[str]) -> list[str]:
    """Brings older and looser spellings of fields into the current one.

    Returns the beta flags of header (`flags`) and body together. Raises `InvalidRequestError`.
    """
    fields = rewrite.fields
    if "anthropic_beta" in fields:
        # Clients of Bedrock send their flags here: the same rules as for the header.
        flags = flags + _flags(rewrite.field("anthropic_beta"))
        rewrite.set("anthropic_beta", None)
    if "inference_geo" in fields:
        rewrite.set("inference_geo", None)  # the route has been chosen by it
    if "output_format" in fields:
        _move_output_format(rewrite)
    if "tool_choice" in fields and bytes(fields["tool_choice"]).startswith(b'"'):
        _name_the_choice(rewrite)
    if any(tool.custom is not UNSET for tool in rewrite.request.view.tools or ()):
        _unwrap_tools(rewrite)
    return flags


def _flags(value: Any) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(flag, str) for flag in value):
        raise InvalidRequestError("anthropic_beta: Expected an array of strings")
    return split_header(value)


def _move_output_format(rewrite: Rewrite) -> None:
    """Moves the schema to where anthropic 2.x has it; the beta had it at the top level."""
    value = rewrite.field("output_format")
    rewrite.set("output_format", None)
    config = rewrite.object("output_config")
    if value is not None and "format" not in config:
        rewrite.set("output_config", {**config, "format": value})


def _name_the_choice(rewrite: Rewrite) -> None:
    """Turns a bare string as tool_choice, which the predecessor took, into an object."""
    choice = rewrite.field("tool_choice")
    if choice not in _CHOICES:
        rewrite.warnings.append("tool_choice: unknown value, auto was used")
        choice = "auto"
    rewrite.set("tool_choice", {"type": choice})


def _unwrap_tools(rewrite: Rewrite) -> None:
    """Unwraps the {"type": "custom", "custom": {...}} of early clients."""
    tools = rewrite.field("tools")
    for tree in tools:
        wrapper = tree.pop("custom", None)
        if isinstance(wrapper, dict):
            tree.update(wrapper)
    rewrite.set("tools", tools)
