"""`doctor`: what is wrong with an installation, and how to mend it. Needs no running server."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from ..config import SettingsError, load_settings
from .common import config_option, json_option
from .terminal import folded, may_colour, say, say_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..config import Settings
    from ..diagnosis.checks import CheckResult

_SIGNS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}
_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command()
@click.option(
    "--model",
    "models",
    metavar="ID",
    multiple=True,
    help="Call this model too; may be repeated.",
)
@click.option("--no-model-calls", is_flag=True, help="Call no model, search nothing.")
@config_option
@json_option
def command(
    *, models: Sequence[str], no_model_calls: bool, config_file: Path | None, as_json: bool
) -> None:
    """Check this installation, each finding with its mend; ends with 1 if a check failed.

    Every configured model is called with one token, and each provider of web search asked once,
    which costs a fraction of a cent each; --no-model-calls leaves that out. Without configured
    models the newest three are called.
    """
    # What is wrong stands in the report; lines of the log would stand between its own.
    logging.disable(logging.CRITICAL)
    try:
        results = _results(config_file, models, call_models=not no_model_calls)
    finally:
        logging.disable(logging.NOTSET)
    from ..diagnosis.checks import worst  # noqa: PLC0415  # not needed for --help

    status = worst(results)
    if as_json:
        say_json({"status": status, "checks": [_row(result) for result in results]})
    else:
        _print(results)
    if status == "fail":
        raise click.exceptions.Exit(1)


def _results(
    config_file: Path | None, models: Sequence[str], *, call_models: bool
) -> Sequence[CheckResult]:
    from ..diagnosis.checks import fail  # noqa: PLC0415  # not needed for --help

    try:
        settings = load_settings(config_file)
        _check(settings)
    except SettingsError as error:
        mend = "correct it in the environment, .env or the file; `config` prints what is in force"
        return [fail(problem, mend, name="settings") for problem in error.problems]
    from ..app.doctor import diagnose  # noqa: PLC0415  # as above

    return asyncio.run(diagnose(settings, models=models, call_models=call_models))


def _check(settings: Settings) -> None:
    from ..app.build import check  # noqa: PLC0415  # heavy

    check(settings)


def _row(result: CheckResult) -> dict[str, str]:
    row = msgspec.to_builtins(result)
    return {name: row[name] for name in ("name", "state", "found", "mend")}


def _print(results: Sequence[CheckResult]) -> None:
    width = max(len(result.name) for result in results)
    for result in results:
        colour = _COLOURS[result.state] if may_colour() else None
        sign, indent = _SIGNS[result.state], " " * (width + 8)
        first, *rest = folded(f"{sign}  {result.name:<{width}}  {result.found}", indent)
        click.secho(sign, fg=colour, reset=colour is not None, nl=False)
        for line in (first.removeprefix(sign), *rest):
            say(line)
        if result.mend and result.state != "ok":
            for line in folded(f"{indent}-> {result.mend}", f"{indent}   "):
                say(line)
