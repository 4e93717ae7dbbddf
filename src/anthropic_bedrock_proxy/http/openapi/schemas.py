"""Schemas of what clients send and get: open, because a field that nobody here knows passes on.

Only what the proxy itself relies on is required; what a model accepts of it is told by the model.
Source: Anthropic API, "Messages", "Models" and "Files".
"""

from __future__ import annotations

from typing import Any, Final

from .answers import error_schema, reference

_TEXT: Final = {"type": "string"}
_COUNT: Final = {"type": "integer", "minimum": 0}
_MOMENT: Final = {"type": "string", "format": "date-time"}
_YES_NO: Final = {"type": "boolean"}
_OBJECTS: Final = {"type": "array", "items": {"type": "object"}}


def optional(schema: dict[str, Any]) -> dict[str, Any]:
    """Returns a schema that also takes null."""
    return {"anyOf": [schema, {"type": "null"}]}


def record(about: str, needed: dict[str, Any], **others: Any) -> dict[str, Any]:
    """Returns the schema of an open object; `needed` properties are always there."""
    return {
        "type": "object",
        "description": about,
        "required": list(needed),
        "properties": needed | others,
        "additionalProperties": True,
    }


def array(schema: dict[str, Any]) -> dict[str, Any]:
    """Returns the schema of an array."""
    return {"type": "array", "items": schema}


def _page(of: str, **others: Any) -> dict[str, Any]:
    ids = {"first_id": optional(_TEXT), "last_id": optional(_TEXT)}
    needed = {"data": array(reference("schemas", of)), "has_more": _YES_NO} | ids | others
    return record("A page of a listing.", needed)


def _block(about: str) -> dict[str, Any]:
    return record(about, {"type": {"type": "string", "minLength": 1}})


def _conversation() -> dict[str, Any]:
    """Returns the properties that messages and counts of tokens have in common."""
    return {
        "model": {
            "type": "string",
            "minLength": 1,
            "description": "An id of Anthropic's, an alias of the operator's, or a Bedrock id.",
        },
        "messages": {
            "type": "array",
            "minItems": 1,
            "items": reference("schemas", "InputMessage"),
        },
    }


_EXTRAS: Final[dict[str, Any]] = {
    "system": {"anyOf": [_TEXT, array(reference("schemas", "ContentBlock"))]},
    "tools": _OBJECTS,
    "tool_choice": {"type": "object"},
    "thinking": {"type": "object"},
}


def schemas() -> dict[str, Any]:
    """Returns the schemas that the routes of clients name."""
    return {
        "Error": error_schema(),
        "ContentBlock": _block("A block of content: text, image, document, tool_use, ..."),
        "InputMessage": record(
            "One message of the conversation.",
            {
                "role": {"enum": ["user", "assistant", "system"]},
                "content": {"anyOf": [_TEXT, array(reference("schemas", "ContentBlock"))]},
            },
        ),
        "MessageRequest": record(
            "A request for a message. Fields that are not listed pass on to the model.",
            _conversation()
            | {
                "max_tokens": {
                    "type": "integer",
                    "minimum": 0,
                    "description": "The most that is written; 0, unstreamed, only warms the cache.",
                }
            },
            stream={"type": "boolean", "default": False},
            temperature={"type": "number", "minimum": 0, "maximum": 1},
            top_p={"type": "number", "minimum": 0, "maximum": 1},
            top_k=_COUNT,
            stop_sequences=array(_TEXT),
            metadata={"type": "object"},
            service_tier=_TEXT,
            **_EXTRAS,
        ),
        "CountRequest": record("A request whose tokens are counted.", _conversation(), **_EXTRAS),
        "Message": record(
            "The answer of a model.",
            {
                "id": _TEXT,
                "type": {"const": "message"},
                "role": {"const": "assistant"},
                "model": _TEXT,
                "content": array(reference("schemas", "ContentBlock")),
                "stop_reason": optional(_TEXT),
                "usage": reference("schemas", "Usage"),
            },
            stop_sequence=optional(_TEXT),
            stop_details=optional({"type": "object"}),
        ),
        "Usage": record(
            "The tokens of an answer.",
            {"input_tokens": _COUNT, "output_tokens": _COUNT},
            cache_read_input_tokens=optional(_COUNT),
            cache_creation_input_tokens=optional(_COUNT),
            cache_creation=optional({"type": "object"}),
            service_tier=optional(_TEXT),
            bedrock_service_tier=_TEXT | {"description": "One that Anthropic has no word for."},
        ),
        "TokenCount": record("A count of tokens.", {"input_tokens": _COUNT}),
        "Model": record(
            "A model.",
            {
                "id": _TEXT,
                "type": {"const": "model"},
                "display_name": _TEXT,
                "created_at": _MOMENT,
                "max_input_tokens": optional(_COUNT),
                "max_tokens": optional(_COUNT),
                "lifecycle": {"enum": ["active", "deprecated", "retired"]},
                "deprecated_at": optional(_MOMENT),
                "retires_at": optional(_MOMENT),
                "line": optional({"enum": ["haiku", "sonnet", "opus", "fable", "mythos"]}),
            },
            capabilities={"type": "object"},
        ),
        "ModelPage": _page("Model"),
        "File": record(
            "A file of code execution.",
            {
                "id": _TEXT,
                "type": {"const": "file"},
                "filename": _TEXT,
                "mime_type": _TEXT,
                "size_bytes": _COUNT,
                "created_at": _MOMENT,
                "expires_at": optional(_MOMENT),
                "downloadable": _YES_NO,
            },
        ),
        "FilePage": _page("File", next_page=optional(_TEXT)),
        "FileForm": {
            "type": "object",
            "description": "A form with a file.",
            "required": ["file"],
            "properties": {
                "file": {"type": "string", "contentMediaType": "application/octet-stream"},
                "expires_in_seconds": {"type": "integer", "minimum": 3600, "maximum": 7776000},
            },
        },
        "DeletedFile": record("A removal.", {"id": _TEXT, "type": {"const": "file_deleted"}}),
        "Name": record("What this is.", {"name": _TEXT, "version": _TEXT}),
        "Taken": record("What was taken is forgotten.", {"status": {"const": "ok"}}),
    }
