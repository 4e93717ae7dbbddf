"""Log lines: one JSON document each, or text for people.

Events go through `logging`; the access log (access_log.py) does not. Neither ever holds prompts or
secrets: only the fields named here, and `extra=` fields of our own calls, reach a line, and what a
client has pasted there that looks like a key is hidden, and so are the accounts of ARNs.
"""

from __future__ import annotations

import logging
import re
from textwrap import indent
from typing import Any, Final

import msgspec

from ..redaction import hide_accounts, hide_keys
from .line_time import line_time
from .output import LogOutput

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_encode = msgspec.json.Encoder(enc_hook=str).encode


def configure(level: str, log_format: str, output: LogOutput) -> None:
    """Sends every logger's lines to `output`."""
    handler = _Handler(output)
    handler.setFormatter(JSONFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)


class _Handler(logging.Handler):
    """A handler that writes lines to an output."""

    def __init__(self, output: LogOutput) -> None:
        super().__init__()
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001  # as logging does with arguments that do not fit
            self.handleError(record)
            return
        self._output.write(line.encode("utf-8", "backslashreplace") + b"\n")


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _kept(control: re.Match[str]) -> str:
    return "\n" if control[0] == "\n" else "?"


class JSONFormatter(logging.Formatter):
    """A formatter of one JSON document per line."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line without its newline."""
        line = {
            "time": line_time(int(record.created * 1000)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_extras(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return hide_accounts(hide_keys(_encode(line).decode()))


class TextFormatter(logging.Formatter):
    """A formatter for people: time, level, message and the extra fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line without its newline."""
        extras = "".join(f" {name}={value}" for name, value in _extras(record).items())
        when = line_time(int(record.created * 1000))[11:19]
        line = f"{when} {record.levelname:<7} {record.getMessage()}{extras}"
        line = _CONTROLS.sub("?", line)  # nothing that is quoted may look like another line
        if record.exc_info:
            # Indented: an exception may quote, too.
            traced = _CONTROLS.sub(_kept, self.formatException(record.exc_info))
            line += "\n" + indent(traced, "  ")
        return hide_accounts(hide_keys(line))
