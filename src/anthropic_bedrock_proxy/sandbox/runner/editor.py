"""The commands of the text editor: `view`, `create`, `str_replace`.

A command runs in a child of its own, with the rights of any code in the sandbox. So symbolic links
are followed, as by every other program there: they lead to nothing that bash could not reach, and
the walls protect the rest. A file that hangs or is endless harms that child only.
"""

from __future__ import annotations

import base64
import os
import stat
from typing import Any

MAX_FILE_BYTES = 1024 * 1024
_MOST_ENTRIES = 1_000
_MOST_MATCHES_TOLD = 20
_MOST_LINES_COMPARED = 500  # comparing costs their square
_IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")

Result = dict[str, Any]


class EditError(Exception):
    """A command that cannot be done: an error code and a message for the model."""

    def __init__(self, error_code: str, message: str) -> None:
        super().__init__(message)
        self.error_code = error_code


def edit(given: dict[str, Any], workspace: str) -> tuple[str, Result]:
    """Does a command as the model gave it; returns its name and its result. Raises `EditError`."""
    command = given.get("command")
    commands = {"view": _view, "create": _create, "str_replace": _str_replace}
    if not isinstance(command, str) or command not in commands:
        raise _invalid(f"The command must be one of {', '.join(commands)}.")
    path = _string(given, "path")
    if not path or "\0" in path:
        raise _invalid("The path must name a file.")
    try:
        return command, commands[command](given, os.path.join(workspace, path))  # noqa: PTH118 - fast
    except FileNotFoundError as error:
        raise EditError("file_not_found", f"There is no {path}.") from error
    except OSError as error:
        raise _invalid(f"{path}: {error.strerror}.") from error


def _view(given: dict[str, Any], path: str) -> Result:
    if stat.S_ISDIR(os.stat(path).st_mode):  # noqa: PTH116 - pathlib is slow to import
        if given.get("view_range") is not None:
            raise _invalid("A view_range is for files; this is a directory.")
        return _text_result(_listing(path), 1, None)
    data = _read(path)
    if data.startswith(_IMAGES) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP"):
        return {"file_type": "image", "content": base64.b64encode(data).decode()}
    lines = _lines(_text(data))
    first, last = _view_range(given.get("view_range"), len(lines))
    return _text_result(lines[first - 1 : last], first, len(lines))


def _create(given: dict[str, Any], path: str) -> Result:
    data = _encoded(_string(given, "file_text"))
    existed = os.path.exists(path)  # noqa: PTH110 - pathlib is slow to import
    if existed and not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - same
        raise _invalid("There is something of this name that is no file.")
    os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120 - same
    _write(path, data)
    return {"is_file_update": existed}


def _str_replace(given: dict[str, Any], path: str) -> Result:
    old, new = _string(given, "old_str"), _string(given, "new_str", "")
    text = _text(_read(path))
    if not old:
        raise _invalid("old_str is empty.")
    places = _places(text, old)
    if not places:
        raise _invalid("old_str is not in the file. It must match exactly, with all white space.")
    if len(places) > 1:
        told = ", ".join(str(text.count("\n", 0, at) + 1) for at in places[:_MOST_MATCHES_TOLD])
        more = ", …" if len(places) > _MOST_MATCHES_TOLD else ""
        raise _invalid(
            f"old_str is {len(places)} times in the file, at lines {told}{more}. "
            "Give more of the lines around it, so that it is there once."
        )
    changed = text[: places[0]] + new + text[places[0] + len(old) :]
    _write(path, _encoded(changed))
    return hunk(text, changed)


def hunk(before: str, after: str) -> Result:
    """Returns the lines that differ as one hunk of a unified diff, without lines around it."""
    old, new = _lines(before), _lines(after)
    first = 0
    while first < min(len(old), len(new)) and old[first] == new[first]:
        first += 1
    last = 0
    while last < min(len(old), len(new)) - first and old[-1 - last] == new[-1 - last]:
        last += 1
    old, new = old[first : len(old) - last], new[first : len(new) - last]
    return {
        "lines": _compared(old, new),
        "old_start": first + 1 if old else first,  # of no lines: the one before, as diffs have it
        "old_lines": len(old),
        "new_start": first + 1 if new else first,
        "new_lines": len(new),
    }


