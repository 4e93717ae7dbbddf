"""Programs that stand in for those that cannot be had in a test, and check what can be checked.

`STAND_INS` has every command that is not run for real, with the reason. In a world (doc_world.py)
the programs of `NAMES` are this file: what is named has to exist, and what another program
would be given to run is run for real. Each use is noted in the file STOOD_IN.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = ROOT / "docs" / "reference" / "settings.md"
PROJECT = "anthropic-bedrock-proxy"


class StandIn(NamedTuple):
    """Commands that are not run for real, by a pattern, and why not."""

    pattern: str
    reason: str


STAND_INS = (
    StandIn(r"^make (run|test|check)\b", "minutes, or without an end: .ci/run tests; make -n"),
    StandIn(r"^make docs\b", "tests/test_site.py builds the site; make -n"),
    StandIn(r"^make bench|^python -m bench", "minutes of load; make -n, options are looked up"),
    StandIn(r"pip install|^pipx |^uv ", "loads from an index; extras and files are looked up"),
    StandIn(r"^docker build", "minutes: tests/deploy/test_images.py builds all of them"),
    StandIn(r"^docker (run|exec)", "needs that image: tests/deploy/test_images.py runs it"),
    StandIn(r"^docker compose", "the plugin and the images of others are not to be had everywhere"),
    StandIn(r"^kubectl", "there is no cluster"),
    StandIn(r"^helm install", "there is no cluster: helm template, with the same arguments"),
    StandIn(r"^aider", "its pins are its own: tests/e2e/client_trials.py tries it"),
)
NAMES = ("aider", "claude", "docker", "helm", "kubectl", "make", "pip", "pipx", "python", "uv")


def stands_in(command: str) -> bool:
    """Whether a command of the pages is not run for real."""
    return any(re.search(each.pattern, command) for each in STAND_INS)


def claude(*words: str) -> None:
    """Runs the real one, which gets a question in place of a terminal: that is no stand-in."""
    run(os.environ["REAL_CLAUDE"], "-p", "Hello", *words)


def make(*words: str) -> None:
    """Leaves the environment behind that `make run` sets up."""
    if words[0] == "run" and not Path(".venv").exists():
        Path(".venv").symlink_to(sys.prefix)
    run(os.environ["REAL_MAKE"], "-n", *words)


def python(*words: str) -> None:
    if words[:1] != ("-m",) or not words[1].startswith("bench"):
        os.execv(sys.executable, [sys.executable, *words])
    need(importlib.util.find_spec(words[1]), words[1])
    options = [word for word in words if word.startswith("--")]
    help_text = printed(sys.executable, "-m", words[1], "--help") if options else ""
    for option in options:
        need(option in help_text, f"{option} of {words[1]}")


def pip(*words: str) -> None:
    """The files, the repository and the extras are there."""
    need(words[0] == "install", words[0])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for word in words[1:]:
        name, _, extras = word.removesuffix("]").partition("[")
        there = Path(name.removeprefix("git+"))
        if word.startswith("git+"):
            need((there / ".git").exists(), word)
        elif name == "." or "/" in name:
            need(there.exists(), word)
        elif not word.startswith("-"):
            sys.exit(f"pip: {word}: no index has it")
        need(set(extras.split(",")) <= {"", *project["optional-dependencies"]}, word)


def pipx(*words: str) -> None:
    pip(*words)


def uv(*words: str) -> None:
    need(words[0] == "tool", words[0])
    pip(*words[1:])


def docker(*words: str) -> None:
    {"build": docker_build, "compose": docker_compose, "exec": docker_exec, "run": docker_run}[
        words[0]
    ](*words[1:])


def need_options(words: tuple[str, ...], action: str) -> None:
    """The real program has these options."""
    help_text = printed(os.environ["REAL_DOCKER"], action, "--help")
    for word in words:
        need(not word.startswith("--") or f"{word} " in help_text, f"{word} of {action}")


def docker_build(*words: str) -> None:
    need_options(words, "build")
    options = dict(pairwise(words))
    text = Path(options["-f"]).read_text()
    need(f" AS {options['--target']}\n" in text, options["--target"])
    need(Path(words[-1]).is_dir(), words[-1])
    Path(os.environ["HOME"], "image").write_text(options["-t"])


def docker_run(*words: str) -> None:
    need_options(words, "run")
    need(words[-1] == Path(os.environ["HOME"], "image").read_text(), f"{words[-1]} was not built")
    for before, word in pairwise(words):
        if before == "-e":
            need_setting(word)
        if before == "--name":
            Path(os.environ["HOME"], "container").write_text(word)


def docker_exec(*words: str) -> None:
    need(words[0] == Path(os.environ["HOME"], "container").read_text(), words[0])
    run(*words[1:])


def docker_compose(*words: str) -> None:
    import yaml  # noqa: PLC0415  # only here, and it takes a while

    need(words[0] == "-f", words[0])
    services = yaml.safe_load(Path(words[1]).read_text())["services"]
    profiles = {name for one in services.values() for name in one.get("profiles", ())}
    rest = list(words[2:])
    while rest[0] == "--profile":
        need(rest[1] in profiles, rest[1])
        del rest[:2]
    action, *rest = rest
    if action == "exec":
        need(rest[0] in services, rest[0])
        run(*rest[1:])
        return
    need(action in {"up", "run"}, action)
    for word in rest:
        need(word in services or word in {"-d", "--rm"}, word)


def helm(*words: str) -> None:
    need(words[0] == "install", words[0])
    rendered = printed(os.environ["REAL_HELM"], "template", *words[1:])
    release = words[-2]
    need(f"name: {release}-{PROJECT}\n" in rendered, release)
    Path(os.environ["HOME"], "rendered.yaml").write_text(rendered)


def kubectl(*words: str) -> None:
    """The namespace is made, the secret is what the values name, the workload is rendered."""
    known = Path(os.environ["HOME"], "cluster")
    have = known.read_text().split() if known.exists() else []
    if words[:2] == ("create", "namespace"):
        known.write_text(" ".join([*have, words[2]]))
        return
    need(words[0] == "-n" and words[1] in have, words[1])
    if words[2:5] == ("create", "secret", "generic"):
        need_setting(words[6].removeprefix("--from-literal="))
        need(f"existingSecret: {words[5]}\n" in Path("my-values.yaml").read_text(), words[5])
        return
    need(words[2] == "exec" and words[4] == "--", " ".join(words))
    kind, name = words[3].split("/")
    rendered = Path(os.environ["HOME"], "rendered.yaml").read_text()
    kinds = {"deploy": "Deployment", "statefulset": "StatefulSet"}
    pattern = rf"kind: {kinds[kind]}\nmetadata:\n  name: {name}\n"
    need(re.search(pattern, rendered), f"no {words[3]} is rendered")
    run(*words[5:])


def aider(*words: str) -> None:
    """Its model is one that the proxy tells its key of."""
    base, key = os.environ["ANTHROPIC_API_BASE"], os.environ["ANTHROPIC_API_KEY"]
    model = words[words.index("--model") + 1].removeprefix("anthropic/")
    printed("curl", "-sSf", f"{base}/v1/models/{model}", "-H", f"x-api-key: {key}")


def need(condition: object, what: str) -> None:
    if not condition:
        sys.exit(f"{sys.argv[1]}: {what}")


def need_setting(assignment: str) -> None:
    name = assignment.partition("=")[0]
    need(f"`{name}`" in SETTINGS.read_text(), f"{name} is no setting")


def run(*command: str) -> None:
    done = subprocess.run(command, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def printed(*command: str) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    need(done.returncode == 0, " ".join(command))
    return done.stdout


if __name__ == "__main__":
    name, *words = sys.argv[1:]
    if name != "claude" and (name != "python" or "bench" in " ".join(words)):
        with Path(os.environ["STOOD_IN"]).open("a") as noted:
            noted.write(f"{name}\n")
    sys.path.insert(0, str(Path.cwd()))  # as `python -m` has it
    globals()[name](*words)
