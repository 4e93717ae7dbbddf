"""The commands of the documentation that are not run for real, each with the reason.

What is checked of them all the same is in doc_programs.py.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class StandIn(NamedTuple):
    """Commands that are not run for real, by a pattern, and why not."""

    pattern: str
    reason: str


STAND_INS = (
    StandIn(r"^make (run|test|check)\b", "minutes, or without an end: .ci/run tests; make -n"),
    StandIn(r"^make docs\b", "tests/test_site.py builds the site; make -n"),
    StandIn(r"^make bench|^python -m bench", "minutes of load; make -n, options are looked up"),
    StandIn(r"pip install|^pipx |^uv ", "loads from an index: tests/e2e/test_installers.py"),
    StandIn(r"^docker build", "minutes: tests/deploy/test_images.py builds all of them"),
    StandIn(
        r"\bdocker (run|exec|create|cp|rm|tag|push)\b",
        "needs that image, or a registry: tests/deploy/test_images.py runs it",
    ),
    StandIn(r"^docker compose", "the plugin and the images of others are not to be had everywhere"),
    StandIn(r"^kubectl", "there is no cluster"),
    StandIn(r"^helm install", "there is no cluster: helm template, with the same arguments"),
    StandIn(r"^npx aws-cdk", "needs an AWS account: tests/deploy/test_ecs.py synthesises the app"),
    StandIn(r"^terraform", "needs an AWS account: tests/deploy/test_terraform.py reads the module"),
    StandIn(r"^aider", "its pins are its own: tests/e2e/client_trials.py tries it"),
)


def stands_in(command: str) -> bool:
    """Whether a command of the pages is not run for real."""
    return any(re.search(each.pattern, command) for each in STAND_INS)
