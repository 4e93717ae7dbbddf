"""Installs clients of docs/how-to/clients.md, runs their recipes, prints the rows of its table.

    .venv/bin/python tests/e2e/client_trials.py            every client that no test runs
    … NAME… --folder DIR --model claude-opus-5-5           these, kept there, with another model

Not part of the test suite: these clients are large, or wait for hosts of their own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import venv
from contextlib import ExitStack
from pathlib import Path

import recipes
from servers import RunningProxy, RunningSimulator, start_proxy

CASES = ("text", "stream", "tools", "advanced")


def main() -> int:
    """Prints a row for each client, and below what failed; fails if anything did."""
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("names", nargs="*", metavar="NAME")
    arguments.add_argument("--folder", type=Path, help="where to keep what is installed")
    arguments.add_argument("--model", default=recipes.MODEL, help="in place of theirs")
    given = arguments.parse_args()
    by_hand = [name for name, client in recipes.RECIPES.items() if not client.get("ci")]
    with ExitStack() as stack:
        made = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder = (given.folder or made / "installed").resolve()
        simulator = stack.enter_context(RunningSimulator(made))
        proxy = stack.enter_context(start_proxy(made / "proxy", simulator))
        failed = [
            name
            for name in given.names or by_hand
            if not tried(name, folder / name, made / name, simulator, proxy, given.model)
        ]
    return 1 if failed else 0


def tried(
    name: str,
    installed: Path,
    folder: Path,
    simulator: RunningSimulator,
    proxy: RunningProxy,
    model: str,
) -> bool:
    """Runs one client and prints its row; whether all went well."""
    program = install(name, installed)
    simulator.control.reset()
    recipes.script_weather(simulator.control)
    outcomes = recipes.run(name, program, folder, proxy, installed=installed, model=model)
    shown = {None: "yes", "": "-"}
    row = [shown.get(outcomes.get(case, ""), "NO") for case in CASES]
    client = recipes.RECIPES[name]
    row = [client["heading"], recipes.version(name), *row]
    print(f"| {' | '.join(row)} |", flush=True)
    for case, problem in outcomes.items():
        if problem is not None:
            print(f"--- {case}: {problem}")
    refused = [one for one in simulator.control.requests() if one["status"] >= 400]
    for one in refused:
        print(f"--- Bedrock refused: {one['error']}")
    return not any(outcomes.values())


def install(name: str, folder: Path) -> str | Path:
    """Installs a client unless it is there; returns the program that runs its recipe."""
    client = recipes.RECIPES[name]
    in_shell = recipes.cases(name).suffix == ".sh"
    if "npm" in client:
        if not (folder / "node_modules").exists():
            folder.mkdir(parents=True, exist_ok=True)
            npm = ["npm", "install", "--no-audit", "--no-fund", "--no-progress"]
            subprocess.run([*npm, *client["npm"]], cwd=folder, check=True, capture_output=True)
        return "bash" if in_shell else "node"
    if "pip" in client and not (folder / "bin" / "python").exists():
        venv.create(folder, with_pip=True)
        pip = [folder / "bin" / "python", "-m", "pip", "install", "-q", *client["pip"]]
        subprocess.run(pip, check=True, capture_output=True)
    return "bash" if in_shell else folder / "bin" / "python"


if __name__ == "__main__":
    sys.exit(main())
