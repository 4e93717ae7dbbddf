"""`serve` with options as most write them, without click.

click takes 11 ms to import, a tenth of the time to the first answer. What is not plain here (help,
abbreviations, a word too many, a value that is missing) is left to it.

    >>> parse_serve(["--port", "8001", "--host=::1", "--demo"])
    {'port': '8001', 'host': '::1', 'demo': True}
    >>> parse_serve(["--help"])
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

VALUES: Final = {
    "--host": "host",
    "--port": "port",
    "--workers": "workers",
    "--config": "config_file",
}
FLAGS: Final = {"--demo": "demo", "--demo-without-aws": "demo_without_aws"}


def parse_serve(arguments: list[str]) -> dict[str, Any] | None:
    """Returns the options as `start` takes them; None for what click should look at."""
    options: dict[str, Any] = {}
    rest = iter(arguments)
    for argument in rest:
        name, given, value = argument.partition("=")
        if argument in FLAGS:
            options[FLAGS[argument]] = True
        elif name in VALUES and (given or (value := next(rest, ""))) and value[:1] not in ("", "-"):
            options[VALUES[name]] = Path(value) if name == "--config" else value
        else:
            return None
    return options


def run_serve(options: dict[str, Any]) -> int:
    """Serves, and tells why it cannot as click does; returns the exit status."""
    from .start import StartError, start  # noqa: PLC0415  # where it is needed

    try:
        return start(**options)
    except StartError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130  # as shells say of Ctrl-C
