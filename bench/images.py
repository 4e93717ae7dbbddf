"""Cold start and memory of images: `python -m bench.images IMAGE...`, as root, with Docker.

Docker takes two to three tenths of a second to make a container, on one machine more than on
another and whatever is in it. So an image is unpacked, and its command is started in its root as
its user, with its environment: what is timed is all that the image itself brings, from the spawn
of the process. The floor is `import asyncio` by the image's own interpreter in the same root, in
turns with the rest. The upstream is a fake outside of the root.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from . import upstream
from .cold import cold_start
from .processes import load_average, stop_children_on_exit
from .proxy import Proxy, wait_for_200

_IDLE_SECONDS = 3.0
_INTERPRETERS = ("/usr/python/bin/python3", "/usr/local/bin/python3", "/usr/bin/python3")


def main() -> int:
    """Measures each image and prints a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.images", description=__doc__)
    parser.add_argument("image", nargs="+")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    if os.geteuid():
        print("only root may change the root", file=sys.stderr)
        return 2
    stop_children_on_exit()
    print("image | spawn -> /health 200 | -> proxied 200 | import asyncio | ratio | idle PSS")
    for image in options.image:
        print(" | ".join((image, *_measured(image, options.rounds))), flush=True)
    print(f"load average {load_average()}")
    return 0


def _measured(image: str, rounds: int) -> tuple[str, ...]:
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as name,
        _unpacked(image, Path(name)) as root,
        upstream.running() as fake,
    ):
        config = json.loads(_docker("inspect", "--format", "{{json .Config}}", image))
        inside = [shutil.which("chroot") or "chroot", f"--userspec={config['User']}", str(root)]
        interpreter = next(path for path in _INTERPRETERS if (root / path[1:]).exists())
        proxy = Proxy(
            Path(name) / "data",
            fake.port,
            command=[*inside, *config["Entrypoint"]],
            environ=dict(one.split("=", 1) for one in config["Env"]) | {"HOST": "127.0.0.1"},
        )
        cold = cold_start(proxy, (1,), rounds=rounds, python=[*inside, interpreter])[1]
        with proxy.running(1):
            wait_for_200(proxy.target())
            time.sleep(_IDLE_SECONDS)
            memory = proxy.pss_mb()
    return (
        f"{cold.health_ms:.0f} ms",
        f"{cold.proxied_ms:.0f} ms",
        f"{cold.floor_ms:.0f} ms",
        f"{cold.ratio:.2f}",
        f"{memory:.1f} MB",
    )


@contextlib.contextmanager
def _unpacked(image: str, folder: Path) -> Iterator[Path]:
    """The root of an image, with /proc, /dev and a folder of its user's at its own path."""
    root, data = folder / "root", folder / "data"
    root.mkdir()
    data.mkdir()
    folder.chmod(0o755)
    container = _docker("create", image)
    try:
        archive = folder / "root.tar"
        _docker("export", "--output", str(archive), container)
        subprocess.run(["tar", "-xf", archive, "-C", root], check=True)
    finally:
        _docker("rm", container)
    user = int(_docker("inspect", "--format", "{{.Config.User}}", image).partition(":")[0])
    shutil.chown(data, user, user)
    with contextlib.ExitStack() as mounted:
        for source, place in (("/proc", "proc"), ("/dev", "dev"), (str(data), str(data)[1:])):
            (root / place).mkdir(parents=True, exist_ok=True)
            subprocess.run(["mount", "--bind", source, root / place], check=True)
            mounted.callback(subprocess.run, ["umount", root / place], check=True)
        yield root


def _docker(*words: str) -> str:
    return subprocess.check_output(["docker", *words], text=True).strip()


if __name__ == "__main__":
    sys.exit(main())
