"""Programs that stand in for those that cannot be had in a test, and check what can be checked.

In a world (doc_world.py) each name of `NAMES` is this file: what is named has to exist, and what
another program would be given to run is run for real. Each use is noted in the file STOOD_IN.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = ROOT / "docs" / "reference" / "settings.md"
PROJECT = "anthropic-bedrock-proxy"
NAMES = (
    *("aider", "claude", "docker", "helm", "kubectl", "make", "npx", "pip", "pipx", "python"),
    *("terraform", "uv"),
)


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
    for word in words[1:]:
        name, _, extras = word.removesuffix("]").partition("[")
        there = Path(name.removeprefix("git+"))
        if word.startswith("git+"):
            need((there / ".git").exists(), word)
        elif name == "." or "/" in name:
            need(there.exists(), word)
        elif not word.startswith("-"):
            sys.exit(f"pip: {word}: no index has it")
        need(set(extras.split(",")) <= {"", *project()["optional-dependencies"]}, word)


def pipx(*words: str) -> None:
    pip(*words)


def uv(*words: str) -> None:
    need(words[0] == "tool", words[0])
    pip(*words[1:])


def docker(action: str, *words: str) -> None:
    globals()[f"docker_{action}"](*words)


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
    need_built(words[-1])
    for before, word in pairwise(words):
        if before == "-e":
            need_setting(word)
        if before == "--name":
            Path(os.environ["HOME"], "container").write_text(word)


def docker_create(image: str) -> None:
    need_built(image)
    print("0a1b2c")


def docker_cp(source: str, target: str) -> None:
    """What is copied out is put there by the Dockerfile."""
    folder = str(Path(source.partition(":")[2]).parent)
    need(folder in (ROOT / "deploy" / "docker" / "Dockerfile").read_text(), source)
    need(Path(target).is_dir(), target)


def docker_rm(container: str) -> None:
    need(container == "0a1b2c", container)


def docker_tag(image: str, name: str) -> None:
    need(image == f"{PROJECT}:{project()['version']}", f"{image} is not of this version")
    Path(os.environ["HOME"], "tag").write_text(name)


def docker_push(name: str) -> None:
    need(name == Path(os.environ["HOME"], "tag").read_text(), f"{name} has no image")


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


def npx(*words: str) -> None:
    """The app is here, and what is set are options of it."""
    need(words[0] == "aws-cdk@2" and words[1] in {"deploy", "destroy"}, " ".join(words[:2]))
    known = json.loads(Path("cdk.json").read_text())["context"]
    for before, word in pairwise(words):
        if before == "-c":
            name, _, value = word.partition("=")
            need(name in known or name == "image", name)
            need(
                name != "image" or re.search(r"@sha256:[0-9a-f]{64}$", value), f"{value}: no digest"
            )


def terraform(*words: str) -> None:
    """The page's own block, which the test has put into main.tf, fits the module."""
    need(words in {("init",), ("apply",)}, " ".join(words))
    block = Path(os.environ["HOME"], "root", "main.tf").read_text()
    folder = ROOT / re.search(r'source = ".*?//(?!git)([\w/]+)\?', block)[1]
    variables = re.findall(
        r'^variable "(\w+)"', (folder / "variables.tf").read_text(), re.MULTILINE
    )
    for name in re.findall(r"^  (\w+) +=", block, re.MULTILINE):
        need(name == "source" or name in variables, f"{name} is no variable of {folder}")


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def need(condition: object, what: str) -> None:
    if not condition:
        sys.exit(f"{sys.argv[1]}: {what}")


def need_built(image: str) -> None:
    need(image == Path(os.environ["HOME"], "image").read_text(), f"{image} was not built")


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
