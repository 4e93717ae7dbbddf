"""Runs a recipe of docs/how-to/clients.md, then the cases that go with it.

    python run_case.py RECIPE CASES

Runs under the client's interpreter, so it needs nothing but Python. Prints a line of JSON for each
case: its name, and null or the end of what it raised. A case gets the recipe's names.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import runpy
import sys
import traceback
import types

NAMES = ("text", "stream", "tools", "advanced")


def main(recipe: str, cases: str) -> None:
    made: dict[str, object] = {}

    def follow_recipe(_: types.SimpleNamespace) -> None:
        made.update(runpy.run_path(recipe, run_name="__main__"))

    found = runpy.run_path(cases)
    tell("recipe", follow_recipe, made)
    for name in NAMES:
        if name in found:
            tell(name, found[name], made)


def tell(name, case, made):
    """Prints the outcome of one case."""
    problem = None
    try:
        outcome = case(types.SimpleNamespace(**made))
        if inspect.iscoroutine(outcome):
            asyncio.run(outcome)
    except Exception:  # noqa: BLE001  # whatever a client raises is the outcome
        problem = traceback.format_exc()[-1500:]
    print("\n" + json.dumps({"case": name, "problem": problem}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
