"""The images, built without a registry once for each content of what goes into them."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import tarfile
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from tempfile import gettempdir

import pytest
from programs import program

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "build-images.sh"
INPUTS = (
    *(path for path in (ROOT / "src").rglob("*") if "__pycache__" not in path.parts),
    *(ROOT / "deploy" / "docker").glob("*"),
    *(ROOT / "requirements").glob("*.txt"),
    ROOT / "pyproject.toml",
    SCRIPT,
)
VARIANTS = ("minimal", "ptc", "alpine")


@pytest.fixture(scope="session")
def docker():
    found = program("docker")
    if subprocess.run([found, "info"], capture_output=True, check=False).returncode:
        pytest.skip("a Docker daemon is needed")
    return found


@pytest.fixture(scope="session")
def images(docker):
    """The tags by variant; built once for each content of what goes into them."""
    digest = hashlib.sha256()
    for path in sorted(path for path in INPUTS if path.is_file()):
        digest.update(path.read_bytes())
    tag = f"image-tests:{digest.hexdigest()[:16]}"
    tags = {name: tag if name == "minimal" else f"{tag}-{name}" for name in VARIANTS}
    with Path(gettempdir(), "image-tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of test processes beside each other one builds
        there = subprocess.run(
            [docker, "inspect", *tags.values()], capture_output=True, check=False
        )
        if there.returncode:
            program("apt-get")
            chosen = [word for name in VARIANTS for word in ("--variant", name)]
            command = [SCRIPT, "--registry-free", *chosen, "--tag", tag]
            made = subprocess.run(command, capture_output=True, text=True, check=False)
            assert made.returncode == 0, made.stderr[-2000:]
            assert made.stdout.split() == list(tags.values())
    return tags


@pytest.fixture(scope="session")
def files(docker, images, tmp_path_factory):
    """`files(variant)`: what lies in an image, by path: a `tarfile` and its members."""
    folder = tmp_path_factory.mktemp("images")

    @cache
    def exported(variant):
        path = folder / f"{variant}.tar"
        made = subprocess.check_output([docker, "create", images[variant]], text=True).strip()
        try:
            subprocess.run([docker, "export", "-o", path, made], check=True)
        finally:
            subprocess.run([docker, "rm", made], capture_output=True, check=True)
        archive = opened.enter_context(tarfile.open(path))  # noqa: SIM115  # closed by the stack
        return archive, {f"/{one.name}": one for one in archive.getmembers()}

    with ExitStack() as opened:
        yield exported
