"""The tools that code may call: as Python functions. Pure.

A tool with a code execution type among its `allowed_callers` is a function of one dict; without
`direct` beside it the model does not see it as a tool. Names become Python's:

    {"name": "get-weather", "allowed_callers": ["code_execution_20260120"], …}
    -> Function(name="get_weather", tool="get-weather", direct=False, …)

Web search and web fetch are functions too (`RequestTools.functions`): the proxy runs their calls.
What Anthropic's API refuses is refused: `strict`, schemas that contain themselves, other tools that
are not the client's own.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from ...errors import InvalidRequestError
from ...protocol.raw import Json, decode, encode
from ..calls import RequestTools
from .versions import CALLERS, DIRECT

_NO_IDENTIFIER: Final = re.compile(r"\W", re.ASCII)
_MAX_DEPTH: Final = 100
MAX_PARTS: Final = 200_000  # of the schemas of a request that are looked at, again and again
_MAX_UNDERSCORES: Final = 2  # at the end of a name; then it is numbered
_REFERS: Final = b'"$ref"'
_RESERVED: Final = frozenset(
    (*keyword.kwlist, *keyword.softkwlist, *dir(builtins), "__builtins__", "asyncio")
)


class Function(msgspec.Struct, frozen=True):
    """A tool as code sees it; `index` is that of its definition.

    `nested`: the proxy runs its calls, and no client hears of them before.
    """

    name: str
    tool: str
    index: int
    description: str
    schema: Any
    direct: bool
    nested: bool = False


def read_functions(tools: RequestTools) -> list[Function]:
    """Returns the functions of a request. Raises `InvalidRequestError` with the path."""
    functions: list[Function] = []
    names = _PythonNames()
    circles = _CircleSearch()
    for index, view in enumerate(tools.views):
        own = tools.functions.get(index)
        if own is not None:
            made = own.definition
            functions.append(
                Function(
                    names.make(view.name),
                    view.name,
                    index,
                    made["description"],
                    made["input_schema"],
                    own.direct,
                    nested=True,
                )
            )
            continue
        if not view.allowed_callers or CALLERS.isdisjoint(view.allowed_callers):
            continue
        path = f"tools.{index}"
        if view.type not in (None, "custom"):
            if DIRECT in view.allowed_callers:
                continue
            raise InvalidRequestError(
                f"{path}.allowed_callers: code cannot call a {str(view.type)[:60]} tool; "
                f'add "{DIRECT}"'
            )
        tree = decode(tools.raws[index])
        if tree.get("strict"):
            raise InvalidRequestError(f"{path}.strict: not supported for tools that code calls")
        schema = tree.get("input_schema")
        circles.refuse(schema, path)
        functions.append(
            Function(
                names.make(view.name),
                view.name,
                index,
                str(tree.get("description") or ""),
                schema,
                DIRECT in view.allowed_callers,
            )
        )
    return functions


class _PythonNames:
    """The names of one request's functions: each another one, however alike the tools' are."""

    def __init__(self) -> None:
        self._taken = set(_RESERVED)
        self._numbers: dict[str, int] = {}  # that come next, for the names that need one

    def make(self, tool: str) -> str:
        """Returns a name that none was given before."""
        plain = _NO_IDENTIFIER.sub("_", tool)
        if plain[:1].isdigit() or not plain:
            plain = f"_{plain}"
        name = plain
        while name in self._taken and len(name) < len(plain) + _MAX_UNDERSCORES:
            name += "_"
        while name in self._taken:
            # Counted on from the last one: a client may send thousands of one name.
            number = self._numbers.get(plain, _MAX_UNDERSCORES + 2)
            self._numbers[plain] = number + 1
            name = f"{plain}_{number}"
        self._taken.add(name)
        return name


class _CircleSearch:
    """The search for schemas that refer to themselves, in one request: they have no end in words.

    One part may be referred to often, under many spellings, so all that is looked at is counted.
    """

    def __init__(self) -> None:
        self._left = MAX_PARTS

    def refuse(self, schema: Any, path: str) -> None:
        """Raises `InvalidRequestError` for a circle, or for what is too much to look at."""
        root = schema if isinstance(schema, dict) else {}
        done: set[str] = set()

        def follow(part: Any, inside: tuple[str, ...]) -> None:
            for reference in self._references(part, path):
                if reference in inside:
                    raise InvalidRequestError(
                        f"{path}.input_schema: Circular $ref detected: {reference[:100]}; tools "
                        "that code calls need a schema without"
                    )
                if len(inside) == _MAX_DEPTH:
                    raise InvalidRequestError(f"{path}.input_schema: $ref goes on too deeply")
                if reference not in done:
                    follow(_resolve(root, reference), (*inside, reference))
                    done.add(reference)

        if _REFERS in encode(root):  # most have none, and may be as large as they are
            follow(root, ())

    def _references(self, part: Any, path: str) -> Iterator[str]:
        """Yields the local references in a part of a schema."""
        open_parts = [part]
        while open_parts:
            one = open_parts.pop()
            self._left -= 1
            if self._left < 0:
                raise InvalidRequestError(
                    f"{path}.input_schema: the schemas with $ref have too many parts; use fewer "
                    "references"
                )
            if isinstance(one, dict):
                reference = one.get("$ref")
                if isinstance(reference, str) and reference.startswith("#"):
                    yield reference
                # Definitions are followed where they are referred to.
                open_parts += [v for k, v in one.items() if k not in ("$defs", "definitions")]
            elif isinstance(one, list):
                open_parts += one


def _resolve(root: Json, reference: str) -> Any:
    part: Any = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        if not step:
            continue
        part = (
            part.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(part, dict) else None
        )
    return part
