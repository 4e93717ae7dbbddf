"""The output of log lines, as the settings describe it, and the secrets that no line may have."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ..config import Settings, SettingsError
from ..telemetry.log_file import LogFile
from ..telemetry.output import LogOutput, Output

_DESCRIPTORS: Final = {"stderr": 2, "stdout": 1}
_SHORTEST_SECRET: Final = 4


def make_output(settings: Settings) -> LogOutput:
    """Makes the output of log lines. Raises `SettingsError` for a file that cannot be written."""
    server = settings.server
    if server.log_output in _DESCRIPTORS:
        return Output(_DESCRIPTORS[server.log_output])
    try:
        return LogFile(
            Path(server.log_output), max_bytes=server.log_max_bytes, backups=server.log_backups
        )
    except OSError as error:
        raise SettingsError(
            [f"LOG_OUTPUT: {server.log_output} cannot be written: {error.strerror}"]
        ) from error


def known_secrets(settings: Settings) -> tuple[str, ...]:
    """Returns what is hidden wherever a client says it, in any form; no very short ones."""
    auth, telemetry = settings.auth, settings.telemetry
    given = (auth.master_api_key, telemetry.metrics_token, settings.sandbox.token)
    return tuple(secret for secret in given if secret and len(secret) >= _SHORTEST_SECRET)
