"""The recipes of docs/how-to/clients.md, run as they are written, with the cases beside them.

A recipe is the first block of code below a client's heading. `clients/recipes.toml` says which
client that is, and `clients/cases/` what it has to do besides. Addresses and keys are put in here.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

from servers import ROOT, RunningProxy, clean_environment

from anthropic_bedrock_proxy.sim.client import SimClient

CLIENTS = Path(__file__).parent / "clients"
PAGE = ROOT / "docs" / "how-to" / "clients.md"
RECIPES: dict[str, dict[str, Any]] = tomllib.loads((CLIENTS / "recipes.toml").read_text())
URL, KEY, MODEL = "http://127.0.0.1:8000", "sk-...", "claude-haiku-4-5"
# Clients that would call home, or ask whether they may run as root.
QUIET = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "CREWAI_DISABLE_TELEMETRY": "true",
    "IS_SANDBOX": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "OTEL_SDK_DISABLED": "true",
}
_SECONDS = 120

WEATHER = {"type": "tool_use", "name": "get_weather", "input": {"city": "Oslo"}}
SUNNY = "It is sunny in Oslo."


def script_weather(sim: SimClient) -> None:
    """A question about the weather calls `get_weather`; its result is told."""
    told = {"content": [{"type": "text", "text": SUNNY}]}
    over_mcp = WEATHER | {"name": "mcp__sky__get_weather"}
    steps = [
        ({"body": '"tool_result"|"toolResult"'}, told),
        ({"text": "weather", "body": over_mcp["name"]}, {"content": [over_mcp]}),
        ({"text": "weather"}, {"content": [WEATHER]}),
    ]
    sim.script([{"match": fits, "times": "forever", "reply": reply} for fits, reply in steps])


def section(heading: str) -> str:
    """The part of the page below a heading."""
    pattern = rf"^##+ {re.escape(heading)}\n(.*?)(?=^##|\Z)"
    found = re.search(pattern, PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found, f"no heading: {heading}"
    return found[1]


def blocks(heading: str) -> list[str]:
    """The blocks of code below a heading of the page."""
    return re.findall(r"^```\w+\n(.*?)^```$", section(heading), re.MULTILINE | re.DOTALL)


def version(name: str) -> str:
    """The version of a client; a program of the machine has none here."""
    client = RECIPES[name]
    package = (client.get("pip") or client.get("npm") or ["-"])[0]
    return re.split("==|@", package)[-1]


def cases(name: str) -> Path:
    """The file of what a client has to do."""
    (found,) = (CLIENTS / "cases").glob(f"{name}.*")
    return found


def put_in(code: str, url: str, key: str) -> str:
    """A block of code with an address and a key, without the prompts of a terminal."""
    assert URL in code, f"no address in {code}"
    code = re.sub(r"^\$ ", "", code, flags=re.MULTILINE)
    return code.replace(URL, url).replace(KEY, key)


def run(
    name: str,
    program: str | Path,
    folder: Path,
    proxy: RunningProxy,
    *,
    installed: Path = CLIENTS,
    model: str = MODEL,
) -> dict[str, str | None]:
    """Runs a recipe and its cases by `program`: what was wrong with each, or None.

    `installed` has the commands of clients, and the modules of those in JavaScript; `model` stands
    in the place of that of the recipes.
    """
    source = cases(name)
    end = source.suffix
    here = folder / "run"
    here.mkdir(parents=True)
    code = put_in(blocks(RECIPES[name]["heading"])[0], proxy.url, proxy.key)
    if end == ".mjs":
        code += f"\nexport {{ {', '.join(RECIPES[name]['names'])} }};\n"
        (here / "node_modules").symlink_to(installed / "node_modules")
    (here / ("recipe.txt" if end == ".sh" else f"recipe{end}")).write_text(
        code.replace(MODEL, model)
    )
    (here / f"cases{end}").write_text(source.read_text().replace(MODEL, model))
    (here / f"run_case{end}").write_text((CLIENTS / f"run_case{end}").read_text())
    commands = [installed / "node_modules" / ".bin", installed / "bin", os.environ["PATH"]]
    environment = QUIET | {
        "PATH": os.pathsep.join(map(str, commands)),
        "PYTHONPATH": "",
        "SIMULATOR": proxy.environment["BEDROCK_ENDPOINT_URL"],
    }
    done = subprocess.run(
        [program, f"run_case{end}", f"recipe{end}", f"cases{end}"],
        cwd=here,
        env=clean_environment(folder) | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"case":')]
    assert done.returncode == 0, done.stdout + done.stderr
    return {line["case"]: line["problem"] for line in told}
