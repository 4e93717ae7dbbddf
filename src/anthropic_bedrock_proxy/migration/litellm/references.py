"""Values of config.yaml that stand for environment variables, and secrets that stand there bare."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from ..plan import MigrationPlan
from ..shape import text

_PREFIX: Final = "os.environ/"


def resolved(value: object, place: str, environ: Mapping[str, str]) -> str | None:
    """Returns a text that has to be known now; None if it names a variable that is not set."""
    plain = text(value, place)
    if not plain.startswith(_PREFIX):
        return plain
    return environ.get(plain.removeprefix(_PREFIX))


def as_setting(value: object, place: str) -> str:
    """Returns a text as `.env` has it: os.environ/NAME becomes ${NAME}."""
    plain = text(value, place)
    if plain.startswith(_PREFIX):
        return f"${{{plain.removeprefix(_PREFIX)}}}"
    return plain


def as_secret(value: object, place: str, plan: MigrationPlan) -> str:
    """Returns a secret as `.env` has it, always by the name of a variable."""
    plain = text(value, place)
    if plain.startswith(_PREFIX):
        return as_setting(value, place)
    name = "LITELLM_" + re.sub(r"[^A-Z0-9]+", "_", place.upper()).strip("_")
    plan.differ(
        place,
        "a secret stands in the file itself, and no report repeats it",
        f"put it into .env as {name}=..., before the line that names it",
    )
    return f"${{{name}}}"
