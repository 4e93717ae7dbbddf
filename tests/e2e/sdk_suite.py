"""Runs the SDK's own test files for the endpoints we serve against the proxy.

    .venv/bin/python tests/e2e/sdk_suite.py     starts the proxy and the simulator itself
    … --base-url http://host:port               for a proxy that has REQUIRE_API_KEY=False

Not part of the test suite: those files are written for a mock generated from the API description,
so some of them cannot pass on any server that answers by what is asked. What fails is printed with
its reason.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import venv
import xml.etree.ElementTree as ET
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from servers import RunningSimulator, start_proxy

VERSION = "2.14.0"
FILES = [
    f"tests/api_resources/{name}.py"
    for name in ("test_messages", "test_models", "beta/test_messages", "beta/test_models")
]
BAD = ("failure", "error", "skipped")
NOT_NEEDED = ("-e ", "pyright", "nodeenv", "ruff")


def main() -> int:
    """Prints the outcome; fails only if nothing could be run."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--base-url", help="a running proxy")
    arguments.add_argument("--folder", type=Path, help="where to keep the SDK and its environment")
    given = arguments.parse_args()
    with ExitStack() as stack:
        folder = given.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder = folder.resolve()
        source, python = prepare(folder)
        base_url = given.base_url
        if base_url is None:
            running = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            simulator = stack.enter_context(RunningSimulator(running))
            settings = {"REQUIRE_API_KEY": "False", "MASTER_API_KEY": ""}
            base_url = stack.enter_context(start_proxy(running / "p", simulator, **settings)).url
        report = folder / "report.xml"
        subprocess.run(
            [python, "-m", "pytest", *FILES, "-q", "-n", "2", f"--junitxml={report}"],
            cwd=source,
            env={**os.environ, "TEST_API_BASE_URL": base_url, "PYTHONPATH": ""},
            stdout=subprocess.DEVNULL,
            check=False,
        )
        summarise(report)
    return 0


def prepare(folder: Path) -> tuple[Path, Path]:
    """The unpacked source of the SDK, and an interpreter that has what its tests import."""
    source, python = folder / f"anthropic-{VERSION}", folder / "venv" / "bin" / "python"
    if not source.exists():
        folder.mkdir(parents=True, exist_ok=True)
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps"]
        subprocess.run(
            [*pip, "--no-binary", "anthropic", "-d", folder, f"anthropic=={VERSION}"], check=True
        )
        with tarfile.open(folder / f"anthropic-{VERSION}.tar.gz") as archive:
            archive.extractall(folder, filter="data")
    if not python.exists():
        venv.create(folder / "venv", with_pip=True)
        lock = (source / "requirements-dev.lock").read_text().splitlines()
        wanted = [line for line in lock if not line.startswith((*NOT_NEEDED, "#", " "))]
        needed = folder / "needed.txt"
        needed.write_text("\n".join([*wanted, f"anthropic[aiohttp]=={VERSION}"]))
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", needed], check=True)
    return source, python


def summarise(report: Path) -> None:
    """Counts, then the failing tests by reason; the variants of one test count as `x N`."""
    outcomes: Counter[str] = Counter()
    failing: dict[str, Counter[str]] = {}
    for case in ET.parse(report).iter("testcase"):
        problem = next((case.find(kind) for kind in BAD if case.find(kind) is not None), None)
        outcomes["passed" if problem is None else problem.tag] += 1
        if problem is not None:
            name = case.attrib["name"].partition("[")[0]
            module, _, _ = case.attrib["classname"].rpartition(".")
            place = f"{module.removeprefix('tests.api_resources.')} {name}"
            reason = problem.attrib["message"].splitlines()[0]
            reason = re.sub(r", 'request_id': 'req_\w+'", "", reason)[:400]
            failing.setdefault(reason, Counter())[place] += 1
    print(f"anthropic {VERSION}: " + ", ".join(f"{n} {what}" for what, n in outcomes.items()))
    for reason, places in sorted(failing.items(), key=lambda item: -item[1].total()):
        print(f"{places.total()} x {reason}")
        for place, count in sorted(places.items()):
            print(f"    {place} x {count}")


if __name__ == "__main__":
    sys.exit(main())
