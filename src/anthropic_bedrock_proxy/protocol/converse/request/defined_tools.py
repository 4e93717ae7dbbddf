"""The schemas of tools that Anthropic defines, for models that were not trained on them.

A Claude knows these tools by their type alone. Source: Anthropic API, pages of the bash, text
editor and memory tools; the SDK's types of the memory tool's commands; the text editor inserts
`insert_text` since 2025-04-29 (anthropic-sdk-python#1155).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

_TEXT: Final = {"type": "string"}
_RANGE: Final = {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}


class DefinedTool(msgspec.Struct, frozen=True):
    """A tool's description and input schema, as a model has to be told them."""

    description: str
    schema: dict[str, Any]


def _commands(
    description: str, commands: tuple[str, ...], required: tuple[str, ...], **properties: Any
) -> DefinedTool:
    properties = {"command": {"type": "string", "enum": list(commands)}, **properties}
    return DefinedTool(
        description,
        {"type": "object", "properties": properties, "required": list(required)},
    )


_BASH: Final = DefinedTool(
    "Runs a command in a bash session that lives on between calls. Give `command`, or `restart` "
    "to begin a new session.",
    {"type": "object", "properties": {"command": _TEXT, "restart": {"type": "boolean"}}},
)
_EDITOR_WORDS: Final = (
    "Views and edits text files. view: a file with line numbers, or a directory, optionally only "
    "the lines of `view_range`, counted from 1, where an end of -1 means the last line. create: a "
    "file with `file_text`. str_replace: `old_str`, which must occur exactly once, by `new_str`. "
    "insert: `{inserted}` behind line `insert_line`, where 0 is the beginning."
)
_EDITOR_FIELDS: Final = {
    "path": _TEXT,
    "file_text": _TEXT,
    "old_str": _TEXT,
    "new_str": _TEXT,
    "insert_line": {"type": "integer"},
    "view_range": _RANGE,
}
_EDITOR: Final = _commands(
    _EDITOR_WORDS.format(inserted="insert_text"),
    ("view", "create", "str_replace", "insert"),
    ("command", "path"),
    **_EDITOR_FIELDS,
    insert_text=_TEXT,
)
_FIRST_EDITOR: Final = _commands(
    _EDITOR_WORDS.format(inserted="new_str") + " undo_edit: takes the last edit of a file back.",
    ("view", "create", "str_replace", "insert", "undo_edit"),
    ("command", "path"),
    **_EDITOR_FIELDS,
)
_MEMORY: Final = _commands(
    "Keeps notes for later conversations as files under /memories; look there before a task. "
    "view: a directory or a file, optionally only the lines of `view_range`. create: a file with "
    "`file_text`. str_replace: `old_str` by `new_str`. insert: `insert_text` behind line "
    "`insert_line`. delete: `path`. rename: `old_path` to `new_path`.",
    ("view", "create", "str_replace", "insert", "delete", "rename"),
    ("command",),
    **_EDITOR_FIELDS,
    insert_text=_TEXT,
    old_path=_TEXT,
    new_path=_TEXT,
)
FAMILIES: Final = frozenset(("bash", "text_editor", "computer", "memory"))
DEFINED_TOOLS: Final = {
    "bash_20241022": _BASH,
    "bash_20250124": _BASH,
    "text_editor_20241022": _FIRST_EDITOR,
    "text_editor_20250124": _FIRST_EDITOR,
    "text_editor_20250429": _EDITOR,
    "text_editor_20250728": _EDITOR,
    "memory_20250818": _MEMORY,
}
