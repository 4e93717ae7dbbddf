"""The output of log lines, as the settings describe it, and the secrets that no line may have."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from ..config import Settings, SettingsError
from ..redaction import hideable
from ..telemetry.log_file import LogFile
from ..telemetry.output import LogOutput, Output

_DESCRIPTORS: Final = {"stderr": 2, "stdout": 1}


def log_path(settings: Settings) -> Path | None:
    """Returns the file that lines go to; None if it is a descriptor."""
    output = settings.server.log_output
    return None if output in _DESCRIPTORS else Path(output)


def make_output(settings: Settings) -> LogOutput:
    """Makes the output of log lines. Raises `SettingsError` for a file that cannot be written."""
    server, path = settings.server, log_path(settings)
    if path is None:
        return Output(_DESCRIPTORS[server.log_output])
    try:
        return LogFile(path, max_bytes=server.log_max_bytes, backups=server.log_backups)
    except OSError as error:
        raise SettingsError([f"LOG_OUTPUT: {path} cannot be written: {error.strerror}"]) from error


def log_format(settings: Settings) -> str:
    """Returns `json` or `text`: with LOG_FORMAT=auto, text where a person reads along."""
    server = settings.server
    if server.log_format != "auto":
        return server.log_format
    descriptor = _DESCRIPTORS.get(server.log_output)
    return "text" if descriptor is not None and os.isatty(descriptor) else "json"


def known_secrets(settings: Settings) -> tuple[str, ...]:
    """Returns what is hidden wherever a client says it, in any form; no very short ones."""
    auth, telemetry = settings.auth, settings.telemetry
    return hideable(auth.master_api_key, telemetry.metrics_token, settings.sandbox.token)
