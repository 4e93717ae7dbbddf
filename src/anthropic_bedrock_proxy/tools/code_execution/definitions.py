"""The tools that the model sees for a definition of code execution. Pure: words and schemas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ...protocol.raw import Json, encode
from .functions import Function
from .versions import BASH, EDITOR, PYTHON

_SANDBOX: Final = (
    "It runs in a sandbox without network, in a folder whose files are there in the next call. "
    "Write files for the user to the folder that the environment variable OUTPUT_DIR names."
)
_PYTHON: Final = (
    "Runs Python code and returns what it prints. The interpreter keeps its state: variables, "
    "functions and imports are there in the next call. Top-level `await` works. Print whatever you "
    "need to know: nothing else is returned, not even the value of the last line. "
)
_FUNCTIONS: Final = (
    "The code can call the tools below as async functions that are already defined. Each takes one "
    "dict, its arguments, and returns a string; parse it with json.loads if it is JSON. What they "
    "return is seen by the code alone, so filter, count and combine it there and print only what "
    "matters. Call several at once with asyncio.gather where one does not need the other. An error "
    "of a tool is a string too. Always await them.\n\n"
    'Example: rows = json.loads(await query({"sql": "SELECT 1"})); print(len(rows))\n'
)
_BASH: Final = "Runs a bash command and returns its stdout, stderr and return code. "
_EDITOR: Final = (
    "Views, creates and edits text files. `view` shows a file, or the lines of `view_range`, or "
    "what is in a folder; `create` writes `file_text` to a file; `str_replace` replaces `old_str`, "
    "which must be there exactly once, by `new_str`. "
)
_EDITOR_SCHEMA: Final[Json] = {
    "type": "object",
    "properties": {
        "command": {"type": "string", "enum": ["view", "create", "str_replace"]},
        "path": {"type": "string", "description": "A path, e.g. notes.txt"},
        "view_range": {
            "type": "array",
            "items": {"type": "integer"},
            "description": "First and last line for view, from 1; -1 is the end",
        },
        "file_text": {"type": "string", "description": "All of the file, for create"},
        "old_str": {"type": "string", "description": "What to replace, for str_replace"},
        "new_str": {"type": "string", "description": "What to put in its place"},
    },
    "required": ["command", "path"],
}


def definition(name: str, functions: Sequence[Function], seconds: dict[str, float]) -> Json:
    """Returns the custom tool for calls of this name; `seconds` a call of each name may take."""
    if name == PYTHON:
        words, schema = _PYTHON + _SANDBOX, _text_schema("code", "Python code")
    elif name == BASH:
        schema = _text_schema("command", "A bash command")
        schema["properties"]["restart"] = {
            "type": "boolean",
            "description": "End whatever earlier commands have left running, before this one",
        }
        words = _BASH + _SANDBOX
    else:
        return {"name": EDITOR, "description": _EDITOR + _SANDBOX, "input_schema": _EDITOR_SCHEMA}
    words += f" A call may take {seconds[name]:g} seconds"
    words += ", without the time that tools take." if functions and name == PYTHON else "."
    if name == PYTHON and functions:
        words += f"\n\n{_FUNCTIONS}" + "".join(map(_signature, functions))
    return {"name": name, "description": words, "input_schema": schema}


def _text_schema(argument: str, meaning: str) -> Json:
    properties = {argument: {"type": "string", "description": meaning}}
    return {"type": "object", "properties": properties, "required": [argument]}


def _signature(function: Function) -> str:
    schema = encode(function.schema).decode()
    words = " ".join(function.description.split("\n"))
    return (
        f"\nasync def {function.name}(arguments: dict) -> str\n"
        f"    {words}\n"
        f"    JSON schema of arguments: {schema}\n"
    )