def _compared(old: list[str], new: list[str]) -> list[str]:
    if max(len(old), len(new)) > _MOST_LINES_COMPARED:
        return [f"-{line}" for line in old] + [f"+{line}" for line in new]
    import difflib  # noqa: PLC0415 - slow to import

    lines = []
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            lines += [f" {line}" for line in old[i1:i2]]
        else:
            lines += [f"-{line}" for line in old[i1:i2]] + [f"+{line}" for line in new[j1:j2]]
    return lines


def _listing(path: str) -> list[str]:
    """Returns what is in a folder and in its folders; hidden names only by themselves."""
    lines = []
    for name, inner in _entries(path):
        lines.append(f"{name}/" if inner else name)
        if inner and not name.startswith("."):
            lines += [f"{name}/{one}" + "/" * deeper for one, deeper in _entries(f"{path}/{name}")]
        if len(lines) > _MOST_ENTRIES:
            return [*lines[:_MOST_ENTRIES], "…"]
    return lines


def _entries(path: str) -> list[tuple[str, bool]]:
    found = []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                name = os.fsencode(entry.name).decode("utf-8", "replace")
                found.append((name, entry.is_dir(follow_symlinks=False)))
                if len(found) > _MOST_ENTRIES:
                    break
    except PermissionError:
        pass  # an empty folder, to whoever may not look into it
    return sorted(found)


def _text_result(lines: list[str], first: int, total: int | None) -> Result:
    return {
        "file_type": "text",
        "content": "\n".join(lines),
        "num_lines": len(lines),
        "start_line": first,
        "total_lines": len(lines) if total is None else total,
    }


def _view_range(given: Any, total: int) -> tuple[int, int]:
    """Returns the first and the last line to show, counted from 1."""
    if given is None:
        return 1, total
    if not isinstance(given, list) or [type(one) for one in given] != [int, int]:
        raise _invalid("view_range must be two numbers: the first and the last line, or -1.")
    first, last = given
    last = total if last == -1 else min(last, total)
    if not 1 <= first <= max(total, 1) or last < min(first, total):
        raise _invalid(f"view_range [{given[0]}, {given[1]}] is not within the {total} lines.")
    return first, last


def _places(text: str, part: str) -> list[int]:
    """Returns where `part` is in `text`, overlapping too: each of them could be meant."""
    places = []
    at = text.find(part)
    while at >= 0:
        places.append(at)
        at = text.find(part, at + 1)
    return places


def _lines(text: str) -> list[str]:
    lines = text.split("\n")
    return lines if lines[-1] else lines[:-1]


def _read(path: str) -> bytes:
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    with open(file, "rb") as opened:  # noqa: PTH123 - a descriptor
        mode = os.fstat(file).st_mode
        if not stat.S_ISREG(mode):
            raise _invalid("It is a directory." if stat.S_ISDIR(mode) else "It is no file.")
        data = opened.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise _invalid(f"The file is larger than {MAX_FILE_BYTES} bytes: use bash for a part.")
    return data


def _write(path: str, data: bytes) -> None:
    with open(path, "wb") as opened:  # noqa: PTH123 - pathlib is slow to import
        opened.write(data)


def _encoded(text: str) -> bytes:
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise _invalid("The text has half of a character.") from error
    if len(data) > MAX_FILE_BYTES:
        raise _invalid(f"The file would be larger than {MAX_FILE_BYTES} bytes.")
    return data


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise _invalid("The file is neither text in UTF-8 nor an image.") from error


def _string(given: dict[str, Any], name: str, default: str | None = None) -> str:
    value = given.get(name, default)
    if not isinstance(value, str):
        raise _invalid(f"{name} must be a string.")
    return value


def _invalid(message: str) -> EditError:
    return EditError("invalid_tool_input", message)
