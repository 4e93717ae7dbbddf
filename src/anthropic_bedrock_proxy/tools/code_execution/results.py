r"""Outcomes of cells as Anthropic's result blocks, and these as the model is shown them. Pure.

Ran("42\\n", "", 0) of code_execution
-> {"type": "code_execution_result", "stdout": "42\\n", "stderr": "", "return_code": 0, …}
-> the model's tool_result: "42\\n"
"""

from __future__ import annotations

from typing import Any, Final

from ...protocol.raw import Json
from ...sandbox.base import Edited, Failed, Ran
from .versions import BASH, EDITOR, PYTHON

RESULT_TYPES: Final = {name: f"{name}_tool_result" for name in (PYTHON, BASH, EDITOR)}
UNAVAILABLE: Final = "unavailable"
TIMED_OUT: Final = "execution_time_exceeded"
TOO_MANY: Final = "too_many_requests"
_CODES: Final = frozenset((UNAVAILABLE, TIMED_OUT, TOO_MANY, "invalid_tool_input"))
_MORE_CODES: Final = {
    PYTHON: _CODES,
    BASH: _CODES | {"output_file_too_large"},
    EDITOR: _CODES | {"file_not_found"},
}
_MEDIA: Final = {
    "/9j/": "image/jpeg",
    "iVBO": "image/png",
    "R0lG": "image/gif",
    "UklG": "image/webp",
}
_WORDS: Final = {
    UNAVAILABLE: "The sandbox is not available at the moment.",
    TIMED_OUT: "It took too long and was stopped.",
    TOO_MANY: "Too much runs at once; try again later.",
}


def error(name: str, code: str, message: str = "") -> Json:
    """Returns the content of a result block for a call that came to nothing."""
    code = code if code in _MORE_CODES[name] else UNAVAILABLE
    content = {"type": f"{name}_tool_result_error", "error_code": code}
    if name == EDITOR:  # the others have no place for words
        content["error_message"] = message or _WORDS.get(code, code)
    return content


def content_of(name: str, outcome: Ran | Edited | Failed, *, tells_time_outs: bool) -> Json:
    """Returns the content of the result block for an outcome of a call of this name."""
    if isinstance(outcome, Failed):
        return error(name, outcome.error_code, outcome.message)
    if isinstance(outcome, Edited):
        return {**outcome.result, "type": f"{EDITOR}_{outcome.kind}_result"}
    if outcome.timed_out and not tells_time_outs:
        return error(name, TIMED_OUT)
    return {
        "type": f"{name}_result",
        "stdout": outcome.stdout,
        "stderr": outcome.stderr,
        "return_code": outcome.return_code,
        "content": [{"type": f"{name}_output", "file_id": file.id} for file in outcome.files],
    }


def to_tool_result(content: Any) -> Json:
    """Returns `content` and `is_error` of the model's `tool_result`. Raises MISSHAPEN's."""
    kind = content["type"]
    if kind.endswith("_tool_result_error"):
        code = content["error_code"]
        words = content.get("error_message") or _WORDS.get(code, "")
        return {"content": f"{code}: {words}" if words else code, "is_error": True}
    if kind in (f"{PYTHON}_result", f"{BASH}_result"):
        return {"content": _streams(content)}
    if kind == f"encrypted_{PYTHON}_result":
        return {"content": "The output of this call cannot be shown again."}
    return {"content": _EDITED[kind.removeprefix(f"{EDITOR}_")](content)}


def _streams(content: Any) -> str:
    parts = [content["stdout"]]
    if content["stderr"]:
        parts.append(f"stderr:\n{content['stderr']}")
    if content["return_code"]:
        parts.append(f"return code: {content['return_code']}")
    if content["content"]:
        files = ", ".join(file["file_id"] for file in content["content"])
        parts.append(f"files for the user: {files}")
    return "\n".join(part for part in parts if part) or "(no output)"


def _viewed(content: Any) -> Any:
    data = content["content"]
    if not isinstance(data, str):  # else it could be blocks of whatever kind
        raise TypeError
    if content["file_type"] == "text":
        return data or "(empty)"
    if content["file_type"] == "image":
        source = {"type": "base64", "media_type": _MEDIA[data[:4]], "data": data}
        return [{"type": "image", "source": source}]
    return f"A {content['file_type']} file, which cannot be shown."


def _created(content: Any) -> str:
    return "The file was replaced." if content["is_file_update"] else "The file was created."


def _replaced(content: Any) -> str:
    lines = content.get("lines")
    return "\n".join(lines) if lines else "The text was replaced."


_EDITED: Final = {
    "view_result": _viewed,
    "create_result": _created,
    "str_replace_result": _replaced,
}
