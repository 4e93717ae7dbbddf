"""Reading of what the definitions of web search and web fetch have in common. Pure."""

from __future__ import annotations

from typing import Any, Final

from ...errors import InvalidRequestError
from ...protocol.raw import Json, decode
from ..calls import CodeFunction, RequestTools
from .versions import callers

_PASSED_ON: Final = ("cache_control", "defer_loading")
CITING: Final = (
    'Where you use what a passage says, wrap that part of your answer in <cited index="...">...'
    "</cited> with the index of the passage, or several of them, separated by commas. Example: "
    '<cited index="w3k9x-2">It came out in May.</cited> Cite only what you were shown, and write '
    "no other reference marks."
)


def definition_of(prefix: str, tools: RequestTools) -> tuple[Json, str]:
    """Returns the definition in a request whose type begins with `prefix`, and its path."""
    index = next(i for i, view in enumerate(tools.views) if (view.type or "").startswith(prefix))
    return decode(tools.raws[index]), f"tools.{index}"


def read_max_uses(tool: Json, path: str, default: int) -> int:
    """Returns the calls that a request may make. Raises `InvalidRequestError` with the path."""
    return read_bound(tool, path, "max_uses") or default


def read_bound(tool: Json, path: str, field: str) -> int | None:
    """Returns a positive number of a definition, if it has one. Raises `InvalidRequestError`."""
    given: Any = tool.get(field)
    if given is None:
        return None
    if not isinstance(given, int) or isinstance(given, bool) or given < 1:
        raise InvalidRequestError(f"{path}.{field}: Input should be greater than or equal to 1")
    return given


def is_excluded(tool: Json, path: str) -> bool:
    """Tells whether the client wants no blocks of calls by code. Raises `InvalidRequestError`."""
    given = tool.get("response_inclusion")
    if given not in (None, "full", "excluded"):
        raise InvalidRequestError(f"{path}.response_inclusion: expected full or excluded")
    return given == "excluded"


def custom_tool(tool: Json, description: str, argument: str, meaning: str) -> Json:
    """Returns the custom tool of one string that the model sees for a definition."""
    properties = {argument: {"type": "string", "description": meaning}}
    schema = {"type": "object", "properties": properties, "required": [argument]}
    made: Json = {"name": tool["name"], "description": description, "input_schema": schema}
    return made | {field: tool[field] for field in _PASSED_ON if tool.get(field) is not None}


def function_for(tool: Json, made: Json) -> CodeFunction | None:
    """Returns the function that code may call for a definition, if it may call it at all."""
    direct, code = callers(tool["type"], tool.get("allowed_callers"))
    return CodeFunction(made, direct) if code else None
