"""apk's database, which no image that is built without a registry has."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from environments import environment

ROOT = Path(__file__).parents[2]
DATABASE = """\
C:Q1example=
P:curl
V:8.17.0-r1
A:x86_64
L:curl
F:usr
F:usr/bin
R:curl
a:0:0:755

P:musl
V:1.2.5-r21
A:x86_64
L:MIT
F:lib
R:ld-musl-x86_64.so.1
a:0:0:755
R:libc.musl-x86_64.so.1
"""
READ = """
import json, sys, system_packages
for one in system_packages.of_apk(sys.stdin.read()):
    files = sorted(str(path) for path in one.files)
    print(json.dumps([one.name, one.version, one.licenses, files, one.purl.type, one.purl.name]))
"""


@pytest.fixture(scope="module")
def python():
    """An interpreter that has packageurl, as the build of an image has."""
    requirements = ROOT / "requirements" / "deploy.txt"
    return environment(ROOT / ".venv-deploy", requirements, "kubernetes-validate")


def test_a_package_has_its_files_by_the_folder_before_them(python):
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "deploy" / "docker")}
    told = subprocess.check_output([python, "-c", READ], input=DATABASE, env=environ, text=True)
    curl, musl = map(json.loads, told.splitlines())
    assert curl == ["curl", "8.17.0-r1", ["curl"], ["/usr/bin/curl"], "apk", "curl"]
    # Wherever /lib leads to on this machine, the loader stands there.
    lib = Path("/lib").resolve()
    names = ("ld-musl-x86_64.so.1", "libc.musl-x86_64.so.1")
    assert musl[3] == [str(lib / name) for name in names]
    assert musl[:3] == ["musl", "1.2.5-r21", ["MIT"]]
