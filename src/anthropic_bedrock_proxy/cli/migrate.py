"""`migrate`: what another gateway's installation becomes here, and the taking over of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

import click

from ..migration.plan import MigrationError, MigrationPlan, PlannedDifference
from .client import admin
from .common import json_option, where_options
from .migrate_apply import AppliedOperation, State, apply
from .terminal import say, say_json
from .wire import Where

_PATH = click.Path(path_type=Path, dir_okay=False)
_SHOWN_PLACES = 3


def _export_option(name: str, asked: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option(
        name, metavar="FILE", type=_PATH, multiple=True, help=f"The saved answer of {asked}."
    )


@click.group()
def command() -> None:
    """Take over the installation of another gateway."""


@command.command()
@click.argument("config_yaml", metavar="CONFIG.yaml", type=_PATH)
@_export_option("--keys", "/key/list?return_full_object=true, a page for each time it is given")
@_export_option("--teams", "/team/list")
@_export_option("--users", "/user/list, a page for each time it is given")
@click.option("--apply", "applies", is_flag=True, help="Keep names, prices, users, teams and keys.")
@json_option
@where_options
def litellm(
    *,
    config_yaml: Path,
    keys: Sequence[Path],
    teams: Sequence[Path],
    users: Sequence[Path],
    applies: bool,
    as_json: bool,
    where: Where,
) -> None:
    """Say what LiteLLM's CONFIG.yaml becomes here, and everything that has no counterpart.

    Nothing is changed without --apply, which may be run again: what is there stays as it is.
    Settings are lines for .env, and are never written. No secret is shown.
    """
    try:
        plan = _planned(config_yaml, {"keys": keys, "teams": teams, "users": users})
    except MigrationError as error:
        raise click.ClickException(str(error)) from error
    applied: list[AppliedOperation] = []
    if applies:
        with admin(where, without_store="make") as client:
            applied = apply(plan, client)
    if as_json:
        say_json(plan.document() | {"applied": applies, "outcomes": applied})
    else:
        _say_plan(plan)
        _say_end(plan, applied, applies=applies)
    if any(one.state == "refused" for one in applied):
        raise SystemExit(1)


def _planned(config: Path, exports: dict[str, Sequence[Path]]) -> MigrationPlan:
    """Reads the files and makes the plan. Raises `MigrationError`."""
    from ..app.models import load_model_table  # noqa: PLC0415  # heavy
    from ..migration.documents import read_json, read_yaml  # noqa: PLC0415
    from ..migration.litellm.convert import convert  # noqa: PLC0415
    from ..migration.litellm.exports import LiteLLMExports, read_rows  # noqa: PLC0415
    from ..models.names import ModelNames  # noqa: PLC0415

    rows = {
        kind: read_rows([read_json(_read(path), str(path)) for path in paths], kind)
        for kind, paths in exports.items()
    }
    document = read_yaml(_read(config), str(config))
    names = ModelNames(load_model_table(), {})
    return convert(document, LiteLLMExports(**rows), names, os.environ)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise MigrationError(f"{path} cannot be read: {error}") from error


def _say_plan(plan: MigrationPlan) -> None:
    say("Lines for .env:")
    for line in plan.settings:
        say(line.line())
    say()
    say("Kept in the store with --apply:")
    for operation in plan.operations:
        say(f"  {operation.what}  ({operation.source})")
    say()
    say("Not as it was:")
    for words, places in _grouped(plan.differences).items():
        more = len(places) - _SHOWN_PLACES
        say(f"  {', '.join(places[:_SHOWN_PLACES])}{f' and {more} more' if more > 0 else ''}")
        say(f"      {words[0]}")
        say(f"      instead: {words[1]}")
    say()


def _grouped(differences: Sequence[PlannedDifference]) -> dict[tuple[str, str], list[str]]:
    """Gathers the places about which the same is to be said."""
    found: dict[tuple[str, str], list[str]] = {}
    for one in differences:
        found.setdefault((one.why, one.instead), []).append(one.source)
    return found


def _say_end(plan: MigrationPlan, applied: Sequence[AppliedOperation], *, applies: bool) -> None:
    for one in applied:
        if one.state != "done":
            say(f"{one.state}: {one.what}: {one.message}", err=True)
    counted = (
        f"{len(plan.settings)} settings, {len(plan.operations)} operations, "
        f"{len(plan.differences)} differences"
    )
    if not applies:
        say(f"{counted}. Nothing was changed: --apply keeps what is for the store.")
        return
    states = [one.state for one in applied]
    say(f"{counted}. {', '.join(f'{states.count(state)} {state}' for state in get_args(State))}.")
